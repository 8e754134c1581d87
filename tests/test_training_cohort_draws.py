"""Intervals of groups: cover the truth as often as they say, agree with a formula, and keep to the floor."""

import numpy as np
import polars as pl
import pytest

from models.estimate import Estimate
from training.cohort_draws import CUSTOMERS_MIN, GroupDraws, group_numbers
from training.resampling import Floats


def draws_of(count: int, *, seed: int = 1, draw_count: int = 400, customers_min: int = 3) -> GroupDraws:
    ids = pl.Series([f"c{number:06d}" for number in range(count)])
    return GroupDraws(ids, draw_count=draw_count, seed=seed, customers_min=customers_min)


def estimate_of(draws: GroupDraws, values: Floats) -> Estimate:
    (found,) = draws.means(values, np.zeros(len(values), dtype=np.intp), 1)
    assert found.estimate is not None
    return found.estimate


@pytest.mark.parametrize(
    ("count", "low", "high"), [(60, 0.86, 0.985), pytest.param(2_500, 0.91, 0.985, marks=pytest.mark.slow)]
)
def test_intervals_cover_a_known_mean(count: int, low: float, high: float) -> None:
    """Gamma spend of mean 40, a quarter of the customers in a group of their own; 250 shops."""
    shops, inside = 250, 0
    groups = np.arange(count) % 4 // 3
    for seed in range(shops):
        spend = np.random.default_rng(seed).gamma(2.0, 20.0, count)
        found = draws_of(count, seed=seed, draw_count=200).means(spend, groups, 2)
        inside += sum(each.estimate.low <= 40.0 <= each.estimate.high for each in found if each.estimate)
    assert low < inside / (2 * shops) < high


@pytest.mark.parametrize("count", [1_500, 30_000])
def test_a_wide_group_has_the_interval_of_the_formula(count: int) -> None:
    spend = np.random.default_rng(5).gamma(2.0, 20.0, count)
    found = estimate_of(draws_of(count, draw_count=1000), spend)
    assert found.value == pytest.approx(spend.mean())
    assert found.high - found.low == pytest.approx(2 * 1.96 * spend.std() / count**0.5, rel=0.12)


def test_a_mean_is_of_those_who_are_known() -> None:
    values = np.array([1.0, np.nan, 3.0, 5.0, 100.0, 100.0])
    found = draws_of(6).means(values, np.array([0, 0, 0, 0, -1, 1]), 2)
    assert (found[0].customer_count, found[1].customer_count) == (3, 1)
    assert found[0].estimate is not None
    assert found[0].estimate.value == pytest.approx(3.0)
    assert found[1].estimate is None


def test_a_ratio_is_sum_by_sum_over_whom_both_are_known_of() -> None:
    spend = np.array([10.0, 20.0, np.nan, 60.0, 7.0])
    cost = np.array([1.0, 9.0, 5.0, 20.0, np.nan])
    (found,) = draws_of(5).ratios(spend, cost, np.zeros(5, dtype=np.intp), 1)
    assert found.customer_count == 3
    assert found.estimate is not None
    assert found.estimate.value == pytest.approx(90 / 30)


def test_what_cost_nothing_has_no_ratio() -> None:
    (found,) = draws_of(5).ratios(np.ones(5), np.zeros(5), np.zeros(5, dtype=np.intp), 1)
    assert (found.customer_count, found.estimate) == (5, None)


@pytest.mark.parametrize(("count", "is_told"), [(29, False), (30, True)])
def test_the_floor_is_thirty(count: int, is_told: bool) -> None:
    values = np.where(np.arange(100) < count, 2.0, np.nan)
    (found,) = draws_of(100, customers_min=CUSTOMERS_MIN).means(values, np.zeros(100, dtype=np.intp), 1)
    assert (found.customer_count, found.estimate is not None) == (count, is_told)


def test_a_difference_is_of_two_groups_that_both_suffice() -> None:
    values = np.array([1.0, 2.0, 3.0, 4.0, 14.0, 24.0, 99.0])
    found = draws_of(7).difference(values, np.array([0, 0, 0, 1, 1, 1, -1]))
    assert found is not None
    assert found.value == pytest.approx(12.0)
    assert draws_of(7, customers_min=4).difference(values, np.array([0, 0, 0, 0, 1, 1, 1])) is None
    assert draws_of(7, customers_min=4).difference(values, np.array([1, 1, 1, 1, 0, 0, 0])) is None


def test_the_same_seed_draws_the_same_whatever_the_order() -> None:
    spend = np.random.default_rng(5).gamma(2.0, 20.0, 100)
    ids = pl.Series([f"c{number:03d}" for number in range(100)])
    one, other = (
        GroupDraws(names, draw_count=100, seed=3, customers_min=3) for names in (ids, ids.reverse())
    )
    assert estimate_of(one, spend) == estimate_of(other, spend[::-1])
    assert estimate_of(one, spend) != estimate_of(draws_of(100, seed=4, draw_count=100), spend)


def test_groups_are_numbered_by_their_place() -> None:
    assert group_numbers(pl.Series(["b", "a", "b"]), ["b", "a"]).tolist() == [0, 1, 0]
