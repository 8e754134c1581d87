"""`make cohorts` on the shop worked by hand in `test_features_first_days`, with a floor of three customers.

            customers                    first 30         first 90               predicted   cost
web         a, b, c                      5, 40, 60        25, 40, 60             30, 20, 10  10, 20, -
ads         d, e, f (open)               10, 8            -                      5, 5, 5     5, -, -
unknown     g                            100              100                    5           -
"""

import csv
import io
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from features_shop import line, write_shop
from ledger_runs import keep, said
from test_features_first_days import AS_OF, LATER, LINES

from features.console import run_command
from features.first_days import FIRST_DAYS
from features.history import MONEY_SCALE
from features.ingest import load
from features.layout import Layout
from features.settings import BacktestSettings, FeatureSettings, Settings, ShopSettings
from features.sources import Request
from features.synthetic.shop import SyntheticShop
from features.synthetic.shop import write_shop as write_synthetic
from features.synthetic.spec import ShopSpec
from training.cohort_draws import GroupMean
from training.cohort_report import TOO_FEW, CohortReport, cohort_csv, cohort_text
from training.cohort_values import (
    GroupValue,
)
from training.cohorts import _command, cohort_report

SETTINGS = Settings(backtest=BacktestSettings(bootstrap_count=200))
CUSTOMERS = [
    {"customer_id": "a", "acquisition_channel": "web", "acquisition_cost_minor": 10 * MONEY_SCALE},
    {"customer_id": "b", "acquisition_channel": " web ", "acquisition_cost_minor": 20 * MONEY_SCALE},
    {"customer_id": "c", "acquisition_channel": "web"},
    {"customer_id": "d", "acquisition_channel": "ads", "acquisition_cost_minor": 5 * MONEY_SCALE},
    {"customer_id": "e", "acquisition_channel": "ads"},
    {"customer_id": "f", "acquisition_channel": "ads"},
    {"customer_id": "g", "acquisition_channel": " "},
    {"customer_id": "late", "acquisition_channel": "web"},
]
WHO = list("abcdefg")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    write_shop(tmp_path / "history", LINES + LATER, customers=CUSTOMERS)
    return Layout(tmp_path)


def publish(layout: Layout, customers: list[str] | None = None, **changes: Any) -> Path:
    scored_at = datetime(2026, 1, 1, 0, 10, tzinfo=UTC)
    told = said(WHO if customers is None else customers)
    return keep(layout.ledger, told, **({"as_of": AS_OF, "scored_at": scored_at} | changes))


def report(layout: Layout, settings: Settings = SETTINGS, *, customers_min: int = 3) -> CohortReport:
    return cohort_report(layout, settings, as_of=str(AS_OF), customers_min=customers_min)


def shown(mean: GroupMean) -> tuple[int, float | None]:
    return mean.customer_count, None if mean.estimate is None else round(mean.estimate.value, 6)


def spends(row: GroupValue) -> list[tuple[int, float | None]]:
    return [shown(row.first[days]) for days in FIRST_DAYS]


def squeezed(text: str) -> list[str]:
    return [" ".join(each.split()) for each in text.splitlines()]


def test_channels_worked_by_hand(layout: Layout) -> None:
    publish(layout)
    found = report(layout)
    ads, web, unknown = found.channels
    assert [row.group for row in found.channels] == ["ads", "web", "unknown"]
    assert (web.customer_count, ads.customer_count, unknown.customer_count) == (3, 3, 1)
    assert (web.reordered_share, ads.reordered_share) == (pytest.approx(2 / 3), pytest.approx(1 / 3))
    assert (web.historic_mean, ads.historic_mean) == (pytest.approx(125 / 3), 9.0)
    assert spends(web) == [(3, 35.0), (3, round(125 / 3, 6)), (3, round(125 / 3, 6)), (1, None)]
    assert spends(ads) == [(2, None), (0, None), (0, None), (0, None)]
    assert (shown(web.predicted), shown(web.total)) == ((3, 20.0), (3, round(185 / 3, 6)))
    assert (shown(unknown.predicted), found.predicted_days) == ((1, None), 90)
    assert (web.cost_count, web.cost_mean, ads.cost_count, ads.cost_mean) == (2, 15.0, 1, 5.0)
    assert (web.return_days, web.return_on_cost.estimate) == (None, None)
    assert (web.lead_in_count, ads.lead_in_count) == (2, 0)
    everybody = found.together
    assert spends(everybody)[:2] == [(6, round(223 / 6, 6)), (4, 56.25)]
    # a, b and d have a cost and 30 days; only a and b have 90: (5 + 40 + 10) ÷ 35.
    assert (everybody.return_days, shown(everybody.return_on_cost)) == (30, (3, round(55 / 35, 6)))


