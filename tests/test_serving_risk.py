"""Bands, lapsed customers, dates and null reasons on hand tables."""

import json
from datetime import date
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.rfm import RfmScheme, quintile_11, shopify_2021
from features.settings import RiskSettings
from serving.rows import NULLABLE_NAMES, STORED_NAMES
from serving.scoring.horizons import churn_horizons, days_until
from serving.scoring.risk import risk_cuts
from serving.scoring.run_scores import RunLabels, complete_rows
from serving.scoring.shop_cuts import ShopCuts, measure_cuts
from serving.scoring.stages import StageCuts

LABELS = RunLabels(
    as_of=date(2026, 7, 1),
    headline_days=30,
    churn_method="ml",
    clv_method="btyd",
    grade=None,
    has_recommender=True,
    beats_baseline=True,
)


def customer(customer_id: str, **changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "customer_id": customer_id,
        "recency_days": 10.0,
        "tenure_days": 300.0,
        "last_gap_days": 20.0,
        "act_recency_days": None,
        "order_count": 3.0,
        "spend_total": 90.0,
        "churn_probability": 0.2,
        "extrapolated": False,
        "average_days_between_orders": 20.0,
        "historic_number_of_orders": 3,
        "historic_clv": 90.0,
        "average_order_value": 30.0,
        "predicted_clv": 40.0,
        "value_at_risk": 8.0,
        "email_consent": None,
        "last_order_at": None,
        "churn_reference": 0.3,
        "reasons": "[]",
        "expected_date_of_next_order": None,
        "predicted_number_of_orders": 1.0,
    }
    for name in STORED_NAMES:
        if name.startswith(("churn_probability_", "predicted_clv_", "spend_if_order")):
            values.setdefault(name, 0.5)
        if name.startswith("next_order"):
            values.setdefault(name, None)
    return values | changes


class Completed(NamedTuple):
    rows: pl.DataFrame
    cuts: ShopCuts


def complete(
    *customers: dict[str, Any], lapsed_after_days: float | None = 60.0, rfm: RfmScheme | None = None
) -> Completed:
    schema: dict[str, Any] = {"email_consent": pl.Boolean, "last_order_at": pl.Datetime("us", "UTC")}
    schema["act_recency_days"] = pl.Float64
    dates = [name for name in STORED_NAMES if name.endswith("_date") or name.startswith("expected_date")]
    rows = pl.DataFrame(list(customers), schema_overrides=schema | dict.fromkeys(dates, pl.Date))
    scheme = rfm or quintile_11()
    cuts = measure_cuts(
        rows, risk=RiskSettings(), lapsed_after_days=lapsed_after_days, rfm=scheme, stages=StageCuts()
    )
    return Completed(complete_rows(rows, LABELS, cuts=cuts, rfm=scheme), cuts)


@pytest.mark.parametrize(
    ("usual", "medium", "high"),
    # 1.5 x .16 = .24; the two rules meet at .4; above it 1 - (1 - usual) / 1.5.
    [(0.16, 0.16, 0.24), (0.4, 0.4, 0.6), (0.8, 0.8, 0.866667), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)],
)
def test_cut_points(usual: float, medium: float, high: float) -> None:
    cuts = risk_cuts(usual, RiskSettings())
    assert (cuts.medium_from, cuts.high_from) == (medium, high)


@given(st.floats(0, 1))
def test_high_is_always_within_reach(usual: float) -> None:
    cuts = risk_cuts(usual, RiskSettings())
    assert cuts.high_from is not None
    assert cuts.medium_from is not None
    assert 0 <= cuts.medium_from <= cuts.high_from <= 1


def test_usual_risk_leaves_the_lapsed_out_and_bands_follow() -> None:
    scores = complete(
        customer("a", churn_probability=0.1),
        customer("b", churn_probability=0.2),
        customer("c", churn_probability=0.3),
        customer("d", churn_probability=0.95, recency_days=61.0),
    )
    assert scores.cuts.usual_probability == 0.2
    assert dict(scores.rows.select("customer_id", "risk_band").rows()) == {
        "a": "low",
        "b": "medium",
        "c": "high",
        "d": "high",
    }
    assert scores.rows["lapsed"].to_list() == [False, False, False, True]
    assert scores.rows["reactivation_probability"].to_list() == [None, None, None, 0.05]
    assert scores.rows["churn_percentile"].to_list() == [0, 25, 50, 75]


