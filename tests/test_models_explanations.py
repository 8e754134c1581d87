"""Reasons of a churn probability: they add up, the strongest are kept, the numbers are the customer's."""

from dataclasses import asdict
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_examples import make_examples, simulate_orders
from scipy.special import expit

from features.declare import Reason
from features.examples import Examples
from features.families import FEATURE_NAMES
from features.settings import BoostingSettings
from models.boosting import Recipe
from models.churn import HorizonChurn
from models.contract import Contributions
from models.explanations import (
    EFFECT_MIN,
    KEPT_EACH_WAY,
    VALUE_FEATURES,
    ChurnEffects,
    ChurnReason,
    churn_effects,
    named_reasons,
    probability_points,
)
from models.horizon import logit
from serving.wording import Wording

QUICK = Recipe(
    boosting=BoostingSettings(tree_count=40, learning_rate=0.1, rows_per_leaf_min=20),
    outcomes_min=20,
    thread_count=1,
)
DAYS = (14, 30, 45, 90, 120, 365, 1825)  # grid points, between two, beyond the last supported one


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


def explain_churn(churn: Any, features: pd.DataFrame, *, horizon_days: int) -> list[list[ChurnReason]] | None:
    """Return each customer's reasons, as scoring names them."""
    found = churn_effects(churn, features, horizon_days=horizon_days)
    return None if found is None else named_reasons(found, features)


class Calibrated:
    """A model behind a calibrator that is linear in the logit: p' = expit(a + b logit p)."""

    def __init__(self, model: HorizonChurn, a: float, b: float) -> None:
        self.model, self.a, self.b = model, a, b

    def predict(self, features: pd.DataFrame, *, horizons_days: list[int]) -> pd.DataFrame:
        return self.model.predict(features, horizons_days=horizons_days).apply(self._calibrated)

    def contributions(self, features: pd.DataFrame, *, horizon_days: int) -> Contributions:
        own = self.model.contributions(features, horizon_days=horizon_days)
        return Contributions(self._calibrated(own.reference), own.logits * self.b)

    def _calibrated(self, probabilities: "pd.Series[float]") -> "pd.Series[float]":
        values = expit(self.a + self.b * logit(probabilities.to_numpy()))
        return pd.Series(values, index=probabilities.index)


@pytest.fixture(scope="module")
def shop() -> Examples:
    return make_examples(simulate_orders(400))


@pytest.fixture(scope="module")
def fitted(shop: Examples) -> HorizonChurn:
    return HorizonChurn(recipe=QUICK).fit(shop)


@pytest.mark.parametrize("line", [None, (0.4, 0.8), (-1.0, 1.3)], ids=["plain", "flatter", "steeper"])
@pytest.mark.parametrize("days", DAYS)
def test_reference_and_all_effects_are_the_served_probability(
    fitted: HorizonChurn, shop: Examples, days: int, line: tuple[float, float] | None
) -> None:
    model: Any = fitted if line is None else Calibrated(fitted, *line)
    found = churn_effects(model, shop.current, horizon_days=days)
    assert found is not None
    served = model.predict(shop.current, horizons_days=[days])[days].to_numpy()
    assert np.abs(found.reference + found.effects.sum(axis=1) - served).max() < 1e-6
    named = np.where(found.is_named, found.effects, 0).sum(axis=1)
    assert np.abs(found.reference + named + found.rest - served).max() < 1e-6


def test_named_reasons_and_the_rest_are_the_probability(fitted: HorizonChurn, shop: Examples) -> None:
    found = churn_effects(fitted, shop.current, horizon_days=30)
    reasons = explain_churn(fitted, shop.current, horizon_days=30)
    assert found is not None
    assert reasons is not None
    told = [sum(reason.effect for reason in own) for own in reasons]
    served = fitted.predict(shop.current, horizons_days=[30])[30].to_numpy()
    assert found.reference + told + found.rest == pytest.approx(served, abs=5e-6)  # effects have six digits


@given(st.lists(st.lists(st.floats(-1, 1), min_size=9, max_size=9), min_size=0, max_size=5))
def test_the_cut_keeps_the_strongest_three_each_way(rows: list[list[float]]) -> None:
    effects = np.array(rows).reshape(-1, 9)
    found = ChurnEffects(("tenure",) * 9, np.full(len(effects), 0.5), effects)
    for row, named in zip(effects, found.is_named, strict=True):
        for sign in (1, -1):
            strong = np.sort(sign * row[sign * row >= EFFECT_MIN])[::-1][:KEPT_EACH_WAY]
            assert np.sort(sign * row[named & (sign * row > 0)])[::-1].tolist() == strong.tolist()


def test_everybody_has_a_list_and_keeps_their_own(fitted: HorizonChurn, shop: Examples) -> None:
    together = explain_churn(fitted, shop.current, horizon_days=30)
    assert together is not None
    assert len(together) == len(shop.current)
    for row in (0, 7, len(shop.current) - 1):
        assert [together[row]] == explain_churn(fitted, shop.current.iloc[[row]], horizon_days=30)
    for own in together:
        assert [abs(reason.effect) for reason in own] == sorted(
            (abs(reason.effect) for reason in own), reverse=True
        )
    assert explain_churn(fitted, shop.current.iloc[:0], horizon_days=30) == []


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


def test_a_reason_without_numbers_is_named_and_no_more() -> None:
    logits = {"recency_days": 0.9, "spend_change_90": 0.8}
    values = {"recency_days": 50.0, "median_gap_days": 20.0, "spend_90": 0.0, "spend_180": 0.0}
    features = pd.DataFrame([dict.fromkeys(FEATURE_NAMES, np.nan) | values], index=["c1"])
    churn: Any = HandChurn(pd.DataFrame([logits], index=["c1"]))
    found = churn_effects(churn, features, horizon_days=90)
    assert found is not None
    silence, trend = named_reasons(found, features, without_numbers=frozenset({"spend_trend"}))[0]
    assert (silence.code, silence.values["days"]) == ("gap_over_usual", 50)
    assert (trend.code, trend.values) == ("spend_trend", {})
    assert Wording().reason(trend.code, trend.values) == "how the spend changes"
