"""The formula beside the model: what is said of a group, by hand; what a page shows of it."""

from pathlib import Path
from typing import Any

import pytest
from console_documents import DOCUMENTS
from serving_runs import meta, publish
from test_serving_api import open_client

from serving.console.formula_words import bridges
from serving.console.tongues import tongue
from serving.store.records import ChampionCard, RunMeta

GROUP: dict[str, Any] = {
    "name": "PREVIOUSLY_LOYAL",
    "customer_count": 188,
    "actual_mean": 100.0,
    "formula_mean": 156.0,
    "formula_bias": 0.56,
    "formula_mae": 90.0,
    "winner_mean": 110.0,
    "winner_bias": 0.1,
    "winner_mae": 60.0,
    "ordered_share": 0.4,
    "once_share": 0.0,
}
CLOSER = "Customer by customer the model is closer: off by €60.00 on average, the formula by €90.00."


def champion(*groups: dict[str, Any], method: str = "ml") -> dict[str, ChampionCard]:
    scorecard = {"groups": list(groups), "horizon_days": 30, "origins": ["2026-10-01", "2026-10-15"]}
    return {"clv": ChampionCard(name="clv", version=1, method=method, candidate="it", scorecard=scorecard)}


def at(**changes: Any) -> RunMeta:
    return meta(models=champion(GROUP | changes))


@pytest.mark.parametrize(
    ("changes", "sentences"),
    [
        (
            {},
            "The formula says 56 % too much: only 40 % of them ordered within 30 days, and it goes on as if "
            f"nobody left. {CLOSER}",
        ),
        (
            {"ordered_share": 0.85},
            "The formula says 56 % too much: 85 % of them still ordered, but spent less than the pace of "
            "their "
            f"whole past, which it goes on with. {CLOSER}",
        ),
        (
            {"once_share": 0.9},
            "The formula says 56 % too much: 90 % of them had ordered once. One order shows no pace yet, so "
            "it "
            f"lends them the shop’s, and 40 % of them ordered. {CLOSER}",
        ),
        (
            {"formula_bias": -0.3},
            "The formula says 30 % too little: they spent more than the pace of their whole past. It does "
            "not "
            f"know growth. {CLOSER}",
        ),
        (
            {"formula_bias": -0.3, "once_share": 0.5},
            "The formula says 30 % too little: 50 % of them had ordered once, and one order cannot show that "
            f"40 % of them would order. {CLOSER}",
        ),
        (
            {"formula_bias": -0.1, "winner_mae": 120.0},
            "The formula’s total is right to 10 %: together these customers went on as they were. Customer "
            "by "
            "customer the formula is closer: off by €90.00 on average, the model by €120.",
        ),
        (
            {"actual_mean": 0.0, "formula_bias": None, "winner_mae": 91.0},
            "Nobody spent anything within 30 days: the formula goes on as if nobody left, and pays them all "
            "the "
            "same. Customer by customer both are equally far off: €91.00 on average, the formula €90.00.",
        ),
        ({"actual_mean": -3.0, "formula_bias": None}, CLOSER),
        ({"customer_count": 29}, "Too few customers to tell."),
        (dict.fromkeys(("formula_mean", "formula_bias", "formula_mae")), ""),
    ],
)
def test_a_group_is_told_from_its_figures(changes: dict[str, Any], sentences: str) -> None:
    (found,) = bridges(at(**changes), tongue("en"))
    assert " ".join(found.sentences) == sentences
    assert found.name == "Previously loyal"


def test_a_formula_that_serves_stands_beside_no_other() -> None:
    (found,) = bridges(meta(models=champion(GROUP | {"formula_bias": 0.0}, method="formula")), tongue("en"))
    assert found.sentences[1] == "The formula is what serves here: no model did better."


def test_a_group_in_korean() -> None:
    (found,) = bridges(at(name="all customers"), tongue("ko"))
    assert found.name == "모든 고객"
    assert found.sentences[0] == (
        "공식이 56% 높습니다. 30일 안에 주문한 고객은 40%뿐인데, 공식은 아무도 떠나지 않은 것처럼 계산합니다."
    )


@pytest.mark.parametrize("models", [{}, champion()])
def test_a_run_without_groups_says_nothing(models: dict[str, ChampionCard]) -> None:
    assert bridges(meta(models=models), tongue("en")) == []


def test_the_page_sets_both_side_by_side(tmp_path: Path) -> None:
    few = GROUP | {"name": "NEW", "customer_count": 3}
    publish(tmp_path, ["c1"], documents=DOCUMENTS, models=champion(GROUP, few))
    with open_client(tmp_path) as client:
        page = client.get("/rfm").text
    for words in (
        "The formula beside the model",
        "total off by +56 %",
        "€156",
        CLOSER,
        "1 Oct 2026, 15 Oct 2026",
    ):
        assert words in page
    assert "Too few customers to tell." in page
