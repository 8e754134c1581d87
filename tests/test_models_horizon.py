"""Curves over the horizon and the support rule, on hand tables."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_examples import make_examples, simulate_orders

from models.btyd import PurchaseHistories, fit_btyd
from models.contract import NotEnoughDataError
from models.horizon import (
    churn_curve,
    extended_churn_curve,
    growth_curve,
    held_out,
    needed_grid,
    require_supported,
    stack_rows,
    supported_horizons,
)

EXAMPLES = make_examples(simulate_orders(80))


def labels(rows: list[tuple[str, int, float, float]]) -> pd.DataFrame:
    """Return labels from (customer, day of January, churned_30, churned_90)."""
    index = pd.MultiIndex.from_tuples(
        [(customer, date(2026, 1, day)) for customer, day, _, _ in rows], names=["customer_id", "as_of"]
    )
    return pd.DataFrame([row[2:] for row in rows], index=index, columns=["churned_30", "churned_90"])


NAN = float("nan")
#                      customer, day, churned_30, churned_90
ROWS = labels([
    ("a", 1, 0, 0), ("b", 1, 1, 1), ("c", 1, 1, 0),
    ("a", 9, 0, NAN), ("b", 9, 1, NAN), ("c", 9, 0, NAN),
])  # fmt: skip


def test_a_horizon_needs_snapshots_and_customers_with_each_outcome() -> None:
    """Of 30 days a and c came back once at least, b and c did not: three rows of a kind, two witnesses."""
    assert supported_horizons(ROWS, snapshots_min=1, outcomes_min=1) == (30, 90)
    assert supported_horizons(ROWS, snapshots_min=2, outcomes_min=2) == (30,)
    assert supported_horizons(ROWS, snapshots_min=2, outcomes_min=3) == ()


def test_no_supported_horizon_names_the_minimum() -> None:
    with pytest.raises(NotEnoughDataError, match="2 past snapshots and 200 customers with each outcome"):
        require_supported(ROWS, snapshots_min=2, outcomes_min=200)


def test_rows_are_stacked_as_far_as_outcomes_are_known() -> None:
    rows = stack_rows(EXAMPLES, (14, 90), label="churned")
    known = EXAMPLES.labels[["churned_14", "churned_90"]].notna().sum()
    assert len(rows.target) == known.sum()
    assert (rows.matrix[:, -1] == rows.horizons_days).all()
    expected = EXAMPLES.features.to_numpy(np.float32)[rows.positions]
    np.testing.assert_array_equal(rows.matrix[:, :-1], expected)
    truth = EXAMPLES.labels["churned_90"].to_numpy()[rows.positions[rows.horizons_days == 90]]
    np.testing.assert_array_equal(rows.target[rows.horizons_days == 90], truth)


def test_buyers_rows_hold_an_order_each() -> None:
    rows = stack_rows(EXAMPLES, (30,), label="order_count", buyers_only=True)
    assert len(rows.target) == (EXAMPLES.labels["churned_30"] == 0).sum()
    assert (rows.target >= 1).all()


def test_churn_between_grid_points_falls_at_a_constant_rate() -> None:
    known = np.array([[0.81, 0.81 * 0.5]])
    found = churn_curve(known, [30, 90], [0, 15, 30, 60, 90, 200])
    np.testing.assert_allclose(found, [[1, 0.9, 0.81, 0.81 * np.sqrt(0.5), 0.405, 0.405]])


@given(
    known=st.lists(st.floats(0, 1), min_size=3, max_size=3),
    horizons=st.lists(st.integers(1, 400), min_size=1, max_size=8, unique=True),
)
def test_any_curve_falls_with_the_horizon(known: list[float], horizons: list[int]) -> None:
    days = sorted(horizons)
    found = churn_curve(np.array([known]), [14, 60, 180], days)[0]
    assert (np.diff(found) <= 1e-15).all()
    assert ((found >= 0) & (found <= 1)).all()


@given(horizons=st.lists(st.integers(1, 400), min_size=1, max_size=5, unique=True), seed=st.integers(0, 99))
def test_the_needed_grid_is_enough(horizons: list[int], seed: int) -> None:
    grid = (14, 30, 60, 90, 180)
    falling = np.sort(np.random.default_rng(seed).random((4, 5)), axis=1)[:, ::-1]
    needed = needed_grid(grid, horizons)
    places = [grid.index(days) for days in needed]
    np.testing.assert_allclose(
        churn_curve(falling[:, places], needed, horizons), churn_curve(falling, grid, horizons), rtol=1e-12
    )
    np.testing.assert_allclose(
        growth_curve(-falling[:, places], needed, horizons),
        growth_curve(-falling, grid, horizons),
        rtol=1e-12,
    )


def test_beyond_the_grid_btyd_carries_the_curve_on() -> None:
    btyd = fit_btyd(PurchaseHistories.from_features(EXAMPLES.current))
    purchases = PurchaseHistories.from_features(EXAMPLES.current)
    known = np.full((len(EXAMPLES.current), 1), 0.4)
    found = extended_churn_curve(
        known, EXAMPLES.current, grid_days=[90], horizons_days=[90, 365], extension=btyd
    )
    silent = [btyd.silence_probability(purchases, days, unit="days") for days in (90, 365)]
    np.testing.assert_allclose(found[:, 1], 0.4 * silent[1] / silent[0])
    assert (found[:, 1] < found[:, 0]).all()


def test_held_out_customers_are_whole_and_about_a_third() -> None:
    chosen = pd.Series(held_out(EXAMPLES.features.index), index=EXAMPLES.features.index)
    by_customer = chosen.groupby(level="customer_id").agg(["min", "max", "mean"])
    assert (by_customer["min"] == by_customer["max"]).all()
    assert 0.15 < by_customer["mean"].mean() < 0.55
