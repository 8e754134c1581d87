"""A grade from A to F for the recipe that serves, by a rule that is printed beside it.

Churn is graded by its skill, 1 - log-loss / log-loss of the base rate (how much of the uncertainty it takes
away), and by its calibration error; value by how it ranks customers and how far totals are off: that of all
customers, and those of the tenths by predicted value as far as that is no accident of who bought (the lower
end of its interval). A recipe that tells customers apart no better than saying the same of everybody gets F,
however right its level; one that does gets D at worst, however wrong its level.
"""

import math
from collections.abc import Mapping

from features.grade_steps import CHURN_STEPS, CLV_STEPS, Grade, Step
from models.registry_names import Task

Metrics = Mapping[str, float | None]


def grade_churn(metrics: Metrics, base_rate: Metrics) -> Grade | None:
    """Grade a churn recipe by its mean metrics and those of the base rate; None where they are unknown.

    Where everybody came back or nobody did, there is no AUC and nobody to tell apart: that is no grade.

    >>> grade_churn({"auc": 0.85, "log_loss": 0.30, "ece": 0.02}, {"log_loss": 0.45})
    'A'
    >>> grade_churn({"auc": 0.5, "log_loss": 0.45, "ece": 0.0}, {"log_loss": 0.45})
    'F'
    """
    loss, error, constant = metrics.get("log_loss"), metrics.get("ece"), base_rate.get("log_loss")
    if metrics.get("auc") is None or loss is None or error is None or not constant:
        return None
    return _graded(1.0 - loss / constant, error, CHURN_STEPS)


def grade_clv(metrics: Metrics) -> Grade | None:
    """Grade a value recipe by normalised Gini and how far totals are off; None where they are unknown.

    `decile_error_low` is the lower end of the tenths' error; without it the total of all counts alone.

    >>> grade_clv({"normalised_gini": 0.8, "total_bias": -0.3})
    'C'
    >>> grade_clv({"normalised_gini": 0.8, "total_bias": 0.0, "decile_error_low": 0.15})
    'B'
    >>> grade_clv({"normalised_gini": 0.0, "total_bias": 0.0})
    'F'
    """
    ranking, bias = metrics.get("normalised_gini"), metrics.get("total_bias")
    if ranking is None or bias is None:
        return None
    return _graded(ranking, max(abs(bias), metrics.get("decile_error_low") or 0.0), CLV_STEPS)


def grade_of(task: Task, metrics: Metrics, constant: Metrics) -> Grade | None:
    """Grade a recipe of a task beside the metrics of saying the same of everybody; None for lists."""
    if task == "churn":
        return grade_churn(metrics, constant)
    return grade_clv(metrics) if task == "clv" else None


def rule_text(task: Task) -> str:
    """Say in one line what each grade of a task asks for.

    >>> rule_text("clv").split(", ")[0]
    'graded by normalised Gini and error of totals: A from 0.7 and to 0.1'
    """
    is_churn = task == "churn"
    churn, value = "skill against the base rate and calibration error", "normalised Gini and error of totals"
    names = churn if is_churn else value
    steps = CHURN_STEPS if is_churn else CLV_STEPS
    return f"graded by {names}: {', '.join(map(_step_text, steps))}, F below"


def _step_text(step: Step) -> str:
    limit = "" if math.isinf(step.error_max) else f" and to {step.error_max:g}"
    return f"{step.grade} from {step.skill_min:g}{limit}"


def _graded(skill: float, error: float, steps: tuple[Step, ...]) -> Grade:
    for step in steps:
        if skill >= step.skill_min and error <= step.error_max:
            return step.grade
    return "F"
