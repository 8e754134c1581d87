"""The bootstrap: weighted metrics are the plain ones, and intervals are what resampling rows would give."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.metrics_churn import auc, churn_metrics
from training.metrics_clv import clv_metrics, interval_metrics, normalised_gini, rank_correlation
from training.resampling import GROUPS_MAX, Resample, Statistic, Term, evaluate, interval
from training.weighted import Order, Ranking, mean_of, share_of
from training.weighted_churn import churn_statistics
from training.weighted_clv import clv_statistics, interval_statistics

Floats = npt.NDArray[np.float64]
SEEDS = st.integers(0, 2**32 - 1)
SIZES = st.integers(1, 400)


def evenly(statistics: dict[str, Statistic], count: int) -> dict[str, float]:
    """Evaluate statistics with the weight 1 for everybody."""
    found = evaluate(statistics, weights=np.ones((1, count)), groups=np.arange(count))
    return {name: float(values[0]) for name, values in found.items()}


def with_ties(generator: np.random.Generator, count: int) -> Floats:
    """Return values between 0 and 1: all different, a few repeated, or all the same."""
    values = generator.random(count)
    return np.asarray([values, np.round(values, 1), np.full(count, 0.4)][generator.integers(3)])


@given(SEEDS, SIZES)
def test_churn_metrics_with_all_weights_one_are_the_plain_ones(seed: int, count: int) -> None:
    generator = np.random.default_rng(seed)
    probabilities = with_ties(generator, count)
    outcomes = (generator.random(count) < generator.random()).astype(np.float64)
    plain = churn_metrics(outcomes, probabilities)
    weighted = evenly(churn_statistics(outcomes, probabilities), count)
    lines = {"calibration_slope", "calibration_intercept"}
    assert weighted.keys() == plain.keys()
    for name in plain.keys() - lines:
        assert weighted[name] == pytest.approx(plain[name], rel=1e-9, abs=1e-9, nan_ok=True), name


def test_the_calibration_line_with_all_weights_one_is_the_plain_one() -> None:
    generator = np.random.default_rng(2)
    probabilities = generator.beta(1, 2, 800)
    outcomes = (generator.random(800) < probabilities).astype(np.float64)
    plain, weighted = churn_metrics(outcomes, probabilities), churn_statistics(outcomes, probabilities)
    for name in ("calibration_slope", "calibration_intercept"):
        assert evenly({name: weighted[name]}, 800)[name] == pytest.approx(plain[name], abs=1e-9)


@settings(max_examples=40)
@given(SEEDS, SIZES)
def test_value_metrics_with_all_weights_one_are_the_plain_ones(seed: int, count: int) -> None:
    generator = np.random.default_rng(seed)
    predictions = 50 * with_ties(generator, count)
    buys = generator.random(count) < generator.random()
    outcomes = np.round(buys * generator.gamma(1.0, 40.0, count) - 2 * (generator.random(count) < 0.02), 2)
    bounds = np.stack([0 * predictions, predictions * 1.5, predictions * 0.3, predictions * 2])
    plain = clv_metrics(outcomes, predictions) | interval_metrics(outcomes, bounds, buys)
    weighted = evenly(
        clv_statistics(outcomes, predictions) | interval_statistics(outcomes, bounds, buys), count
    )
    assert weighted.keys() == plain.keys()
    for name in plain:
        assert weighted[name] == pytest.approx(plain[name], rel=1e-7, abs=1e-9, nan_ok=True), name


@given(SEEDS)
def test_a_weight_of_two_is_a_customer_twice(seed: int) -> None:
    """With no more different scores than classes the ranking is exact for any weights."""
    generator = np.random.default_rng(seed)
    probabilities = np.round(generator.random(60), 2)
    outcomes = (generator.random(60) < probabilities).astype(np.float64)
    spends = np.round(outcomes * generator.gamma(1.0, 9.0, 60), 1)
    counts = generator.integers(0, 4, 60)
    rows = np.repeat(np.arange(60), counts)
    churn = churn_statistics(outcomes, probabilities)
    chosen = {"auc": churn["auc"], "log_loss": churn["log_loss"], "brier": churn["brier"]}
    chosen["gini"] = clv_statistics(spends, probabilities)["normalised_gini"]
    found = evaluate(chosen, weights=counts[None, :].astype(float), groups=np.arange(60))
    assert found["auc"][0] == pytest.approx(auc(outcomes[rows], probabilities[rows]), nan_ok=True)
    assert found["gini"][0] == pytest.approx(normalised_gini(spends[rows], probabilities[rows]), nan_ok=True)
    assert found["brier"][0] == pytest.approx(((probabilities - outcomes)[rows] ** 2).mean())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("auc", lambda o, p: churn_metrics(o, p)["auc"]),
        ("calibration_slope", lambda o, p: churn_metrics(o, p)["calibration_slope"]),
        ("lift_top_decile", lambda o, p: churn_metrics(o, p)["lift_top_decile"]),
        ("normalised_gini", normalised_gini),
        ("spearman", rank_correlation),
    ],
    ids=["auc", "slope", "lift", "gini", "spearman"],
)
def test_intervals_are_as_wide_as_those_of_resampled_rows(
    name: str, plain: Callable[[Floats, Floats], float]
) -> None:
    """Ranks, lines and cuts that the draws share cost nothing: the slow bootstrap finds the same spread."""
    generator = np.random.default_rng(7)
    predictions = generator.beta(1, 2, 1500)
    outcomes = (generator.random(1500) < predictions).astype(np.float64)
    is_money = name in {"normalised_gini", "spearman"}
    if is_money:
        outcomes *= generator.gamma(2.0, 20.0, 1500)
    statistics = (clv_statistics if is_money else churn_statistics)(outcomes, predictions)
    resample = Resample(np.arange(1500).astype(str), draw_count=2000, seed=1)
    groups = resample.groups_of(np.arange(1500).astype(str))
    fast = resample.draws({name: statistics[name]}, groups)[name]
    picks = generator.integers(0, 1500, (300, 1500))
    slow = np.array([plain(outcomes[rows], predictions[rows]) for rows in picks])
    assert fast.std() == pytest.approx(slow.std(), rel=0.15)
    assert fast.mean() == pytest.approx(slow.mean(), abs=0.25 * slow.std())


def test_the_rank_correlation_moves_with_a_weight_as_with_a_row() -> None:
    """Every customer 200 times, and one of them once more: a weight of 1.005."""
    generator = np.random.default_rng(6)
    predictions, outcomes = np.round(generator.random((2, 12)), 1)
    statistic = clv_statistics(outcomes, predictions)["spearman"]
    for number in range(12):
        weights = np.ones((1, 12))
        weights[0, number] += 1 / 200
        rows = np.append(np.repeat(np.arange(12), 200), number)
        moved = evaluate({"spearman": statistic}, weights=weights, groups=np.arange(12))["spearman"][0]
        assert moved == pytest.approx(rank_correlation(outcomes[rows], predictions[rows]), abs=5e-6)


def test_more_customers_than_groups_have_the_same_interval_as_each_alone() -> None:
    generator = np.random.default_rng(3)
    count = 5 * GROUPS_MAX
    values = generator.gamma(0.5, 10.0, count)
    ids = np.arange(count).astype(str)
    resample = Resample(ids, draw_count=1000, seed=1)
    assert resample.group_count == GROUPS_MAX
    draws = resample.draws({"mean": mean_of(values)}, resample.groups_of(ids))["mean"]
    assert draws.std() == pytest.approx(values.std() / np.sqrt(count), rel=0.12)


def test_a_draw_is_of_the_same_customers_wherever_they_appear() -> None:
    ids = np.array([f"c{number}" for number in range(50)])
    resample = Resample(ids, draw_count=20, seed=1)
    values = np.arange(50.0)
    whole = resample.draws({"mean": mean_of(values)}, resample.groups_of(ids))["mean"]
    turned = resample.draws({"mean": mean_of(values[::-1])}, resample.groups_of(ids[::-1]))["mean"]
    assert turned == pytest.approx(whole)
    again = Resample(ids[::-1], draw_count=20, seed=1)
    assert again.draws({"mean": mean_of(values)}, again.groups_of(ids))["mean"] == pytest.approx(whole)
    with pytest.raises(KeyError, match="own table"):
        resample.groups_of(["somebody"])


def test_one_customer_and_what_is_rarely_defined_have_no_interval() -> None:
    alone = Resample(["a"], draw_count=100, seed=1)
    draws = alone.draws({"mean": mean_of(np.ones(1))}, alone.groups_of(["a"]))["mean"]
    assert interval(1.0, draws) is None
    rare = np.concatenate([[np.nan] * 20, np.ones(80)])
    assert interval(1.0, rare) is None
    assert interval(1.0, np.concatenate([[np.nan] * 5, np.ones(95)])) == (1.0, 1.0)
    assert interval(float("nan"), np.ones(100)) is None


def test_a_calibration_error_lies_in_its_own_interval_and_is_not_negative() -> None:
    generator = np.random.default_rng(4)
    probabilities = generator.beta(1, 2, 3000)
    outcomes = (generator.random(3000) < probabilities).astype(np.float64)
    ids = np.arange(3000).astype(str)
    resample = Resample(ids, draw_count=500, seed=1)
    error = churn_metrics(outcomes, probabilities)["ece"]
    draws = resample.draws(churn_statistics(outcomes, probabilities), resample.groups_of(ids))["ece"]
    assert draws.mean() > error  # the noise of a draw comes on top of that of the sample
    ends = interval(error, draws)
    assert ends is not None
    assert 0 <= ends[0] <= error <= ends[1]
    assert interval(0.01, np.linspace(0.02, 0.03, 101)) == pytest.approx((0.00525, 0.01475))


def test_classes_keep_ties_together_and_their_order() -> None:
    scores = np.repeat(np.arange(300.0), 2)
    ranking = Ranking.of(np.ones(600), Order.of(scores))
    assert ranking.class_count == 100
    assert (np.diff(ranking.classes) >= 0).all()
    assert (ranking.classes[::2] == ranking.classes[1::2]).all()


def test_a_share_of_nobody_is_not_defined() -> None:
    found = evenly({"share": share_of(np.zeros(3), np.zeros(3)), "sum": Statistic([], lambda: np.ones(1))}, 3)
    assert np.isnan(found["share"])
    assert found["sum"] == 1.0
    sums = evaluate(
        {"by cell": Statistic([Term(np.ones(3), np.array([0, 1, 1]), 2)], lambda sums: sums[:, 1])},
        weights=np.array([[1.0, 2.0, 3.0]]),
        groups=np.arange(3),
    )
    assert sums["by cell"].tolist() == [5.0]
