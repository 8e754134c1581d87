"""A customer of a sample who stands for two counts like two: duplicates would teach the same."""

from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pytest
from model_examples import HEADLINE_DAYS, QUICK, make_examples, simulate_orders

from features.customer_sample import CustomerSample
from features.examples import Examples
from models.baselines import BaseRateChurn
from models.btyd import PurchaseHistories, fit_btyd
from models.btyd_spend import BtydSpend, weighted_sum
from models.churn import BlendedChurn, HorizonChurn
from models.clv import HurdleClv
from models.formula import OrderFormula
from models.gamma_gamma import GammaGamma
from models.horizon import stack_rows
from models.season import money_level, odds_level

EXAMPLES = make_examples(simulate_orders(600), snapshot_count=5)
TWICE = np.where(np.arange(len(EXAMPLES.current)) % 3 == 0, 2.0, 1.0)
DOUBLED = pd.concat([EXAMPLES.current, EXAMPLES.current[TWICE == 2.0]])


def sampled(weights: dict[str, float]) -> Examples:
    """Return the examples of the customers named, who stand for so many."""
    ids = pl.Series(sorted(weights))
    values = np.array([weights[one] for one in ids])
    sample = CustomerSample(ids, values, np.ones(len(ids), dtype=bool), round(values.sum()))
    kept = EXAMPLES.features.index.get_level_values("customer_id").isin(list(weights))
    current = EXAMPLES.current[EXAMPLES.current.index.isin(list(weights))]
    return replace(
        EXAMPLES,
        features=EXAMPLES.features[kept],
        labels=EXAMPLES.labels[kept],
        current=current,
        sample=sample,
    )


def mostly_churners() -> Examples:
    """Return all who churned at the newest snapshot whose outcome is known, and every third of the others."""
    known = EXAMPLES.labels["churned_14"].dropna()
    churned = known.xs(known.index.get_level_values("as_of").max(), level="as_of")
    stayers = churned.index[churned == 0][::3]
    return sampled(dict.fromkeys(churned.index[churned == 1], 1.0) | dict.fromkeys(stayers, 3.0))


def test_levels_are_those_of_duplicates() -> None:
    margins, ordered = np.array([0.5, -1.0, 0.2]), np.array([1.0, 0.0, 1.0])
    weighted = odds_level(margins, ordered, weights=np.array([2.0, 1.0, 1.0]))
    doubled = odds_level(margins[[0, 0, 1, 2]], ordered[[0, 0, 1, 2]])
    assert weighted is not None
    assert doubled is not None
    assert weighted.shift == pytest.approx(doubled.shift)
    assert weighted.variance == pytest.approx(doubled.variance)
    # log((2 x 30 + 10) / (2 x 10 + 20))
    money = money_level(np.array([10.0, 20.0]), np.array([30.0, 10.0]), weights=np.array([2.0, 1.0]))
    assert money is not None
    assert money.shift == pytest.approx(np.log(70 / 40))


def test_sums_count_by_weight() -> None:
    assert weighted_sum(np.array([1.0, 10.0]), np.array([3.0, 0.5])) == 8.0
    assert weighted_sum(np.array([1.0, 10.0]), None) == 11.0


def test_btyd_is_that_of_duplicates() -> None:
    weighted = fit_btyd(PurchaseHistories.from_features(EXAMPLES.current, weights=TWICE))
    doubled = fit_btyd(PurchaseHistories.from_features(DOUBLED))
    for name in ("r_", "alpha_", "a_", "b_"):
        assert getattr(weighted, name) == pytest.approx(getattr(doubled, name), rel=1e-3), name
    spend = BtydSpend().fit(EXAMPLES.current, orders=weighted, weights=TWICE)
    twice = BtydSpend().fit(DOUBLED, orders=doubled)
    assert spend.order_value_ == pytest.approx(twice.order_value_)
    assert spend.spend_.p_ == pytest.approx(twice.spend_.p_, rel=1e-3)


def test_gamma_gamma_is_that_of_duplicates() -> None:
    x, m = np.array([1.0, 3.0, 2.0]), np.array([10.0, 30.0, 20.0])
    weighted = GammaGamma(penalty=0.05).fit(x, m, weights=np.array([1.0, 2.0, 1.0]))
    doubled = GammaGamma(penalty=0.05).fit(x[[0, 1, 1, 2]], m[[0, 1, 1, 2]])
    answers = [model.expected_spend(2.0, 15.0) for model in (weighted, doubled)]
    assert answers[0] == pytest.approx(answers[1], rel=1e-2)


def test_the_formula_is_that_of_duplicates() -> None:
    weighted = OrderFormula.of(EXAMPLES.current, weights=TWICE).shop_orders_per_day
    assert weighted == pytest.approx(OrderFormula.of(DOUBLED).shop_orders_per_day)


def test_base_rates_are_weighted_means() -> None:
    examples = mostly_churners()
    known = examples.labels["churned_14"].dropna()
    weights = examples.weights_of(known.to_frame())
    told = {
        name: float(BaseRateChurn().fit(each).predict(EXAMPLES.current, horizons_days=[14]).iloc[0, 0])
        for name, each in (("weighted", examples), ("plain", replace(examples, sample=None)))
    }
    assert told["weighted"] == pytest.approx(np.average(known, weights=weights), abs=1e-3)
    assert told["plain"] == pytest.approx(known.mean(), abs=1e-3)
    assert told["plain"] > told["weighted"] + 0.03


def test_boosters_learn_the_shops_level_though_churners_were_taken_more_often() -> None:
    examples = mostly_churners()
    means = [
        float(HorizonChurn(recipe=QUICK).fit(each).predict(EXAMPLES.current, horizons_days=[14])[14].mean())
        for each in (EXAMPLES, examples, replace(examples, sample=None))
    ]
    assert abs(means[1] - means[0]) < 0.03
    assert means[2] > means[0] + 0.03


def test_rows_carry_their_customers_weights() -> None:
    names = EXAMPLES.current.index
    examples = sampled(dict.fromkeys(names[:100], 1.0) | dict.fromkeys(names[100:], 4.0))
    rows = stack_rows(examples, (14, 30), label="churned")
    assert rows.weights is not None
    owners = examples.features.index.get_level_values("customer_id").to_numpy()[rows.positions]
    ratio = rows.weights[owners >= names[100]].mean() / rows.weights[owners < names[100]].mean()
    assert ratio == pytest.approx(4.0)
    assert stack_rows(EXAMPLES, (14,), label="churned").weights is None
    half = rows.chosen(slice(None, None, 2))
    assert half.weights is not None
    assert len(half.weights) == len(half.target)


def test_every_recipe_learns_from_a_weighted_sample() -> None:
    names = EXAMPLES.current.index
    examples = sampled(dict.fromkeys(names[::2], 2.0))
    churn = BlendedChurn(recipe=QUICK).fit(examples)
    chances = 1 - churn.predict(examples.judged, horizons_days=[HEADLINE_DAYS])
    clv = HurdleClv(recipe=QUICK).fit(examples)
    spends = clv.predict(examples.judged, order_probability=chances, horizons_days=[HEADLINE_DAYS])
    assert np.isfinite(spends.to_numpy()).all()
    # Equal weights say nothing: the same as without any.
    plain = HurdleClv(recipe=QUICK).fit(replace(examples, sample=None))
    same = plain.predict(examples.judged, order_probability=chances, horizons_days=[HEADLINE_DAYS])
    np.testing.assert_allclose(spends.to_numpy(), same.to_numpy(), rtol=1e-6)
