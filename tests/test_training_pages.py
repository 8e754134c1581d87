"""The scorecard as people get it: one page that needs nothing else, a text, and data."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import plotly.graph_objects as go
import pytest
from judged_shop import HEADLINE_DAYS, ORIGINS, context_at, predictions, scorecard_of

from training.list_tables import list_lines, list_tables
from training.minute import advice_of
from training.pages import draw_figures, write_page, write_scorecard
from training.rounds import Backtest
from training.scorecard import Comparison, Scorecard
from training.sections import Picture, Section, Table
from training.texts import scorecard_text

HOSTILE = "</script><script>alert(1)</script>"


class Elements(HTMLParser):
    """Collects the elements of a page, its visible words and the JSON of its drawings."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.drawings: list[dict[str, object]] = []
        self.words = ""
        self._open: tuple[str, str | None] = ("", None)
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._open = (tag, dict(attrs).get("type"))

    def handle_endtag(self, tag: str) -> None:
        self._open = ("", None)

    def handle_data(self, data: str) -> None:
        if self._open == ("script", "application/json"):
            self.drawings.append(json.loads(data))
        elif self._open[0] not in {"script", "style"}:
            self.words += data


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Scorecard, Path]:
    """A scorecard written to a folder, with a section of somebody else."""
    folder = tmp_path_factory.mktemp("shop")
    context, result = context_at(folder), predictions()
    card = scorecard_of(context, result, left_out={"btyd": "needs <b>30</b> customers"})
    own = Section(
        title="What we said",
        text="We said 30 %.\n\nIt came.",
        table=Table(("said", HOSTILE), [("30 %", "28.7 % (27.1 … 30.2 %)")]),
        pictures=[Picture("ledger", title="Ledger", alt="A line", figure=go.Figure(layout_title=HOSTILE))],
    )
    write_scorecard(context.layout, card, draw_figures(card, result), extra=[own])
    return card, context.layout.reports


@pytest.fixture(scope="module")
def page(judged: tuple[Scorecard, Path]) -> Elements:
    return Elements((judged[1] / "scorecard.html").read_text(encoding="utf-8"))


def test_the_page_asks_for_nothing_outside_itself(page: Elements) -> None:
    asking = [
        (tag, name, value)
        for tag, attributes in page.found
        for name, value in attributes.items()
        if name in {"src", "srcset", "action", "data"} or (name == "href" and not str(value).startswith("#"))
    ]
    assert asking == []
    policies = [found["content"] for tag, found in page.found if found.get("http-equiv")]
    assert policies
    assert str(policies[0]).startswith("default-src 'none'")


def test_the_page_stays_small_enough_to_mail(judged: tuple[Scorecard, Path]) -> None:
    text = (judged[1] / "scorecard.html").read_text(encoding="utf-8")
    assert text.count("plotly.js v") == 1
    assert len(text.encode()) < 6_000_000


def test_every_picture_can_be_drawn_and_has_its_content_in_words(page: Elements) -> None:
    named = [found for _, found in page.found if found.get("role") == "img"]
    assert len(page.drawings) == len(named) == 14
    assert all(found["aria-label"] for found in named)
    for drawing in page.drawings:
        go.Figure(drawing)


def test_what_others_write_cannot_become_a_program(page: Elements) -> None:
    assert HOSTILE in page.words
    assert "needs <b>30</b> customers" in page.words
    assert sum(tag == "b" for tag, _ in page.found) == 0
    assert page.drawings[-1]["layout"]["title"]["text"] == HOSTILE  # type: ignore[index]


def test_the_page_says_who_was_left_out_and_shows_every_section(page: Elements) -> None:
    for words in ("In one minute", "Left out", "btyd:", "What we said", "It came.", "Said and came"):
        assert words in page.words
    assert [found for tag, found in page.found if tag == "noscript"]


