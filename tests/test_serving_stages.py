"""Lifecycle stages: every rule at its edge, and that everybody has exactly one."""

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.settings import LifecycleSettings
from serving.scoring.shop_cuts import ShopCuts
from serving.scoring.stages import STAGES, StageCuts, lifecycle_stage, loyal_from_orders

# Half of the shop's gaps fit into 20 days, 95 % into 60; after 200 days nobody comes back; 8 orders are many.
CUTS = StageCuts(usual_gap_days=20.0, fully_churned_days=200.0, loyal_from_orders=8)
SCHEMA: dict[str, Any] = {
    "historic_number_of_orders": pl.Int64,
    "recency_days": pl.Float64,
    "tenure_days": pl.Float64,
    "last_gap_days": pl.Float64,
    "act_recency_days": pl.Float64,
    "average_days_between_orders": pl.Float64,
    "lapsed": pl.Boolean,
    "risk_band": pl.String,
}
REGULAR: dict[str, Any] = {
    "historic_number_of_orders": 4,
    "recency_days": 10.0,
    "tenure_days": 300.0,
    "last_gap_days": 30.0,
    "act_recency_days": None,
    "average_days_between_orders": 30.0,
    "lapsed": False,
    "risk_band": "low",
}
ONCE: dict[str, Any] = {
    "historic_number_of_orders": 1,
    "last_gap_days": None,
    "average_days_between_orders": None,
}


def stage_of(changes: dict[str, Any], *, cuts: StageCuts = CUTS, window: float | None = 60.0) -> str:
    row = pl.DataFrame([REGULAR | changes], schema=SCHEMA)
    found = row.select(lifecycle_stage(cuts, lapsed_after_days=window, headline_days=90))
    return str(found["lifecycle_stage"].item())


@pytest.mark.parametrize(
    ("changes", "stage"),
    [
        ({}, "active"),
        ({"historic_number_of_orders": 0}, "prospect"),
        ({"historic_number_of_orders": None}, "prospect"),
        # The purchase clock: 60 and 200 days, and an act within 200 that keeps from being lost.
        ({"recency_days": 60.1, "lapsed": True}, "lapsed"),
        ({"recency_days": 200.0, "lapsed": True}, "lapsed"),
        ({"recency_days": 200.1, "lapsed": True}, "lost"),
        ({"recency_days": 250.0, "lapsed": True, "act_recency_days": 200.0}, "lapsed"),
        ({"recency_days": 250.0, "lapsed": True, "act_recency_days": 201.0}, "lost"),
        ({"recency_days": 70.0, "lapsed": True, "risk_band": "high"}, "lapsed"),
        # Beginners, whatever their risk: nearly everybody's first order looks risky.
        (ONCE | {"recency_days": 20.0, "tenure_days": 20.0, "risk_band": "high"}, "new"),
        (ONCE | {"recency_days": 21.0, "tenure_days": 21.0, "risk_band": "high"}, "onboarding"),
        ({"historic_number_of_orders": 2, "tenure_days": 15.0}, "onboarding"),
        ({"historic_number_of_orders": 2, "tenure_days": 60.0}, "onboarding"),
        ({"historic_number_of_orders": 2, "tenure_days": 61.0}, "active"),
        ({"historic_number_of_orders": 3, "tenure_days": 15.0}, "active"),
        ({"risk_band": "high"}, "at_risk"),
        ({"risk_band": "medium"}, "active"),
        ({"risk_band": None}, "active"),
        # Later than usual: by the own gap twice, or once where the other clock stands still as well.
        ({"average_days_between_orders": 20.0, "recency_days": 40.0}, "active"),
        ({"average_days_between_orders": 20.0, "recency_days": 40.5}, "slipping"),
        ({"recency_days": 31.0}, "active"),
        ({"recency_days": 31.0, "act_recency_days": 35.0}, "slipping"),
        ({"recency_days": 31.0, "act_recency_days": 5.0}, "active"),
        ({"recency_days": 29.0, "act_recency_days": 35.0}, "active"),
        ({"last_gap_days": 60.5}, "won_back"),
        ({"last_gap_days": 60.0}, "active"),
        ({"last_gap_days": 90.0, "risk_band": "high"}, "at_risk"),
        ({"last_gap_days": 90.0, "historic_number_of_orders": 9}, "won_back"),
        ({"historic_number_of_orders": 8}, "loyal"),
        ({"historic_number_of_orders": 7}, "active"),
        ({"historic_number_of_orders": 50, "risk_band": "high"}, "at_risk"),
    ],
)
def test_the_first_rule_that_fits_counts(changes: dict[str, Any], stage: str) -> None:
    assert stage_of(changes) == stage


