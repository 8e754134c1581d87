"""Tested reasons: deleting what is named moves the answer more than chance, and a planted fault is seen."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from model_examples import HEADLINE_DAYS, make_examples, simulate_orders
from scipy.special import expit

from features.examples import Examples
from features.settings import BoostingSettings
from models.baselines import RecencyChurn
from models.boosting import Recipe
from models.churn import HorizonChurn
from models.contract import Contributions
from models.faithfulness import (
    faithfulness_text,
    measure_faithfulness,
    measure_stability,
    stability_text,
)

RECIPE = Recipe(
    boosting=BoostingSettings(tree_count=40, learning_rate=0.1, rows_per_leaf_min=20),
    outcomes_min=20,
    thread_count=1,
)


class OnlyRecency:
    """p = expit(recency_days / 10): one feature counts, and one that is given is named for it."""

    supported_days_ = 365

    def __init__(self, named: str) -> None:
        self.named = named

    def predict(self, features: pd.DataFrame, *, horizons_days: list[int]) -> pd.DataFrame:
        answers = expit(features["recency_days"].to_numpy() / 10)
        return pd.DataFrame({days: answers for days in horizons_days}, index=features.index)

    def contributions(self, features: pd.DataFrame, *, horizon_days: int) -> Contributions:
        logits = pd.DataFrame(0.0, index=features.index, columns=features.columns)
        logits[self.named] = features["recency_days"] / 10
        return Contributions(pd.Series(0.5, index=features.index), logits)


class Shuffled:
    """A model whose reasons are its own, but of other features (a column each) or other customers (rows)."""

    def __init__(self, model: HorizonChurn, axis: int) -> None:
        self.model, self.axis, self.predict = model, axis, model.predict

    def contributions(self, features: pd.DataFrame, *, horizon_days: int) -> Contributions:
        own = self.model.contributions(features, horizon_days=horizon_days)
        generator = np.random.default_rng(3)
        values = own.logits.to_numpy()
        shuffled = generator.permuted(values, axis=1) if self.axis else generator.permutation(values)
        logits = pd.DataFrame(shuffled, index=features.index, columns=features.columns)
        return Contributions(own.reference, logits)


@pytest.fixture(scope="module")
def shop() -> Examples:
    return make_examples(simulate_orders(700))


@pytest.fixture(scope="module")
def fitted(shop: Examples) -> HorizonChurn:
    return HorizonChurn(recipe=RECIPE).fit(shop)


def measured(model: Any, features: pd.DataFrame, *, seed: int = 1) -> Any:
    return measure_faithfulness(model, features, horizon_days=HEADLINE_DAYS, seed=seed)


def four_features(count: int = 400) -> pd.DataFrame:
    """Return customers with four unrelated features of four reasons, around zero."""
    values = np.random.default_rng(0).normal(0, 10, (count, 4))
    names = ["recency_days", "order_count", "tenure_days", "mean_order_value"]
    return pd.DataFrame(values, columns=names)


def test_the_only_feature_that_counts_moves_the_answer_as_often_as_it_is_drawn() -> None:
    """One of four: named it always moves, drawn at random every fourth time, so the ratio is four."""
    found = measured(OnlyRecency("recency_days"), four_features())
    assert found.deletion_ratio.low < 4 < found.deletion_ratio.high
    assert found.insertion_ratio.low < 4 < found.insertion_ratio.high
    assert 3 < found.deletion_ratio.value < 5
    assert found.right_direction_share > 0.75
    assert found.random_move == pytest.approx(found.named_move / found.deletion_ratio.value)


def test_naming_a_feature_that_does_not_count_is_seen() -> None:
    found = measured(OnlyRecency("tenure_days"), four_features())
    assert found.deletion_ratio.high == pytest.approx(0)
    assert found.insertion_ratio.high == pytest.approx(0)
    assert found.right_direction_share == 0


def test_deleting_what_is_named_moves_a_fitted_model_more_than_chance(
    fitted: HorizonChurn, shop: Examples
) -> None:
    found = measured(fitted, shop.current)
    assert found.deletion_ratio.low > 1.15
    assert found.insertion_ratio.low > 1.2
    assert found.right_direction_share > 0.8
    assert found.named_move > found.random_move > 0


def test_reasons_of_shuffled_features_are_no_better_than_chance(fitted: HorizonChurn, shop: Examples) -> None:
    true, shuffled = measured(fitted, shop.current), measured(Shuffled(fitted, 1), shop.current)
    assert shuffled.deletion_ratio.value < 1.15
    assert shuffled.deletion_ratio.high < true.deletion_ratio.low


def test_reasons_of_other_customers_point_the_right_way_half_of_the_time(
    fitted: HorizonChurn, shop: Examples
) -> None:
    assert measured(Shuffled(fitted, 0), shop.current).right_direction_share == pytest.approx(0.5, abs=0.1)


def test_the_same_seed_measures_the_same_and_another_about_the_same(
    fitted: HorizonChurn, shop: Examples
) -> None:
    first = measured(fitted, shop.current)
    assert first == measured(fitted, shop.current)
    other = measured(fitted, shop.current, seed=2)
    assert other.deletion_ratio.value == pytest.approx(first.deletion_ratio.value, rel=0.15)


@pytest.mark.parametrize("customers", [0, 1])
def test_nobody_to_compare_with_is_no_measure(fitted: HorizonChurn, shop: Examples, customers: int) -> None:
    assert measured(fitted, shop.current.iloc[:customers]) is None


def test_where_nothing_differs_and_where_a_method_gives_no_reasons_there_is_no_measure(
    fitted: HorizonChurn, shop: Examples
) -> None:
    alike = shop.current.iloc[[0] * 50]
    rule = RecencyChurn().fit(shop)
    assert measured(fitted, alike) is None
    assert measured(rule, shop.current) is None
    assert measure_stability(rule, fitted, shop.current, horizon_days=HEADLINE_DAYS, seed=1) is None


def test_a_fit_agrees_with_itself_and_less_with_another_seed(fitted: HorizonChurn, shop: Examples) -> None:
    again = HorizonChurn(recipe=replace(RECIPE, seed=99)).fit(shop)
    itself = measure_stability(fitted, fitted, shop.current, horizon_days=HEADLINE_DAYS, seed=1)
    other = measure_stability(fitted, again, shop.current, horizon_days=HEADLINE_DAYS, seed=1)
    stranger: Any = Shuffled(fitted, 1)
    shuffled = measure_stability(fitted, stranger, shop.current, horizon_days=HEADLINE_DAYS, seed=1)
    assert itself is not None and other is not None and shuffled is not None  # noqa: PT018
    assert itself.rank_correlation == pytest.approx(1)
    assert itself.shared_share == itself.same_first_share == 1
    assert 0.5 < other.shared_share < 1
    assert other.rank_correlation > 0.6
    assert shuffled.shared_share < other.shared_share - 0.2
    assert shuffled.rank_correlation < other.rank_correlation - 0.3


def test_agreement_by_hand() -> None:
    """Both fits name one reason each: the same one with the same sign, or not."""
    features = four_features(50)
    first: Any = OnlyRecency("recency_days")
    other: Any
    for other, share in ((first, 1.0), (OnlyRecency("tenure_days"), 0.0)):
        found = measure_stability(first, other, features, horizon_days=HEADLINE_DAYS, seed=1)
        assert found is not None
        assert found.shared_share == found.same_first_share == share


def test_the_sentences(fitted: HorizonChurn, shop: Examples) -> None:
    stable = measure_stability(fitted, fitted, shop.current, horizon_days=HEADLINE_DAYS, seed=1)
    assert stable is not None
    assert stability_text(stable).startswith("two fits share 100% of a customer's reasons")
    found = measured(fitted, shop.current)
    assert f"{found.deletion_ratio.value:.1f} × as far" in faithfulness_text(found)