def test_cohorts_are_months_of_the_first_order(layout: Layout) -> None:
    rows = {row.group: row for row in report(layout).cohorts}
    sizes = {group: (row.customer_count, row.lead_in_count) for group, row in rows.items()}
    assert sizes == {
        "2024-12": (1, 1),
        "2025-01": (1, 1),
        "2025-02": (1, 0),
        "2025-06": (1, 0),
        "2025-11": (1, 0),
        "2025-12": (2, 0),
    }


def test_new_customers_are_told_with_and_without_the_lead_in(layout: Layout) -> None:
    first, *_ = report(layout).new_customers
    assert (shown(first.everybody), shown(first.after_lead_in)) == ((6, round(223 / 6, 6)), (4, 44.5))
    assert (shown(first.older), shown(first.newest), first.difference) == ((2, None), (2, None), None)
    assert first.newest_from == date(2025, 11, 15)


def test_gross_money_is_before_returns(layout: Layout) -> None:
    gross = Settings(shop=ShopSettings(clv_basis="gross"), backtest=SETTINGS.backtest)
    web = report(layout, gross).channels[1]
    assert (shown(web.first[30]), round(web.historic_mean, 6)) == ((3, round(110 / 3, 6)), round(130 / 3, 6))
    assert "EUR gross" in cohort_text(report(layout, gross))


def test_margin_is_what_the_cost_of_goods_leaves(layout: Layout) -> None:
    margin = Settings(shop=ShopSettings(clv_basis="margin", margin_share=0.25), backtest=SETTINGS.backtest)
    web = report(layout, margin).channels[1]
    assert (shown(web.first[30]), round(web.historic_mean, 6)) == ((3, 35.0 / 4), round(125 / 12, 6))
    assert "EUR margin" in cohort_text(report(layout, margin))


def test_margin_without_any_cost_is_net_and_says_so(layout: Layout) -> None:
    publish(layout)
    asked = Settings(shop=ShopSettings(clv_basis="margin"), backtest=SETTINGS.backtest)
    found = report(layout, asked)
    assert found.notes[0].startswith("revenue basis: no sold product has a unit_cost")
    assert replace(found, notes=()) == replace(report(layout), notes=())
    costed = report(layout, Settings(shop=ShopSettings(clv_basis="margin", margin_share=0.5)))
    assert "said it in EUR net, and now it is EUR margin 0.5" in costed.notes[0]


def test_nothing_on_or_after_the_day_changes_the_report(layout: Layout, tmp_path: Path) -> None:
    write_shop(tmp_path / "other" / "history", LINES, customers=CUSTOMERS)
    assert report(layout) == report(Layout(tmp_path / "other"))


def test_fewer_than_thirty_customers_get_no_figure(tmp_path: Path) -> None:
    lines = [line(f"m{n}", f"m{n}", "2025-03-01T10:00", 10.0 + n) for n in range(30)]
    lines += [line(f"n{n}", f"n{n}", "2025-04-01T10:00", 10.0 + n) for n in range(29)]
    write_shop(tmp_path / "history", lines)
    found = cohort_report(Layout(tmp_path), SETTINGS, as_of="2026-01-01")
    text = squeezed(cohort_text(found))
    assert [shown(row.first[30]) for row in found.cohorts] == [(30, 24.5), (29, None)]
    months = [each for each in text if each.startswith("2025-04")]
    assert months[1] == " ".join(["2025-04", *[f"{TOO_FEW} n 29"] * 3, f"{TOO_FEW} n 0"])
    assert any("not enough customers: fewer than 30 of whom" in each for each in text)


