"""The published origins of the real sets, and what predictions must reach there."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import numpy as np

from models.registry_names import Task

OURS = "regulars"
"""What the back-test before an origin made champion, fitted at that origin."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What a metric of ours must reach: at every origin a bound of its own, or in the mean one for all.

    `at_least` and `at_most` have one entry an origin, or one entry for the mean over the origins.
    """

    task: Task
    metric: str
    at_least: tuple[float, ...] = ()
    at_most: tuple[float, ...] = ()

    def verdicts(self, values: list[float]) -> list[tuple[str, bool]]:
        """Return what was asked and whether it was reached, for the values of the origins, oldest first.

        >>> Gate("churn", "auc", at_least=(0.8,)).verdicts([0.7, 0.9])
        [('mean auc 0.8000 ≥ 0.8', True)]
        >>> Gate("churn", "ece", at_most=(0.02, 0.02)).verdicts([0.01, 0.03])[1]
        ('ece 0.0300 ≤ 0.02', False)
        """
        bounds = max(len(self.at_least), len(self.at_most))
        name = f"mean {self.metric}" if bounds == 1 and len(values) > 1 else self.metric
        found = [float(np.mean(values))] if bounds == 1 else values
        checks: list[tuple[str, tuple[float, ...], Callable[[float, float], bool]]] = [
            ("≥", self.at_least, lambda value, bound: value >= bound),
            ("≤", self.at_most, lambda value, bound: value <= bound),
        ]
        return [
            (f"{name} {value:.4f} {sign} {bound:g}", holds(value, bound))
            for sign, given, holds in checks
            for value, bound in zip(found, given, strict=bool(given))
        ]


def gates_text(lines: list[tuple[str, bool]]) -> str:
    r"""Lay out what was asked of a benchmark and whether it was reached.

    >>> gates_text([("auc 0.9 ≥ 0.8", True)])
    '\ngates\n  met     auc 0.9 ≥ 0.8\n'
    """
    told = (f"  {'met   ' if held else 'MISSED'}  {words}\n" for words, held in lines)
    return "".join(["\ngates\n", *told])


@dataclass(frozen=True, slots=True)
class Trial:
    """One set, its horizon, its published origins and the gates there."""

    name: str
    horizon_days: int
    origins: tuple[date, ...]
    gates: tuple[Gate, ...]


def _intervals(count: int) -> tuple[Gate, Gate]:
    """Return the gates of the intervals: 7 to 13 % above the p90, 77 to 83 % of buyers inside."""
    return (
        Gate("clv", "above_high_share", at_least=(0.07,) * count, at_most=(0.13,) * count),
        Gate("clv", "buyers_inside_share", at_least=(0.77,) * count, at_most=(0.83,) * count),
    )


TRIALS = {
    "cj": Trial(
        "Complete Journey",
        30,
        (date(2017, 9, 4), date(2017, 10, 19), date(2017, 12, 3)),
        (
            Gate("churn", "auc", at_least=(0.878,)),
            Gate("churn", "log_loss", at_most=(0.307,)),
            Gate("churn", "ece", at_most=(0.025,) * 3),
            Gate("clv", "normalised_gini", at_least=(0.835,) * 3),
            *_intervals(3),
        ),
    ),
    "or": Trial(
        "Online Retail",
        90,
        (date(2011, 9, 10),),
        (
            Gate("churn", "auc", at_least=(0.738,)),
            Gate("clv", "normalised_gini", at_least=(0.775,)),
            *_intervals(1),
        ),
    ),
    "cdnow": Trial(
        "CDNOW",
        91,
        (date(1997, 12, 31), date(1998, 4, 1)),
        (
            Gate("churn", "auc", at_least=(0.803, 0.835)),
            Gate("churn", "log_loss", at_most=(0.348, 0.299)),
            Gate("churn", "ece", at_most=(0.02, 0.02)),
            Gate("clv", "normalised_gini", at_least=(0.733, 0.780)),
            Gate("clv", "rmse", at_most=(35.5, 33.0)),
            Gate("clv", "total_bias", at_least=(-0.15, -0.15), at_most=(0.15, 0.15)),
            *_intervals(2),
        ),
    ),
}
