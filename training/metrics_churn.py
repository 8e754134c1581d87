"""Metrics of churn probabilities: ranking, sharpness and calibration.

Every function takes `outcomes` (1 = churned, shape n) and `probabilities` (of churn, shape n).
"""

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from sklearn.metrics import roc_auc_score

from training.ties import shared_outcomes

Floats = npt.NDArray[np.float64]

PROBABILITY_MARGIN = 1e-6


def auc(outcomes: Floats, probabilities: Floats) -> float:
    """Return the area under the ROC curve, or NaN where only one outcome occurs.

    P(a churner has the higher score), ties counted half (Hanley & McNeil 1982).

    >>> auc(np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.1, 0.4, 0.35, 0.8]))
    0.75
    """
    if outcomes.min(initial=1.0) == outcomes.max(initial=0.0):
        return float("nan")
    return float(roc_auc_score(outcomes, probabilities))


def log_losses(outcomes: Floats, probabilities: Floats) -> Floats:
    """Return each customer's logarithmic loss, in nats; probabilities are kept 1e-6 away from 0 and 1."""
    clipped = np.clip(probabilities, PROBABILITY_MARGIN, 1 - PROBABILITY_MARGIN)
    losses: Floats = -(outcomes * np.log(clipped) + (1 - outcomes) * np.log1p(-clipped))
    return losses


def log_loss(outcomes: Floats, probabilities: Floats) -> float:
    """Return the mean logarithmic loss, in nats (Good 1952).

    >>> round(log_loss(np.array([1.0, 0.0]), np.array([0.5, 0.5])), 4)
    0.6931
    """
    return float(log_losses(outcomes, probabilities).mean())


def brier(outcomes: Floats, probabilities: Floats) -> float:
    """Return the mean squared difference of probability and outcome (Brier 1950).

    >>> brier(np.array([1.0, 0.0]), np.array([0.5, 0.5]))
    0.25
    """
    return float(np.mean((probabilities - outcomes) ** 2))


def calibration_table(outcomes: Floats, probabilities: Floats, *, bin_count: int = 10) -> Floats:
    """Return rows (mean probability, observed share, count), in bins of equally many customers.

    Customers with the same probability share what was observed of them, in whichever bins they lie.

    >>> calibration_table(np.array([0.0, 1.0]), np.array([0.2, 0.6]), bin_count=2)
    array([[0.2, 0. , 1. ],
           [0.6, 1. , 1. ]])
    """
    order = np.argsort(probabilities, kind="stable")
    observed = shared_outcomes(outcomes, probabilities)
    parts = [part for part in np.array_split(order, bin_count) if len(part)]
    rows = [(probabilities[part].mean(), observed[part].mean(), len(part)) for part in parts]
    return np.array(rows, dtype=np.float64)


def expected_calibration_error(outcomes: Floats, probabilities: Floats, *, bin_count: int = 10) -> float:
    """Return the mean distance of predicted and observed share, over bins of equally many customers.

    Naeini, Cooper & Hauskrecht 2015, with quantile bins.

    >>> expected_calibration_error(np.array([0.0, 1.0]), np.array([0.5, 0.5]), bin_count=1)
    0.0
    """
    predicted, observed, counts = calibration_table(outcomes, probabilities, bin_count=bin_count).T
    return float(np.average(np.abs(predicted - observed), weights=counts))


def logits_of(probabilities: Floats) -> Floats:
    """Return log-odds of probabilities, kept 1e-6 away from 0 and 1."""
    clipped = np.clip(probabilities, PROBABILITY_MARGIN, 1 - PROBABILITY_MARGIN)
    logits: Floats = np.log(clipped) - np.log1p(-clipped)
    return logits


def calibration_line(outcomes: Floats, probabilities: Floats) -> tuple[float, float]:
    """Return (a, b) of logit P(outcome) = a + b · logit(probability): (0, 1) is right.

    Under b = 1 the probabilities are overconfident. Cox 1958; NaN where only one outcome occurs, or only one
    probability.
    """
    if outcomes.min(initial=1.0) == outcomes.max(initial=0.0) or np.ptp(probabilities) == 0:
        return float("nan"), float("nan")
    logits = logits_of(probabilities)

    def loss(weights: Floats) -> tuple[float, Floats]:
        margins = weights[0] + weights[1] * logits
        residuals = 1 / (1 + np.exp(-margins)) - outcomes
        value = float(np.mean(np.logaddexp(0, margins) - outcomes * margins))
        return value, np.array([residuals.mean(), (residuals * logits).mean()])

    with np.errstate(over="ignore"):
        intercept, slope = minimize(loss, np.array([0.0, 1.0]), jac=True, method="BFGS").x
    return float(intercept), float(slope)


def lift(outcomes: Floats, probabilities: Floats, *, share: float = 0.1) -> float:
    """Return how many times the base rate of churn the riskiest share of customers has.

    >>> lift(np.array([0.0, 0.0, 0.0, 1.0]), np.array([0.1, 0.2, 0.3, 0.9]), share=0.25)
    4.0
    """
    base = outcomes.mean()
    if base == 0:
        return float("nan")
    count = max(1, round(share * len(outcomes)))
    top = np.argsort(-probabilities, kind="stable")[:count]
    return float(shared_outcomes(outcomes, probabilities)[top].mean() / base)


def churn_metrics(outcomes: Floats, probabilities: Floats) -> dict[str, float]:
    """Return every churn metric of one origin and horizon, named as in MLflow and the scorecard."""
    intercept, slope = calibration_line(outcomes, probabilities)
    return {
        "auc": auc(outcomes, probabilities),
        "log_loss": log_loss(outcomes, probabilities),
        "brier": brier(outcomes, probabilities),
        "ece": expected_calibration_error(outcomes, probabilities),
        "calibration_slope": slope,
        "calibration_intercept": intercept,
        "lift_top_decile": lift(outcomes, probabilities),
        "churned_share": float(outcomes.mean()),
        "predicted_share": float(probabilities.mean()),
    }
