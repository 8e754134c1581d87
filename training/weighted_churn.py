"""The churn metrics of `training.metrics_churn` under weights; with all weights 1 they are the same."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from training.metrics_churn import calibration_line, log_losses, logits_of
from training.resampling import Statistic, Term
from training.weighted import Order, Ranking, SharedBins, bin_error, mean_of, top_count_of

Floats = npt.NDArray[np.float64]


def churn_statistics(outcomes: Floats, probabilities: Floats) -> dict[str, Statistic]:
    """Return every metric of `churn_metrics`, by the same names."""
    order, line = Order.of(probabilities), _Line.of(outcomes, probabilities)
    return {
        "auc": _auc(outcomes, order),
        "log_loss": mean_of(log_losses(outcomes, probabilities)),
        "brier": mean_of((probabilities - outcomes) ** 2),
        "ece": bin_error(outcomes, probabilities, order=order, of=np.ones(len(outcomes))),
        "calibration_slope": line.statistic(1),
        "calibration_intercept": line.statistic(0),
        "lift_top_decile": _lift(outcomes, order),
        "churned_share": mean_of(outcomes),
        "predicted_share": mean_of(probabilities),
    }


def _auc(outcomes: Floats, order: Order) -> Statistic:
    """P(a churner has the higher score), from the area below the churners without their own part."""
    ranking = Ranking.of(outcomes, order)

    def value(masses: Floats, churned: Floats) -> Floats:
        churners = churned.sum(axis=1)
        stayers = masses.sum(axis=1) - churners
        share: Floats = (ranking.area(masses, churned) - churners**2 / 2) / (churners * stayers)
        return share

    return Statistic(ranking.terms, value)


def _lift(outcomes: Floats, order: Order, *, share: float = 0.1) -> Statistic:
    """Take the riskiest as they are without weights; the draws weigh them."""
    bins = SharedBins.of(order, top_count=top_count_of(len(outcomes), share))
    ones = np.ones(len(outcomes))

    def value(base: Floats, count: Floats, *sums: Floats) -> Floats:
        top = bins.observed(*sums)[:, 1] / bins.masses(sums[0])[:, 1]
        return top / (base / count)[:, 0]

    return Statistic((Term(outcomes), Term(ones), *bins.terms(outcomes)), value)


@dataclass(frozen=True, slots=True)
class _Line:
    """The calibration line and the sums that a Newton step from it needs.

    One step is enough for a bootstrap: what is left is an order smaller than the interval (Davidson &
    MacKinnon 1999).
    """

    coefficients: tuple[float, float]
    terms: tuple[Term, ...]

    @classmethod
    def of(cls, outcomes: Floats, probabilities: Floats) -> Self:
        """Fit the line without weights."""
        line = calibration_line(outcomes, probabilities)
        logits = logits_of(probabilities)
        fitted = 1 / (1 + np.exp(-np.clip(line[0] + line[1] * logits, -700, 700)))
        residuals, spreads = outcomes - fitted, fitted * (1 - fitted)
        # At the optimum both residual sums are 0; what the optimiser left of them must not move the draws.
        rest = residuals - residuals.mean(), residuals * logits - (residuals * logits).mean()
        parts = (*rest, spreads, spreads * logits, spreads * logits**2)
        return cls(line, tuple(Term(part) for part in parts))

    def statistic(self, coefficient: int) -> Statistic:
        """Return the intercept (0) or the slope (1)."""

        def value(*sums: Floats) -> Floats:
            r0, r1, h0, h1, h2 = (total[:, 0] for total in sums)
            determinant = h0 * h2 - h1**2
            step = (h0 * r1 - h1 * r0) if coefficient else (h2 * r0 - h1 * r1)
            return self.coefficients[coefficient] + step / determinant

        return Statistic(self.terms, value)