def test_the_data_can_be_read_again_and_holds_intervals(judged: tuple[Scorecard, Path]) -> None:
    card, folder = judged
    again = Scorecard.model_validate_json((folder / "scorecard.json").read_text(encoding="utf-8"))
    assert again == card
    for task in card.tasks.values():
        for recipe in task.candidates.values():
            for name, summary in recipe.metrics[task.horizon_days].items():
                if summary.mean is None or summary.low is None or summary.high is None:
                    assert name.startswith(("calibration_", "spearman")), name  # a constant has none
                    continue
                assert summary.low <= summary.mean + 1e-9
                assert summary.mean - 1e-9 <= summary.high
                assert set(summary.intervals_by_origin) == set(ORIGINS)


def test_the_winner_stands_beside_the_strongest_rule_customer_by_customer(
    judged: tuple[Scorecard, Path],
) -> None:
    churn = judged[0].tasks["churn"]
    gap = churn.candidates["lightgbm"].against_rule["log_loss"]
    assert churn.against_rule is not None
    assert (gap.mean, gap.low, gap.high) == pytest.approx(
        (churn.against_rule.mean, churn.against_rule.low, churn.against_rule.high)
    )
    assert churn.candidates["base_rate"].against_rule == {}
    ranking = churn.candidates["lightgbm"].against_rule["auc"]
    assert 0 < ranking.low < ranking.mean < ranking.high


def test_pictures_are_kept_as_data_with_their_titles(judged: tuple[Scorecard, Path]) -> None:
    kept = json.loads((judged[1] / "churn-calibration.json").read_text(encoding="utf-8"))
    assert kept["layout"]["title"]["text"] == f"Said and came: lightgbm, {HEADLINE_DAYS} days"
    assert not re.search(r"c0\d\d\d", json.dumps(kept)), "a customer"


def test_the_page_tells_what_lists_find_and_show_and_to_whom(page: Elements) -> None:
    for words in (
        "Chosen to serve: blend, better than the strongest simple rule, popular.",
        "New categories, ten named: cross_sell",
        "repeat recall@10",
        "explore recall@10",
        "Gini of exposure@10",
        "fallback share@10",
        "blend, and popular (below) by orders before the origin",
        "10 or more",
    ):
        assert words in page.words


def test_a_rule_that_serves_stands_beside_the_next_best_recipe(tmp_path: Path) -> None:
    context, result = context_at(tmp_path), predictions()
    result.recommender["ndcg"] = result.recommender["ndcg"].where(
        result.recommender["candidate"] == "popular", 0.0
    )
    lists = scorecard_of(context, result).tasks["recommender"]
    assert (lists.winner, lists.rival) == ("popular", "blend")
    assert "chosen to serve: popular, a simple rule: no model is better beyond doubt" in list_lines(lists)
    assert {part.against.rival for part in lists.segments if part.against} == {"blend"}


def test_what_has_no_value_says_why(tmp_path: Path) -> None:
    context, result = context_at(tmp_path), predictions()
    result.recommender["discovery"] = result.recommender["popular_discovery"] = float("nan")
    result.undefined = {
        "discovery_at_10": "no product has a category",
        "hit_at_10": "never told: it has a value",
    }
    card = scorecard_of(context, result)
    assert card.tasks["recommender"].undefined == {"discovery_at_10": "no product has a category"}
    assert "discovery hit@10 is not defined: no product has a category" in scorecard_text(card)
    titles = [table.caption for table in list_tables(card.tasks["recommender"])]
    assert not any("Discovery" in title for title in titles)


@pytest.mark.browser
def test_a_browser_draws_every_picture_from_the_file_alone(
    judged: tuple[Scorecard, Path], tmp_path: Path
) -> None:
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium is installed")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=10000", "--dump-dom"]
    page = (judged[1] / "scorecard.html").as_uri()
    command = [browser, *options, f"--user-data-dir={tmp_path}", page]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    assert len(re.findall(r'class="[^"]*svg-container"', shown)) == 14


def test_a_useless_model_is_told_to_keep_off(tmp_path: Path) -> None:
    context, result = context_at(tmp_path), predictions(useless=True)
    card = scorecard_of(context, result)
    assert [card.tasks[task].grade for task in ("churn", "clv")] == ["F", "F"]
    bad = [advice.text for advice in advice_of(card) if advice.tone == "bad"]
    assert len(bad) == 2
    assert all("no better than saying the same of everybody" in text for text in bad)
    write_scorecard(context.layout, card, draw_figures(card, result))
    written = Elements((context.layout.reports / "scorecard.html").read_text(encoding="utf-8"))
    assert [found for _, found in written.found if found.get("role") == "alert"]
    assert "keep off" in written.words