def test_the_text_says_what_every_column_is(layout: Layout) -> None:
    publish(layout)
    text = squeezed(cohort_text(report(layout)))
    assert text[0] == "as of 2026-01-01 · EUR net per customer · 7 customers"
    for words in (
        "customers again so far next 90 days so far + next cost to win brought ÷ cost",
        "2 first ordered in the first 30 days of the history",
        "next 90 days: mean predicted_clv of those who are customers today, from today on",
        "first 30 days: not enough customers",
    ):
        assert any(words in each for each in text), words
    (web,) = (each for each in text if each.startswith("web 3 "))
    assert web.startswith("web 3 67% 41.67 20.00 (")
    assert web.endswith("61.67 15.00 not enough customers")
    assert sum(each.startswith("* 2025-01 ") for each in text) == 2
    assert sum(each.startswith("2025-02 ") for each in text) == 2


def test_without_channels_the_report_says_how_to_load_them(tmp_path: Path) -> None:
    write_shop(tmp_path / "history", LINES)
    found = report(Layout(tmp_path))
    assert found.channels == []
    text = cohort_text(found)
    assert "no channel is known; load a customer table that has them: `make data CUSTOMERS=" in text
    assert "cost to win" not in text


def test_a_window_of_observation_changes_nothing_and_is_told(layout: Layout) -> None:
    windowed = Settings(features=FeatureSettings(observation_days=60), backtest=SETTINGS.backtest)
    note = "features.observation_days = 60 is set aside here"
    found = report(layout, windowed)
    assert found.notes[0].startswith(note)
    assert replace(found, notes=()) == replace(report(layout), notes=())


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


@pytest.mark.parametrize(
    ("customers", "changes", "spoil", "said_so"),
    [
        (WHO, {"clv_basis": "gross"}, None, "run s_0001 said it in EUR gross, and now it is EUR net"),
        (WHO, {"currency": "USD"}, None, "run s_0001 said it in USD net, and now it is EUR net"),
        (WHO, {"as_of": date(2025, 12, 31)}, None, "no run published as of 2026-01-01 is kept"),
        (["x", "y", "z", "a", "b", "c"], {}, None, "the run holds 3 of 7 customers"),
        (WHO, {}, damage, "damaged"),
    ],
)
def test_a_run_that_does_not_fit_is_named_and_left_out(
    layout: Layout,
    customers: list[str],
    changes: dict[str, Any],
    spoil: Callable[[Path], None] | None,
    said_so: str,
) -> None:
    path = publish(layout, customers, **changes)
    if spoil is not None:
        spoil(path)
    found = report(layout)
    assert found.predicted_days is None
    assert {row.predicted.customer_count for row in found.channels} == {0}
    assert said_so in found.notes[-1]
    assert "so far + next" not in cohort_text(found)


def test_customers_whom_the_run_does_not_hold_are_counted(layout: Layout) -> None:
    publish(layout, WHO[:6])
    found = report(layout)
    assert found.notes == ["predicted_clv is known of 6 of 7 customers; see `make score`"]
    assert (found.together.predicted.customer_count, found.together.customer_count) == (6, 7)


def test_the_newest_run_of_the_day_counts(layout: Layout) -> None:
    publish(layout)
    later = datetime(2026, 1, 1, 8, tzinfo=UTC)
    rows = said(WHO, predicted_clv_90=77.0)
    keep(layout.ledger, rows, as_of=AS_OF, scored_at=later, score_run_id="s_0002")
    assert shown(report(layout).together.predicted) == (7, 77.0)


