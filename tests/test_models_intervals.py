"""Intervals: the mixture of no order and an order, on hand tables and on data whose answer is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.intervals import LEVELS, SpendSpread

GENERATOR = np.random.default_rng(11)


def spread_of(shape: float, *, count: int = 20_000, horizon_days: int = 90) -> SpendSpread:
    """Return the spread of spend that is gamma distributed around its expectation."""
    expected = GENERATOR.uniform(10, 100, count)
    return SpendSpread().fit({horizon_days: (expected, expected * GENERATOR.gamma(shape, 1 / shape, count))})


def test_certain_orders_give_the_conditional_quantiles() -> None:
    spread = SpendSpread().fit({90: (np.full(1001, 10.0), np.linspace(0, 20, 1001))})
    found = spread.interval(np.array([10.0]), np.array([1.0]), 90)
    got = [found[name][0] for name in ("low", "median", "high", "spend_if_order_low", "spend_if_order_high")]
    assert got == pytest.approx([2, 10, 18, 2, 18], abs=0.01)


def test_an_unlikely_order_leaves_only_the_top_of_the_mixture() -> None:
    """With P(order) = .2, p90 of the mixture is the conditional median; p10 and p50 are 0."""
    spread = SpendSpread().fit({90: (np.full(1001, 10.0), np.linspace(0, 20, 1001))})
    found = spread.interval(np.array([10.0]), np.array([0.2]), 90)
    assert [found[name][0] for name in ("low", "median", "high")] == pytest.approx([0, 0, 10], abs=0.01)
    assert found["spend_if_order_low"][0] == pytest.approx(2, abs=0.01)


def test_coverage_is_honest_where_the_truth_is_known() -> None:
    spread, count = spread_of(2.0), 50_000
    expected, chance = GENERATOR.uniform(10, 100, count), GENERATOR.uniform(0.05, 0.95, count)
    bought = GENERATOR.random(count) < chance
    actual = np.where(bought, expected * GENERATOR.gamma(2.0, 0.5, count), 0.0)
    found = spread.interval(expected, chance, 90)
    positive = found["high"] > 0
    assert np.mean(actual[positive] > found["high"][positive]) == pytest.approx(0.1, abs=0.01)
    inside = (actual >= found["spend_if_order_low"]) & (actual <= found["spend_if_order_high"])
    assert np.mean(inside[bought]) == pytest.approx(0.8, abs=0.02)


@given(chance=st.floats(0, 1), expected=st.floats(0, 1e6), days=st.integers(1, 1825))
def test_bounds_are_in_order(chance: float, expected: float, days: int) -> None:
    found = WIDE.interval(np.array([expected]), np.array([chance]), days)
    low, median, high = (found[name][0] for name in ("low", "median", "high"))
    assert 0 <= low <= median <= high
    assert 0 <= found["spend_if_order_low"][0] <= found["spend_if_order_high"][0]


WIDE = spread_of(1.0)


def test_beyond_what_was_measured_the_interval_is_relatively_wider() -> None:
    certain, expected = np.array([1.0]), np.array([50.0])
    near, far = (WIDE.interval(expected, certain, days) for days in (90, 1825))
    assert far["spend_if_order_high"][0] > near["spend_if_order_high"][0]
    assert far["spend_if_order_low"][0] < near["spend_if_order_low"][0]


def test_without_buyers_a_wide_default_stands_in() -> None:
    spread = SpendSpread().fit({30: (np.ones(3), np.ones(3))})
    found = spread.interval(np.array([100.0]), np.array([1.0]), 30)
    assert found["low"][0] == pytest.approx(10.5, abs=0.2)  # p10 of an exponential with mean 100
    assert found["high"][0] == pytest.approx(230, abs=2)


def test_a_spread_reads_back() -> None:
    again = SpendSpread.from_arrays(WIDE.arrays())
    assert again.horizons_days_ == WIDE.horizons_days_
    assert again.ratios_.shape == (1, 12, len(LEVELS))
    np.testing.assert_array_equal(again.centres_, WIDE.centres_)


def test_between_two_groups_the_amount_moves_evenly() -> None:
    """The small buyers always spend half of what is expected, the large ones twice that."""
    expected = np.repeat([10.0, 1000.0], 300)
    spread = SpendSpread().fit({30: (expected, expected * np.repeat([0.5, 2.0], 300))})
    asked = np.array([1.0, 10.0, 109.0, 505.0, 1000.0, 1e5])
    high = spread.interval(asked, np.ones(6), 30)["spend_if_order_high"]
    assert high == pytest.approx([0.5, 5.0, 204.5, 1002.5, 2000.0, 2e5])


@given(st.floats(0.01, 1.0), st.floats(0.5, 200.0))
def test_between_two_groups_no_amount_leaves_theirs(way: float, far: float) -> None:
    """However unlike the groups are: those who were expected to spend 1 spent 40."""
    expected = np.repeat([1.0, 1.0 + far], 300)
    actual = np.concatenate([GENERATOR.gamma(2.0, 20.0, 300), GENERATOR.gamma(2.0, (1 + far) / 2, 300)])
    spread = SpendSpread().fit({30: (expected, actual)})
    asked = np.array([1.0, 1.0 + way * far, 1.0 + far])
    for name in ("spend_if_order_low", "spend_if_order_high", "median"):
        low, amount, high = spread.interval(asked, np.ones(3), 30)[name]
        assert min(low, high) - 1e-9 <= amount <= max(low, high) + 1e-9


@pytest.mark.parametrize("count", [20, 49, 50, 130, 5000])
def test_any_number_of_buyers_gives_a_spread(count: int) -> None:
    expected = GENERATOR.uniform(10, 100, count)
    spread = SpendSpread().fit({30: (expected, expected * 2)})
    found = spread.interval(np.array([5.0, 50.0, 500.0]), np.ones(3), 30)
    assert found["spend_if_order_low"] == pytest.approx([10.0, 100.0, 1000.0])


def test_a_level_that_moves_widens_both_ends() -> None:
    still, moving = (SpendSpread(wobble=wobble) for wobble in (0.0, 0.2))
    expected = GENERATOR.uniform(10, 100, 5000)
    pair = {30: (expected, expected * GENERATOR.gamma(2.0, 0.5, 5000))}
    asked = (np.array([50.0]), np.array([0.6]), 30)
    narrow, wide = still.fit(pair).interval(*asked), moving.fit(pair).interval(*asked)
    growth = {name: (wide[name] / narrow[name])[0] for name in ("high", "spend_if_order_high")}
    assert growth["spend_if_order_high"] == pytest.approx(np.exp(0.15))
    assert (wide["spend_if_order_low"] / narrow["spend_if_order_low"])[0] == pytest.approx(np.exp(-0.15))
    # The marginal bound may not pass the one of a customer who orders for certain.
    assert wide["high"][0] == pytest.approx(
        min(narrow["high"][0] * np.exp(0.6), wide["spend_if_order_high"][0])
    )
    assert wide["median"] == narrow["median"]
