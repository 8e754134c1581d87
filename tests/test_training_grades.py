"""Grades: a useless recipe fails whatever it is called, and more skill or less error never grades lower."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.grade_steps import CHURN_STEPS, CLV_STEPS
from training.grades import grade_churn, grade_clv, grade_of, rule_text
from training.metrics_churn import churn_metrics
from training.metrics_clv import clv_metrics

ORDER = "ABCDF"
SHARES = st.floats(0.0, 1.0)


def test_a_constant_and_a_random_recipe_fail() -> None:
    generator = np.random.default_rng(4)
    churned = (generator.random(4_000) < 0.3).astype(np.float64)
    constant = churn_metrics(churned, np.full(4_000, churned.mean()))
    guesses = churn_metrics(churned, generator.beta(3, 7, 4_000))
    assert grade_churn(constant, constant) == grade_churn(guesses, constant) == "F"
    spend = churned * generator.gamma(2.0, 30.0, 4_000)
    assert grade_clv(clv_metrics(spend, np.full(4_000, spend.mean()))) == "F"
    assert grade_clv(clv_metrics(spend, generator.gamma(2.0, spend.mean() / 2, 4_000))) == "F"


def test_an_oracle_is_graded_a() -> None:
    generator = np.random.default_rng(5)
    chances = generator.beta(0.4, 0.6, 4_000)
    churned = (generator.random(4_000) < chances).astype(np.float64)
    constant = churn_metrics(churned, np.full(4_000, churned.mean()))
    assert grade_churn(churn_metrics(churned, chances), constant) == "A"


@given(SHARES, SHARES, SHARES, SHARES)
def test_more_skill_and_less_error_never_grade_lower(
    low: float, high: float, small: float, large: float
) -> None:
    low, high = sorted((low, high))
    small, large = sorted((small, large))
    better: Any = grade_clv({"normalised_gini": high, "total_bias": small})
    worse: Any = grade_clv({"normalised_gini": low, "total_bias": -large})
    assert ORDER.index(better) <= ORDER.index(worse)


def test_what_is_not_known_is_not_graded() -> None:
    assert grade_churn({"auc": 0.8, "log_loss": 0.3, "ece": None}, {"log_loss": 0.4}) is None
    assert grade_churn({"auc": 0.8, "log_loss": 0.3, "ece": 0.01}, {}) is None
    assert grade_churn({"auc": None, "log_loss": 0.001, "ece": 0.0}, {"log_loss": 0.02}) is None
    assert grade_of("recommender", {"ndcg_at_10": 0.3}, {}) is None


@pytest.mark.parametrize("steps", [CHURN_STEPS, CLV_STEPS])
def test_each_grade_asks_for_less_than_the_one_above(steps: Any) -> None:
    assert [step.grade for step in steps] == list("ABCD")
    assert sorted((step.skill_min for step in steps), reverse=True) == [step.skill_min for step in steps]
    assert sorted(step.error_max for step in steps) == [step.error_max for step in steps]


def test_the_rule_is_told_with_its_numbers() -> None:
    text = rule_text("churn")
    for step in CHURN_STEPS[:-1]:
        assert f"{step.grade} from {step.skill_min:g} and to {step.error_max:g}" in text
    assert "D from 0.01, F below" in text


def test_a_level_that_is_off_never_makes_a_ranking_useless() -> None:
    """Who tells customers apart gets D at worst: rank by it, do not add it up."""
    assert grade_clv({"normalised_gini": 0.8, "total_bias": 2.5}) == "D"
    assert grade_clv({"normalised_gini": 0.1, "total_bias": 0.0}) == "F"
