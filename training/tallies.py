"""Counts that say how good predictions were, and that add up over runs of any size.

A ledger holds many runs of many customers: their rows never stand in memory together. Churn is counted by the
probability that was said, which the ledger keeps in steps of 0.00001, so every metric of the pooled runs is
exact; spend needs sums only.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from features.ledger import PROBABILITY_DIGITS
from training.metrics_churn import log_losses

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

_STEP_COUNT = 10**PROBABILITY_DIGITS


@dataclass(frozen=True, slots=True)
class ChurnTally:
    """Customers, and those of them who churned, by said probability: entry i counts those told i · 0.00001.

    The metrics are those of `training.metrics_churn`, of at least one customer.
    """

    customers: Counts
    churned: Counts

    @classmethod
    def of(cls, outcomes: Floats, probabilities: Floats) -> Self:
        """Count outcomes (1 = churned, shape n) and probabilities in [0, 1] (of churn, shape n).

        >>> tally = ChurnTally.of(np.array([1.0, 0.0]), np.array([0.5, 0.1]))
        >>> tally.customer_count, tally.predicted_share, tally.churned_share
        (2, 0.3, 0.5)
        """
        steps = np.rint(probabilities * _STEP_COUNT).astype(np.int64)
        return cls(
            np.bincount(steps, minlength=_STEP_COUNT + 1),
            np.bincount(steps[outcomes == 1], minlength=_STEP_COUNT + 1),
        )

    def __add__(self, other: "ChurnTally") -> "ChurnTally":
        return ChurnTally(self.customers + other.customers, self.churned + other.churned)

    @property
    def customer_count(self) -> int:
        """How many customers were counted."""
        return int(self.customers.sum())

    @property
    def predicted_share(self) -> float:
        """The mean of the probabilities."""
        steps = int(np.dot(self.customers, np.arange(_STEP_COUNT + 1)))
        return float(steps / _STEP_COUNT / self.customer_count)

    @property
    def churned_share(self) -> float:
        """The share of customers who churned."""
        return float(self.churned.sum() / self.customer_count)

    @property
    def log_loss(self) -> float:
        """The mean logarithmic loss, in nats."""
        said = np.arange(_STEP_COUNT + 1) / _STEP_COUNT
        kept = self.customers - self.churned
        losses = self.churned * log_losses(np.ones(1), said) + kept * log_losses(np.zeros(1), said)
        return float(losses.sum() / self.customer_count)

    @property
    def auc(self) -> float | None:
        """The area under the ROC curve, ties counted half; None where only one outcome occurs."""
        kept = self.customers - self.churned
        pairs = float(kept.sum()) * float(self.churned.sum())
        if not pairs:
            return None
        below = np.cumsum(kept) - kept / 2
        return float(np.dot(self.churned, below) / pairs)

    def calibration_table(self, *, bin_count: int = 10) -> Floats:
        """Return rows (mean probability, churned share, count), in bins of equally many customers.

        As `training.metrics_churn.calibration_table`: who was told the same shares what became of them all.
        """
        told = np.flatnonzero(self.customers)
        counts = self.customers[told]
        sizes = np.full(bin_count, self.customer_count // bin_count)
        sizes[: self.customer_count % bin_count] += 1
        sizes = sizes[sizes > 0]
        edges = np.concatenate([[0], np.cumsum(sizes)])
        # Within one probability the sums grow evenly: a bin's edge may lie inside it.
        ends = np.concatenate([[0], np.cumsum(counts)])
        sums = [
            np.diff(np.interp(edges, ends, np.concatenate([[0.0], np.cumsum(values)])))
            for values in (told * counts / _STEP_COUNT, self.churned[told])
        ]
        return np.column_stack([sums[0] / sizes, sums[1] / sizes, sizes.astype(np.float64)])

    @property
    def ece(self) -> float:
        """The mean distance of predicted and churned share over ten bins of equally many customers."""
        predicted, observed, counts = self.calibration_table().T
        return float(np.average(np.abs(predicted - observed), weights=counts))


@dataclass(frozen=True, slots=True)
class SpendTally:
    """Sums of predicted and actual spend, in major units, and how the interval held where there is one.

    `high_count` counts customers whose 90th percentile is above 0, `above_count` those of them who spent
    more;
    `interval_count` counts everybody with an interval, `inside_count` those who spent between its ends;
    bounds are never below 0, so spend below 0 counts as 0 here.
    """

    customer_count: int
    predicted_total: float
    actual_total: float
    high_count: int = 0
    above_count: int = 0
    interval_count: int = 0
    inside_count: int = 0

    @classmethod
    def of(cls, outcomes: Floats, predictions: Floats, bounds: tuple[Floats, Floats] | None = None) -> Self:
        """Count spend (shape n), expected spend (shape n) and the interval's (low, high), if there is one."""
        totals = (len(outcomes), float(predictions.sum()), float(outcomes.sum()))
        if bounds is None:
            return cls(*totals)
        low, high = bounds
        spend = outcomes.clip(min=0.0)
        inside = (spend >= low) & (spend <= high)
        return cls(
            *totals,
            high_count=int((high > 0).sum()),
            above_count=int(((spend > high) & (high > 0)).sum()),
            interval_count=len(outcomes),
            inside_count=int(inside.sum()),
        )

    def __add__(self, other: "SpendTally") -> "SpendTally":
        return SpendTally(
            self.customer_count + other.customer_count,
            self.predicted_total + other.predicted_total,
            self.actual_total + other.actual_total,
            self.high_count + other.high_count,
            self.above_count + other.above_count,
            self.interval_count + other.interval_count,
            self.inside_count + other.inside_count,
        )

    @property
    def total_bias(self) -> float | None:
        """Predicted ÷ actual total - 1; None where nothing was spent."""
        return self.predicted_total / self.actual_total - 1 if self.actual_total > 0 else None

    @property
    def above_high_share(self) -> float | None:
        """The share above the 90th percentile, of those where it is above 0; 10 % is right."""
        return self.above_count / self.high_count if self.high_count else None

    @property
    def inside_share(self) -> float | None:
        """The share within the interval; more than 80 % where most spend nothing."""
        return self.inside_count / self.interval_count if self.interval_count else None
