"""What a run is warned of, on hand tables: each warning when its cause is there, and not otherwise."""

from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest
from serving_runs import meta

from features.holes import Hole
from features.settle import BasisNote
from serving.scoring.warnings import FEW_CUSTOMERS, run_warnings
from serving.store.records import ChampionCard, RunMeta

GOOD = {"lapsed": [False] * FEW_CUSTOMERS}


def card(grade: str | None) -> ChampionCard:
    return ChampionCard(
        name="x", version=1, method="ml", candidate="m", mlflow_run_id="r", data_until=date(2026, 1, 1),
        beats_baseline=True, grade=grade, scorecard={},
    )  # fmt: skip


def run_meta(**changes: Any) -> RunMeta:
    models = {"churn": card("A"), "clv": card("B")}
    return meta(**{"models": models, "lapsed_after_days": 60.0, "first_season": False} | changes)


@pytest.mark.parametrize(
    ("code", "rows", "changes", "text"),
    [
        ("grade_f", GOOD, {"models": {"churn": card("F"), "clv": card("B")}}, "do not act on its lists"),
        ("not_judged", GOOD, {"models": {"churn": card(None), "clv": card(None)}}, "nobody has checked"),
        ("few_customers", {"lapsed": [False] * 60}, {}, "60 customers teach little"),
        (
            "no_repeat_orders",
            {"lapsed": [None] * 300},
            {"lapsed_after_days": None},
            "nobody has ordered twice",
        ),
        ("nearly_all_lapsed", {"lapsed": [True] * 290 + [False] * 10}, {}, "290 of 300 customers"),
        ("first_season", GOOD, {"first_season": True}, "this time of the year"),
        (
            "old_data",
            GOOD,
            {"as_of": date(2026, 1, 1), "scored_at": datetime(2026, 7, 20, 6, tzinfo=UTC)},
            "the newest order is 200 days older",
        ),
    ],
)
def test_each_cause_has_its_warning(
    code: str, rows: dict[str, list[bool]], changes: dict[str, Any], text: str
) -> None:
    found = run_warnings(pl.DataFrame(rows, schema={"lapsed": pl.Boolean}), run_meta(**changes), [])
    assert [warning.code for warning in found] == [code]
    assert text in found[0].text


def test_a_sound_run_has_none_and_a_hole_is_dated() -> None:
    rows = pl.DataFrame(GOOD)
    assert run_warnings(rows, run_meta(), []) == []
    (told,) = run_warnings(rows, run_meta(), [Hole(20_000.0, 20_041.0, 1.0)])
    assert told.text.startswith("no order between 2024-10-04 and 2024-11-14 (41 days)")


def test_a_money_basis_that_was_not_asked_for_is_told_last() -> None:
    meta, rows = run_meta(first_season=True), pl.DataFrame(GOOD)
    *_, told = run_warnings(rows, meta, [], BasisNote("revenue_basis", {}))
    assert (told.code, told.values) == ("revenue_basis", {})
    assert told.text.startswith("revenue basis: no sold product has a unit_cost")


def test_a_denied_name_that_no_product_has_is_told() -> None:
    rows = pl.DataFrame({"lapsed": [False] * FEW_CUSTOMERS})
    (told,) = run_warnings(rows, run_meta(), [], unknown_denied=["Whine", "p9"])
    assert (told.code, told.values) == ("denied_unknown", {"name_count": 2, "first_name": "Whine"})
    assert "2 of the names" in told.text
    assert "Whine" in told.text