def test_the_file_has_a_row_a_group_and_runs_nothing(tmp_path: Path) -> None:
    nasty = [{**row, "acquisition_channel": "=1+1"} for row in CUSTOMERS[:3]]
    write_shop(tmp_path / "history", LINES, customers=nasty)
    publish(Layout(tmp_path))
    rows = list(csv.DictReader(io.StringIO(cohort_csv(report(Layout(tmp_path))), newline="")))
    kinds = [(row["kind"], row["group"]) for row in rows]
    assert kinds[:2] == [("channel", "'=1+1"), ("channel", "unknown")]
    assert kinds[2:] == [
        *(("cohort", row.group) for row in report(Layout(tmp_path)).cohorts),
        ("all", "all customers"),
        ("new", "after 30 days"),
    ]
    web, everybody, new = rows[0], rows[-2], rows[-1]
    assert (web["first_90_count"], web["first_90_mean"]) == ("3", "41.6667")
    assert float(web["first_90_low"]) <= 41.6667 <= float(web["first_90_high"])
    assert (web["first_365_count"], web["first_365_mean"], web["first_365_high"]) == ("1", "", "")
    assert (web["predicted_clv_mean"], web["predicted_clv_days"], web["lead_in_count"]) == ("20.0", "90", "2")
    assert (everybody["customer_count"], everybody["clv_basis"], everybody["as_of"]) == (
        "7",
        "net",
        "2026-01-01",
    )
    assert (new["first_30_count"], new["first_30_mean"], new["historic_mean"]) == ("4", "44.5", "")


def call(monkeypatch: pytest.MonkeyPatch, var: Path, *words: str) -> int | str | None:
    monkeypatch.delenv("REGULARS_CONFIG", raising=False)
    monkeypatch.setattr(sys, "argv", ["cohorts", "--var", str(var), *words])
    with pytest.raises(SystemExit) as stopped:
        run_command(_command)
    return stopped.value.code


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up shop of 400 customers, three of four won through ads or a newsletter, at 4.00 each."""
    folder = tmp_path_factory.mktemp("shop")
    write_synthetic(SyntheticShop(ShopSpec(customer_count=400, day_count=500)), folder)
    path = folder / "customers.parquet"
    number = pl.int_range(pl.len()) % 4
    channel = number.replace_strict({0: None, 1: "ads", 2: "ads", 3: "newsletter"}, return_dtype=pl.String)
    pl.read_parquet(path).with_columns(acquisition_channel=channel, acquisition_cost=4.0).write_parquet(path)
    request = Request(files=(folder / "order_lines.parquet",), companions={"customers": path})
    load(request, layout=Layout(folder / "var"), time_zone="UTC")
    return folder / "var"


def test_the_command_prints_a_report_and_writes_a_file(
    synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "cohorts.csv"
    assert call(monkeypatch, synthetic, "--out", str(out)) in (0, None)
    text = capsys.readouterr().out
    with out.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    ads = next(row for row in rows if row["group"] == "ads")
    assert [row["group"] for row in rows if row["kind"] == "channel"] == ["ads", "newsletter", "unknown"]
    mean, low, high = (f"{float(ads[f'first_90_{part}']):,.2f}" for part in ("mean", "low", "high"))
    assert f"{mean} ({low} … {high})  n {ads['first_90_count']}" in text
    assert (ads["cost_mean"], ads["return_on_cost_days"]) == ("4.0", "365")
    assert int(ads["customer_count"]) == 200
    assert "no run published as of" in text
    assert text.endswith(f"written: {out}\n")


@pytest.mark.parametrize(
    ("words", "said_so"),
    [
        (("--as-of", "2020-01-01"), "error: nobody had ordered before 2020-01-01; name a later date"),
        (("--as-of", "soon"), "error: AS_OF=soon is no date"),
        (("--out", "report.xlsx"), "error: OUT=report.xlsx is no CSV file; write it as OUT=cohorts.csv"),
        (("--out", "/dev/null/cohorts.csv"), "error: "),
    ],
)
def test_a_mistake_is_one_line(
    layout: Layout,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    said_so: str,
) -> None:
    assert call(monkeypatch, layout.root, *words) == 2
    told = capsys.readouterr()
    assert told.err.startswith(said_so)
    assert (told.err.count("\n"), told.out) == (1, "")


def test_without_a_history_the_command_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, tmp_path / "nothing") == 2
    assert "run `make data FILE=orders.csv` first" in capsys.readouterr().err
