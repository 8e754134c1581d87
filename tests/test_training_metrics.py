"""Metrics against values worked out by hand; the docstrings' examples hold the simplest cases."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from training.metrics_churn import (
    auc,
    calibration_line,
    calibration_table,
    churn_metrics,
    expected_calibration_error,
    lift,
    log_loss,
)
from training.metrics_clv import (
    clv_metrics,
    decile_error,
    deviances,
    high_value_captured,
    interval_metrics,
    normalised_gini,
    top_share_captured,
    total_bias,
)
from training.metrics_recommender import customer_metrics, recall_by_k


def test_a_coin_has_an_auc_of_a_half() -> None:
    assert auc(np.array([0.0, 1.0]), np.array([0.5, 0.5])) == 0.5
    assert np.isnan(auc(np.array([1.0, 1.0]), np.array([0.2, 0.5])))


def test_a_certain_mistake_costs_a_finite_amount() -> None:
    assert log_loss(np.array([1.0]), np.array([0.0])) == pytest.approx(-np.log(1e-6))


def test_calibration_error_is_the_weighted_distance_of_the_bins() -> None:
    outcomes = np.array([0.0, 0.0, 1.0, 1.0])
    probabilities = np.array([0.1, 0.3, 0.6, 0.8])
    # bins of two: |0.2 - 0| and |0.7 - 1|
    assert expected_calibration_error(outcomes, probabilities, bin_count=2) == pytest.approx(0.25)
    assert calibration_table(outcomes, probabilities, bin_count=2)[:, 2].tolist() == [2.0, 2.0]


def test_calibration_slope_finds_overconfidence() -> None:
    generator = np.random.default_rng(1)
    logits = generator.normal(size=40_000)
    outcomes = (generator.random(40_000) < expit(logits)).astype(float)
    assert calibration_line(outcomes, expit(logits)) == pytest.approx((0.0, 1.0), abs=0.05)
    assert calibration_line(outcomes, expit(2 * logits + 1)) == pytest.approx((-0.5, 0.5), abs=0.03)


def test_lift_counts_the_riskiest_tenth() -> None:
    outcomes = np.array([1.0] + [0.0] * 15 + [1.0] * 4)
    probabilities = np.linspace(1, 0, 20)
    assert lift(outcomes, probabilities) == pytest.approx(0.5 / 0.25)


def test_the_normalised_gini_is_one_for_the_truth_and_minus_one_for_its_reverse() -> None:
    outcomes = np.array([0.0, 2.0, 5.0, 1.0])
    assert normalised_gini(outcomes, outcomes) == pytest.approx(1.0)
    assert normalised_gini(outcomes, -outcomes) == pytest.approx(-1.0)
    assert np.isnan(normalised_gini(np.zeros(3), np.ones(3)))


def test_the_deviance_is_zero_only_for_the_truth() -> None:
    outcomes = np.array([4.0, 9.0])
    assert deviances(outcomes, outcomes) == pytest.approx([0.0, 0.0])
    # power 1.5, y = 4, mu = 9: 2 · (-4·2 + 2·4/3 + 2·3)
    assert deviances(np.array([4.0]), np.array([9.0]))[0] == pytest.approx(2 * (-8 + 8 / 3 + 6))


def test_high_value_customers_are_found_among_as_many_predicted_highest() -> None:
    """Ten customers: a and b are the top 20 %; a, b and c make 80 % of 100."""
    outcomes = np.array([45.0, 25.0, 12.0, 6.0, 4.0, 3.0, 2.0, 2.0, 1.0, 0.0])
    found_one = np.array([9.0, 1.0, 8.0, 7.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0])
    assert high_value_captured(outcomes, outcomes) == 1.0
    assert high_value_captured(outcomes, found_one) == 0.5
    assert high_value_captured(outcomes, found_one, definition="makes_most_revenue") == pytest.approx(2 / 3)
    assert high_value_captured(outcomes, -outcomes) == 0.0


def test_a_constant_prediction_finds_as_many_high_value_customers_as_chance() -> None:
    outcomes = np.arange(10.0)
    assert high_value_captured(outcomes, np.ones(10)) == pytest.approx(0.2)
    # Two of three tied customers are taken; two of the three are truly high.
    tied = np.array([0.0] * 7 + [5.0, 5.0, 5.0])
    assert high_value_captured(outcomes, tied) == pytest.approx(2 / 3)
    assert np.isnan(high_value_captured(np.zeros(3), np.ones(3)))
    assert np.isnan(high_value_captured(np.zeros(0), np.zeros(0)))


@given(st.floats(0.05, 20))
def test_the_deviance_is_lowest_at_the_mean(factor: float) -> None:
    outcomes = np.array([0.0, 0.0, 3.0, 9.0])
    at_mean = deviances(outcomes, np.full(4, outcomes.mean())).sum()
    assert deviances(outcomes, np.full(4, outcomes.mean() * factor)).sum() >= at_mean - 1e-9


def test_level_and_capture() -> None:
    outcomes, predictions = np.array([0.0, 10.0, 30.0]), np.array([5.0, 5.0, 20.0])
    assert total_bias(outcomes, predictions) == pytest.approx(-0.25)
    assert decile_error(outcomes, predictions) == pytest.approx((0 + 0 + 10) / 40)  # both at 5 brought 5
    assert top_share_captured(outcomes, predictions, share=1 / 3) == 1.0


def test_interval_coverage_counts_buyers_only_where_it_says_so() -> None:
    outcomes = np.array([0.0, 0.0, 5.0, 50.0])
    low, high = np.zeros(4), np.array([0.0, 10.0, 10.0, 10.0])
    found = interval_metrics(outcomes, np.stack([low, high, np.full(4, 4.0), np.full(4, 40.0)]), outcomes > 0)
    assert found["above_high_share"] == pytest.approx(1 / 3)
    assert found["inside_share"] == pytest.approx(3 / 4)
    assert found["buyers_inside_share"] == pytest.approx(1 / 2)


def test_a_buyer_is_who_ordered_though_nothing_was_left_of_it() -> None:
    """Two ordered at a loss and were told 0 to 5: what lies below 0 counts as 0."""
    outcomes, ordered = np.array([-7.0, -0.5, 3.0, 0.0]), np.array([True, True, True, False])
    found = interval_metrics(
        outcomes, np.stack([np.zeros(4), *[np.full(4, 5.0)], np.zeros(4), np.full(4, 2.0)]), ordered
    )
    assert found["buyers_inside_share"] == pytest.approx(2 / 3)
    assert found["inside_share"] == 1.0


def test_the_worst_fifth_tells_intervals_that_are_only_right_on_average() -> None:
    """Of 50 buyers the 10 with the widest intervals all spend outside; of the others nine in ten inside."""
    top = np.arange(1.0, 51.0)
    outcomes = np.where(np.arange(50) % 10 == 0, 2 * top, top / 2)
    outcomes[40:] = 1000.0
    found = interval_metrics(outcomes, np.stack([np.zeros(50), top, np.zeros(50), top]), outcomes > 0)
    assert found["buyers_inside_share"] == pytest.approx(0.72)
    assert found["worst_fifth_buyers_inside_share"] == 0.0
    nobody = interval_metrics(np.zeros(3), np.zeros((4, 3)), np.zeros(3, dtype=np.bool_))
    assert np.isnan(nobody["buyers_inside_share"])
    assert np.isnan(nobody["worst_fifth_buyers_inside_share"])


def test_list_metrics_of_a_hand_worked_table() -> None:
    truth = pd.DataFrame(
        [("a", "x"), ("a", "y"), ("b", "z"), ("c", "x")], columns=["customer_id", "product_id"]
    )
    lists = pd.DataFrame(
        [("a", 1, "x"), ("a", 2, "q"), ("a", 3, "y"), ("b", 1, "q"), ("b", 2, "z"), ("d", 1, "x")],
        columns=["customer_id", "rank", "product_id"],
    )
    table = customer_metrics(lists, truth, k=2)
    assert table.index.tolist() == ["a", "b", "c"]
    assert table["recall"].tolist() == [0.5, 1.0, 0.0]
    assert table["mrr"].tolist() == [1.0, 0.5, 0.0]
    assert table["ndcg"].tolist() == pytest.approx([1 / (1 + 1 / np.log2(3)), 1 / np.log2(3), 0.0])
    assert table["hit"].tolist() == [1.0, 1.0, 0.0]
    assert table["precision"].tolist() == [0.5, 0.5, 0.0]
    assert recall_by_k(lists, truth, ks=(1, 3)) == pytest.approx({1: 1 / 6, 3: 2 / 3})


@pytest.mark.parametrize("metrics", [churn_metrics, clv_metrics])
def test_every_metric_survives_a_shop_where_all_are_alike(metrics: object) -> None:
    values = metrics(np.ones(5), np.full(5, 0.5))  # type: ignore[operator]
    assert all(isinstance(value, float) for value in values.values())


@pytest.mark.parametrize("reverse", [False, True])
def test_the_order_of_the_rows_decides_no_tie(reverse: bool) -> None:
    """A constant prediction ranks nobody, whichever rows happen to come first."""
    outcomes = np.array([0.0, 0.0, 0.0, 1.0, 1.0, 6.0])[:: -1 if reverse else 1]
    constant = np.full(6, 2.0)
    assert normalised_gini(outcomes, constant) == pytest.approx(0.0, abs=1e-12)
    assert top_share_captured(outcomes, constant, share=0.5) == pytest.approx(0.5)
    assert decile_error(outcomes, np.full(6, outcomes.mean())) == pytest.approx(0.0)
    churned = (outcomes > 0).astype(np.float64)
    right = np.full(6, churned.mean())
    assert expected_calibration_error(churned, right) == pytest.approx(0.0)
    assert lift(churned, right, share=0.5) == pytest.approx(1.0)
    assert np.isnan(calibration_line(churned, right)).all()
