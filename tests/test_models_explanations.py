"""Reasons of a churn probability: they add up, the strongest are kept, the numbers are the customer's."""

from dataclasses import asdict
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.declare import Reason
from features.families import FEATURE_NAMES
from models.contract import Contributions
from models.explanations import KEPT_EACH_WAY, VALUE_FEATURES, explain_churn, probability_points


class HandChurn:
    """A churn model whose contributions are given by hand."""

    def __init__(self, logits: pd.DataFrame | None, reference: float = 0.2) -> None:
        self.logits = logits
        self.reference = reference

    def contributions(self, features: pd.DataFrame, *, horizon_days: int) -> Contributions | None:
        assert horizon_days == 90
        if self.logits is None:
            return None
        return Contributions(pd.Series(self.reference, index=features.index), self.logits)


def reasons_of(logits: dict[str, float] | None, **values: float) -> Any:
    features = pd.DataFrame([dict.fromkeys(FEATURE_NAMES, np.nan) | values], index=["c1"])
    table = None if logits is None else pd.DataFrame([logits], index=["c1"])
    churn: Any = HandChurn(table)
    found = explain_churn(churn, features, horizon_days=90)
    return None if found is None else [asdict(reason) for reason in found[0]]


def test_features_of_one_code_count_together_and_numbers_are_true() -> None:
    (reason,) = reasons_of(
        {"recency_days": 0.5, "recency_over_mean_gap": 0.5, "tenure_days": 0.001},
        recency_days=143.2,
        median_gap_days=41.0,
        tenure_days=900.0,
    )
    # From p0 = .2, odds .25; e^1.001 times that is .680, p = .405: all but a thousandth of it is this code's.
    assert reason["effect"] == pytest.approx(0.2047, abs=2e-4)
    assert (reason["code"], reason["direction"]) == ("gap_over_usual", "up")
    assert reason["values"] == {"days": 143, "usual_days": 41}


def test_the_strongest_come_first_and_weak_ones_are_left_out() -> None:
    logits = {
        "order_count": -0.5,
        "spend_total": 0.4,
        "tenure_days": 0.3,
        "mean_gap_days": 0.2,
        "product_count": 0.1,
        "discount_share": -0.02,
    }
    reasons = reasons_of(logits)
    assert [r["code"] for r in reasons] == ["order_count", "spend_level", "tenure", "rhythm"]
    assert [r["direction"] for r in reasons] == ["down", "up", "up", "up"]
    assert sum(r["direction"] == "up" for r in reasons) == KEPT_EACH_WAY


def test_trends_compare_two_windows() -> None:
    (reason,) = reasons_of({"order_count_change_90": 1.0}, order_count_90=1.0, order_count_180=5.0)
    assert reason["values"] == {"recent_orders": 1, "earlier_orders": 4, "window_days": 90}


def test_missing_numbers_are_null_and_no_reasons_are_none() -> None:
    (reason,) = reasons_of({"recency_days": 1.0}, recency_days=3.0)
    assert reason["values"] == {"days": 3, "usual_days": None}
    assert reasons_of(None) is None


@given(st.lists(st.floats(-3, 3), min_size=1, max_size=6), st.floats(0.001, 0.999))
def test_reference_and_effects_add_up_to_the_probability(logits: list[float], reference: float) -> None:
    effects = probability_points(np.array([logits]), np.array([reference]))
    odds = reference / (1 - reference) * np.exp(sum(logits))
    assert reference + effects.sum() == pytest.approx(odds / (1 + odds), abs=1e-6)


def test_every_code_has_numbers_that_are_features() -> None:
    assert set(VALUE_FEATURES) == set(get_args(Reason))
    assert {feature for names in VALUE_FEATURES.values() for feature in names.values()} <= set(FEATURE_NAMES)
