"""What a recipe's figures should reach: honest probabilities, honest intervals, a total that adds up."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from models.registry_names import Task
from training.scorecard import Gate, Summary


@dataclass(frozen=True, slots=True)
class Target:
    """Where a metric's mean over the origins should lie, ends included.

    `of` says what must lie there: the `mean`, the `size` (mean absolute value) or the interval's `low` end.
    """

    metric: str
    words: str
    at_least: float | None = None
    at_most: float | None = None
    of: str = "mean"


TARGETS: Final[dict[Task, tuple[Target, ...]]] = {
    "churn": (
        Target("ece", "predicted and observed churn differ by little, in tenths of customers", at_most=0.03),
        Target("calibration_slope", "neither overconfident nor timid", at_least=0.8, at_most=1.2),
        Target("calibration_intercept", "not too high nor too low in general", at_least=-0.25, at_most=0.25),
        Target(
            "lift_top_decile",
            "the riskiest tenth churns more than everybody, beyond doubt",
            at_least=1.0,
            of="low",
        ),
    ),
    "clv": (
        Target(
            "above_high_share",
            "spend above the 90th percentile, where that is above 0",
            at_least=0.07,
            at_most=0.13,
        ),
        Target(
            "buyers_inside_share", "buyers within the interval given an order", at_least=0.77, at_most=0.83
        ),
        Target("total_bias", "the total of all customers, off by", at_most=0.1, of="size"),
    ),
    "recommender": (),
}


def gates_of(task: Task, summaries: Mapping[str, Summary]) -> list[Gate]:
    """Hold a recipe's summaries against the targets of its task; what is not known passes nothing.

    >>> found = gates_of("churn", {"ece": Summary(mean=0.05, spread=None, by_origin={})})
    >>> [(gate.metric, gate.passed) for gate in found]
    [('ece', False)]
    """
    return [
        Gate(
            metric=target.metric,
            words=target.words,
            value=value,
            of=target.of,
            at_least=target.at_least,
            at_most=target.at_most,
            passed=_lies_within(value, target),
        )
        for target in TARGETS[task]
        if target.metric in summaries
        for value in [_value(summaries[target.metric], target.of)]
    ]


def mean_size(summary: Summary) -> float | None:
    """Return the mean absolute value over origins, so that origins cannot make up for each other."""
    sizes = [abs(value) for value in summary.by_origin.values() if value is not None]
    return sum(sizes) / len(sizes) if sizes else None


def _value(summary: Summary, of: str) -> float | None:
    if of == "size":
        return mean_size(summary)
    return summary.low if of == "low" else summary.mean


def _lies_within(value: float | None, target: Target) -> bool:
    if value is None:
        return False
    beyond = target.of == "low" and target.at_least is not None and value <= target.at_least
    below = target.at_least is not None and value < target.at_least
    above = target.at_most is not None and value > target.at_most
    return not (beyond or below or above)