def test_a_second_order_is_foretold_only_of_who_ordered_once() -> None:
    once = customer("a", order_count=1.0, churn_probability_60=0.7)
    scores = complete(once, customer("b", churn_probability_60=0.7)).rows
    assert scores["second_order_probability_60"].to_list() == [0.3, None]
    assert json.loads(scores["null_reasons"][1])["second_order_probability_60"] == "not_one_order"


def test_high_value_is_flagged_in_both_usual_ways() -> None:
    # Five customers: the top fifth is one; 80 % of 100 is reached with the second.
    spends = {"a": 60.0, "b": 25.0, "c": 10.0, "d": 5.0, "e": 0.0}
    rows = complete(*(customer(name, predicted_clv=spend) for name, spend in spends.items())).rows
    assert rows["is_in_top_share"].to_list() == [True, False, False, False, False]
    assert rows["makes_most_revenue"].to_list() == [True, True, False, False, False]


def test_rfm_follows_the_scheme_asked_for() -> None:
    shop = [
        customer("a", recency_days=9.0, order_count_in_window=9.0, spend_in_window=90.0),
        customer("b", recency_days=200.0, order_count_in_window=3.0, spend_in_window=30.0),
        customer("c", recency_days=300.0, order_count_in_window=1.0, spend_in_window=10.0),
    ]
    tiers = complete(*shop, rfm=shopify_2021()).rows
    assert tiers["rfm_segment"].to_list() == ["top", "middle", "bottom"]
    assert tiers["rfm_recency"].to_list() == [3, 2, 1]
    # Three customers are enough for thirds, and too few for fifths.
    assert complete(*shop).rows["rfm_segment"].null_count() == 3
    assert complete(*shop[:2], rfm=shopify_2021()).rows["rfm_segment"].null_count() == 2


def test_every_null_is_explained_and_nothing_else() -> None:
    scores = complete(
        customer("a", average_days_between_orders=None), customer("b", reasons=None), lapsed_after_days=None
    )
    for row in scores.rows.iter_rows(named=True):
        nulls = {name for name in NULLABLE_NAMES if name in row and row[name] is None}
        assert set(json.loads(row["null_reasons"])) - {"quality.grade"} == nulls
    reasons = json.loads(scores.rows["null_reasons"][0])
    assert reasons["average_days_between_orders"] == "one_order"
    assert reasons["lapsed"] == "no_repeat_orders"
    assert reasons["rfm_segment"] == "too_few_customers"


def test_dates_follow_the_curve() -> None:
    # S(10) = .5 and S(20) = .25: halves every ten days, so S(t) = .75 at 10 * ln(.75) / ln(.5) = 4.15 days.
    curve = np.array([[0.5, 0.25], [0.9, 0.8], [0.0, 0.0], [1.0, 1.0]])
    quarter = days_until(curve, [10, 20], ordered_share=0.25)
    assert quarter[0] == 5
    assert np.isnan(quarter[1])
    assert quarter[2] == 1
    assert np.isnan(quarter[3])
    assert days_until(curve, [10, 20], ordered_share=0.5)[0] == 10
    assert days_until(curve, [10, 20], ordered_share=0.75)[0] == 20


@given(st.lists(st.floats(0, 1), min_size=3, max_size=3))
def test_a_larger_share_is_never_earlier(values: list[float]) -> None:
    curve = np.array([sorted(values, reverse=True)])
    days = [days_until(curve, [30, 60, 365], ordered_share=share)[0] for share in (0.25, 0.5, 0.75)]
    known = [day for day in days if not np.isnan(day)]
    assert known == sorted(known)
    assert days[len(known) :] == [] or all(np.isnan(days[len(known) :]))


def test_every_served_horizon_is_asked_for() -> None:
    asked = churn_horizons(45, 730)
    assert list(asked) == sorted(set(asked))
    assert {30, 45, 60, 90, 180, 365, 730} <= set(asked)