@pytest.mark.parametrize(
    ("days", "stage"), [(90.0, "new"), (91.0, "active"), (274.0, "active"), (275.0, "lost")]
)
def test_a_shop_where_nobody_ordered_twice_goes_by_the_horizon(days: float, stage: str) -> None:
    cuts = StageCuts(fully_churned_days=274.0)
    once = ONCE | {"recency_days": days, "tenure_days": days, "lapsed": None}
    assert stage_of(once, cuts=cuts, window=None) == stage


def test_runs_made_before_have_no_windows_for_stages() -> None:
    """Whoever is scored again by such a run is neither lost nor loyal."""
    old = ShopCuts.model_validate(
        {
            "lapsed_after_days": 60.0,
            "usual_probability": 0.2,
            "medium_from": 0.2,
            "high_from": 0.3,
            "percentile_over": [],
            "rfm_edges": None,
            "most_revenue_from": None,
            "top_share_from": None,
        }
    )
    assert stage_of({"recency_days": 999.0, "lapsed": True}, cuts=old.stages) == "lapsed"
    assert stage_of({"historic_number_of_orders": 99}, cuts=old.stages) == "active"


@pytest.mark.parametrize(
    ("orders", "least"),
    [
        ([], None),
        ([1, 1], None),
        ([1, 2, 2, 2], 3),
        ([1, 1, 1, 2, 3, 4, 5, 20], 5),
        ([2.0, 4.0, 6.0, 8.0, 10.0], 8),
    ],
)
def test_loyal_is_the_upper_quarter_of_those_who_ordered_twice(
    orders: list[float], least: int | None
) -> None:
    assert loyal_from_orders(pl.Series(orders, dtype=pl.Float64)) == least


NUMBER = st.none() | st.floats(0, 400)


@given(
    st.fixed_dictionaries(
        {
            "historic_number_of_orders": st.none() | st.integers(0, 30),
            "recency_days": NUMBER,
            "tenure_days": NUMBER,
            "last_gap_days": NUMBER,
            "act_recency_days": NUMBER,
            "average_days_between_orders": NUMBER,
            "lapsed": st.none() | st.booleans(),
            "risk_band": st.sampled_from(["low", "medium", "high", None]),
        }
    ),
    st.sampled_from([CUTS, StageCuts()]),
    st.sampled_from([None, 60.0]),
)
def test_everybody_has_one_stage(row: dict[str, Any], cuts: StageCuts, window: float | None) -> None:
    assert stage_of(row, cuts=cuts, window=window) in STAGES


SILENT = {"recency_days": 29.0, "average_days_between_orders": 10.0}


@pytest.mark.parametrize(
    ("rule", "changes", "stage"),
    [
        ({"new_days": 45}, {"historic_number_of_orders": 1, "tenure_days": 45.0}, "new"),
        ({"new_days": 45}, {"historic_number_of_orders": 1, "tenure_days": 45.1}, "onboarding"),
        ({"onboarding_days": 30}, {"historic_number_of_orders": 2, "tenure_days": 31.0}, "active"),
        ({"habit_orders": 5}, {"historic_number_of_orders": 4, "tenure_days": 50.0}, "onboarding"),
        ({"won_back_days": 90}, {"last_gap_days": 90.0}, "active"),
        ({"won_back_days": 90}, {"last_gap_days": 90.1}, "won_back"),
        ({"slipping_times_own_gap": 3}, SILENT, "active"),
        ({"slipping_times_own_gap": 2}, SILENT, "slipping"),
        # Lost by the shop's word, whether lapsed or not.
        ({"lost_days": 40}, {"recency_days": 41.0, "lapsed": False}, "lost"),
    ],
)
def test_a_shop_sets_rules_of_its_own(rule: dict[str, Any], changes: dict[str, Any], stage: str) -> None:
    cuts = CUTS.model_copy(update={"rule": LifecycleSettings(**rule)})
    assert stage_of(changes, cuts=cuts) == stage


def test_the_orders_of_the_loyal_are_set_or_measured() -> None:
    orders = pl.Series([1, 2, 2, 2, 4], dtype=pl.Float64)
    measured = StageCuts(rule=LifecycleSettings(habit_orders=6)).with_orders(orders)
    assert measured.loyal_from_orders == 6
    assert StageCuts(rule=LifecycleSettings(loyal_orders=10)).with_orders(orders).loyal_from_orders == 10
    assert StageCuts().with_orders(orders).loyal_from_orders == 4
