"""Tallies: the metrics of counts are those of the rows, and runs add up to what they are together."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.metrics_churn import auc, calibration_table, expected_calibration_error, log_loss
from training.metrics_clv import interval_metrics
from training.tallies import ChurnTally, SpendTally

Floats = npt.NDArray[np.float64]
# Few distinct probabilities, so that there are ties; 0 and 1 among them.
TOLD = st.lists(
    st.tuples(st.sampled_from([0.0, 1.0]), st.integers(0, 20).map(lambda n: n / 20)), min_size=1, max_size=60
)


def _arrays(told: list[tuple[float, float]]) -> tuple[Floats, Floats]:
    outcomes, probabilities = np.array(told, dtype=np.float64).T
    return outcomes, probabilities


@settings(deadline=None, max_examples=40)
@given(TOLD)
def test_the_metrics_of_counts_are_those_of_the_rows(told: list[tuple[float, float]]) -> None:
    outcomes, probabilities = _arrays(told)
    tally = ChurnTally.of(outcomes, probabilities)
    assert tally.customer_count == len(told)
    assert tally.predicted_share == pytest.approx(probabilities.mean())
    assert tally.churned_share == pytest.approx(outcomes.mean())
    assert tally.log_loss == pytest.approx(log_loss(outcomes, probabilities))
    assert tally.ece == pytest.approx(expected_calibration_error(outcomes, probabilities))
    assert tally.calibration_table() == pytest.approx(calibration_table(outcomes, probabilities))
    expected = auc(outcomes, probabilities)
    assert (tally.auc is None) == bool(np.isnan(expected))
    assert tally.auc is None or tally.auc == pytest.approx(expected)


@settings(deadline=None, max_examples=40)
@given(TOLD, TOLD)
def test_two_runs_add_up_to_what_they_are_together(
    first: list[tuple[float, float]], second: list[tuple[float, float]]
) -> None:
    together = ChurnTally.of(*_arrays(first + second))
    added = ChurnTally.of(*_arrays(first)) + ChurnTally.of(*_arrays(second))
    assert np.array_equal(added.customers, together.customers)
    assert np.array_equal(added.churned, together.churned)


def test_tenths_of_a_hand_table() -> None:
    tally = ChurnTally.of(np.array([0.0, 0.0, 1.0, 1.0, 1.0]), np.array([0.1, 0.1, 0.1, 0.4, 0.9]))
    table = tally.calibration_table(bin_count=2)
    assert table == pytest.approx(np.array([[0.1, 1 / 3, 3], [0.65, 1.0, 2]]))


def test_spend_adds_up_and_agrees_with_the_interval_metrics() -> None:
    came, said = np.array([20.0, -4.0, 50.0, 0.0]), np.array([30.0, 20.0, 10.0, 5.0])
    low, high = np.zeros(4), np.array([20.0, 25.0, 30.0, 0.0])  # the first spent just the high end
    whole = SpendTally.of(came, said, (low, high))
    assert (whole.predicted_total, whole.actual_total) == (65.0, 66.0)
    assert whole.total_bias == pytest.approx(-1 / 66)
    assert (whole.above_high_share, whole.inside_share) == (pytest.approx(1 / 3), 0.75)
    metrics = interval_metrics(came, np.array([low, high, low, high]), came > 0)
    assert whole.above_high_share == metrics["above_high_share"]
    assert whole.inside_share == metrics["inside_share"]
    halves = [
        SpendTally.of(came[part], said[part], (low[part], high[part])) for part in (slice(2), slice(2, 4))
    ]
    assert halves[0] + halves[1] == whole


def test_without_money_or_interval_nothing_is_claimed() -> None:
    nothing = SpendTally.of(np.zeros(2), np.ones(2))
    assert (nothing.total_bias, nothing.above_high_share, nothing.inside_share) == (None, None, None)