def test_a_model_that_knows_the_chances_meets_its_targets(judged: tuple[Scorecard, Path]) -> None:
    churn = judged[0].tasks["churn"]
    assert {gate.metric for gate in churn.gates if gate.passed} >= {"calibration_slope", "lift_top_decile"}
    assert "do not act on it" not in scorecard_text(judged[0])


@pytest.mark.parametrize("customer_count", [1, 2, 7])
def test_the_smallest_shops_get_a_page(tmp_path: Path, customer_count: int) -> None:
    context, result = context_at(tmp_path), predictions(customer_count=customer_count)
    card = scorecard_of(context, result)
    write_scorecard(context.layout, card, draw_figures(card, result))
    churn = card.tasks["churn"]
    assert churn.winner
    if customer_count == 1:
        assert churn.beats_baseline is False
        losses = churn.candidates[churn.winner].metrics[HEADLINE_DAYS]["log_loss"]
        assert (losses.low, losses.high) == (None, None)


def test_a_shop_without_a_back_test_is_told_so(tmp_path: Path) -> None:
    context, nothing = context_at(tmp_path), Backtest([])
    card = scorecard_of(context, nothing)
    write_scorecard(context.layout, card, draw_figures(card, nothing))
    assert {advice.tone for advice in advice_of(card)} == {"care"}
    text = (context.layout.reports / "scorecard.txt").read_text(encoding="utf-8")
    assert text.count("too short for") == 6


def test_intervals_are_told_by_tenth_in_every_form(judged: tuple[Scorecard, Path]) -> None:
    card, folder = judged
    coverage = card.tasks["clv"].coverage
    assert [row.decile for row in coverage] == list(range(1, 11))
    assert sum(row.customer_count for row in coverage) == 600
    assert [row.predicted_mean for row in coverage] == sorted(row.predicted_mean for row in coverage)
    for name in ("scorecard.txt", "scorecard.html"):
        assert "by tenth of predicted spend" in (folder / name).read_text(encoding="utf-8")


def test_the_totals_add_up(judged: tuple[Scorecard, Path]) -> None:
    value = judged[0].tasks["clv"]
    for recipe, totals in value.totals.items():
        bias = value.candidates[recipe].metrics[HEADLINE_DAYS]["total_bias"].by_origin
        for day, total in totals.items():
            assert total.predicted / total.actual - 1 == pytest.approx(bias[day])


def test_a_page_of_its_own_holds_its_sections(tmp_path: Path) -> None:
    write_page(tmp_path / "own.html", title="A & B", sections=[Section("One", "Text.")])
    written = Elements((tmp_path / "own.html").read_text(encoding="utf-8"))
    assert "A & B" in written.words
    assert "Text." in written.words


@pytest.mark.parametrize(
    ("low", "mean", "high", "words"),
    [
        (0.1, 0.2, 0.3, "It beats the best simple rule, formula_alone."),
        (-0.3, -0.2, -0.1, "The simple rule formula_alone is better."),
        (-0.1, 0.2, 0.3, "It seems to beat the best simple rule, formula_alone, but that may be chance."),
        (
            -0.3,
            -0.2,
            0.1,
            "It seems no better than the best simple rule, formula_alone, but that may be chance.",
        ),
    ],
)
def test_the_advice_says_which_way_the_evidence_points(
    tmp_path: Path, low: float, mean: float, high: float, words: str
) -> None:
    card = scorecard_of(context_at(tmp_path), predictions())
    against = Comparison(rival="formula_alone", mean=mean, low=low, high=high)
    value = card.tasks["clv"].model_copy(update={"against_rule": against})
    told = advice_of(card.model_copy(update={"tasks": card.tasks | {"clv": value}}))
    (graded,) = (advice for advice in told if advice.text.startswith("Value:"))
    assert graded.text.endswith(words)
    assert (graded.tone, "rely on it" in graded.text) == (("care", False) if high < 0 else ("good", True))
