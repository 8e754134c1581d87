"""Metrics of predicted spend: ranking, error, level and intervals.

Every function takes `outcomes` (spend in the window, shape n) and `predictions` (expected spend, shape n),
both in major units of the shop's currency.
"""

import narwhals as nw
import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.stats import spearmanr

from features.high_value import Definition, flag_high_value
from training.ties import shared_outcomes

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

BOUNDS = ("low", "high", "spend_if_order_low", "spend_if_order_high")
_NOMINAL_SHARE = 0.8
_FIFTHS = 5

DEVIANCE_POWER = 1.5
"""Variance power of the Tweedie deviance: between Poisson (1) and gamma (2); zeros and large spends count."""


def gini(outcomes: Floats, order: npt.NDArray[np.intp]) -> float:
    """Return the Gini coefficient of outcomes taken in an order, the highest first."""
    total = outcomes.sum()
    if total <= 0 or len(outcomes) == 0:
        return float("nan")
    shares = np.cumsum(outcomes[order]) / total
    return float(shares.sum() / len(outcomes) - (len(outcomes) + 1) / (2 * len(outcomes)))


def normalised_gini(outcomes: Floats, predictions: Floats) -> float:
    """Return the Gini of the predicted ranking over the Gini of the perfect one: 1 is perfect, 0 is random.

    Frees, Meyers & Cummings 2011; customers with the same prediction share their outcomes.

    >>> normalised_gini(np.array([0.0, 1.0, 5.0]), np.array([0.1, 0.5, 0.9]))
    1.0
    """
    perfect = gini(outcomes, np.argsort(-outcomes, kind="stable"))
    if not abs(perfect) > 1e-12:
        return float("nan")
    ranked = shared_outcomes(outcomes, predictions)
    return gini(ranked, np.argsort(-predictions, kind="stable")) / perfect


def total_bias(outcomes: Floats, predictions: Floats) -> float:
    """Return predicted total ÷ actual total - 1.

    >>> total_bias(np.array([10.0, 10.0]), np.array([15.0, 10.0]))
    0.25
    """
    total = outcomes.sum()
    return float(predictions.sum() / total - 1) if total > 0 else float("nan")


def deviances(outcomes: Floats, predictions: Floats) -> Floats:
    """Return each customer's Tweedie deviance (power 1.5): a proper loss for a mean that is often zero.

    d = 2 · (y^(2-p) / ((1-p)(2-p)) - y · μ^(1-p) / (1-p) + μ^(2-p) / (2-p)) (Jørgensen 1987). Spends below
    zero count as zero, predictions are kept above a thousandth of the mean outcome.
    """
    power = DEVIANCE_POWER
    spends = np.maximum(outcomes, 0.0)
    means = np.maximum(predictions, max(spends.mean(), 1e-9) / 1000)
    constant = spends ** (2 - power) / ((1 - power) * (2 - power))
    losses: Floats = 2 * (
        constant - spends * means ** (1 - power) / (1 - power) + means ** (2 - power) / (2 - power)
    )
    return losses


def decile_table(outcomes: Floats, predictions: Floats, *, bin_count: int = 10) -> Floats:
    """Return rows (mean prediction, mean outcome, count) of customers, the lowest prediction first."""
    order = np.argsort(predictions, kind="stable")
    actual = shared_outcomes(outcomes, predictions)
    parts = [part for part in np.array_split(order, bin_count) if len(part)]
    rows = [(predictions[part].mean(), actual[part].mean(), len(part)) for part in parts]
    return np.array(rows, dtype=np.float64)


def decile_error(outcomes: Floats, predictions: Floats) -> float:
    """Return Σ |predicted - actual total of a decile| ÷ actual total."""
    total = outcomes.sum()
    if total <= 0:
        return float("nan")
    predicted, actual, counts = decile_table(outcomes, predictions).T
    return float((np.abs(predicted - actual) * counts).sum() / total)


def top_share_captured(outcomes: Floats, predictions: Floats, *, share: float = 0.2) -> float:
    """Return the spend of the customers predicted highest over that of the truly highest; below 0 is 0.

    >>> top_share_captured(np.array([1.0, 9.0]), np.array([5.0, 4.0]), share=0.5)
    0.1111111111111111
    """
    count, spend = max(1, round(share * len(outcomes))), outcomes.clip(min=0.0)
    best = np.sort(spend)[::-1][:count].sum()
    ranked = shared_outcomes(spend, predictions)
    chosen = ranked[np.argsort(-predictions, kind="stable")[:count]].sum()
    return float(chosen / best) if best > 0 else float("nan")


def high_value_captured(
    outcomes: Floats, predictions: Floats, *, definition: Definition = "is_in_top_share"
) -> float:
    """Return the share of the truly high-value customers who are among the as many predicted highest.

    Both definitions are those of `features.high_value`: the top 20 % by value, or the fewest customers who
    make 80 % of the revenue. Equal predictions share their places, so that a constant one finds as many as
    chance does. NaN where nobody spent anything.

    >>> high_value_captured(np.array([0.0, 1.0, 2.0, 3.0, 90.0]), np.array([1.0, 2.0, 3.0, 5.0, 4.0]))
    0.0
    """
    truly = truly_high_value(outcomes, definition=definition)
    count = int(truly.sum())
    chosen = np.argsort(-predictions, kind="stable")[:count]
    return float(shared_outcomes(truly, predictions)[chosen].sum() / count) if count else float("nan")


def truly_high_value(outcomes: Floats, *, definition: Definition) -> Floats:
    """Return 1 for the customers who were of high value, 0 for the others."""
    values = pl.LazyFrame({"customer_id": np.arange(len(outcomes)), "value": outcomes})
    flagged: pl.DataFrame = flag_high_value(nw.from_native(values)).collect("polars").to_native()
    return flagged.sort("customer_id")[definition].to_numpy().astype(np.float64)


def rank_correlation(outcomes: Floats, predictions: Floats) -> float:
    """Return Spearman's rank correlation, or NaN where one side is constant."""
    if np.ptp(outcomes) == 0 or np.ptp(predictions) == 0:
        return float("nan")
    return float(spearmanr(outcomes, predictions).statistic)


def clv_metrics(outcomes: Floats, predictions: Floats) -> dict[str, float]:
    """Return every CLV metric of one origin and horizon, named as in MLflow and the scorecard."""
    return {
        "normalised_gini": normalised_gini(outcomes, predictions),
        "deviance": float(deviances(outcomes, predictions).mean()),
        "rmse": float(np.sqrt(np.mean((predictions - outcomes) ** 2))),
        "mae": float(np.mean(np.abs(predictions - outcomes))),
        "total_bias": total_bias(outcomes, predictions),
        "decile_error": decile_error(outcomes, predictions),
        "top_20_captured": top_share_captured(outcomes, predictions),
        "high_value_captured": high_value_captured(outcomes, predictions),
        "revenue_makers_captured": high_value_captured(
            outcomes, predictions, definition="makes_most_revenue"
        ),
        "spearman": rank_correlation(outcomes, predictions),
    }


def interval_metrics(outcomes: Floats, bounds: Floats, ordered: Mask) -> dict[str, float]:
    """Return how often spend lies where the intervals say; `bounds` has a row for each of `BOUNDS`.

    Bounds are never below 0, so spend below 0 (returns, goods sold at a loss) counts as 0. Buyers are those
    who `ordered`, whatever was left of it.

    `above_high_share`      above the marginal p90, of the customers whose p90 is above 0; 10 % is right
    `inside_share`          within the marginal p10 and p90; more than 80 % where most spend nothing
    `buyers_inside_share`   of the buyers, within the interval given an order; 80 % is right
    `worst_fifth_buyers_inside_share`   the same in the fifth of the buyers, by that interval's top, where it
                            is furthest from 80 %
    """
    low, high, order_low, order_high = bounds
    spend = outcomes.clip(min=0.0)
    inside = (spend >= order_low) & (spend <= order_high)
    fifths = interval_fifths(ordered, order_high)[ordered]
    counts = np.bincount(fifths)
    shares = np.bincount(fifths, weights=inside[ordered]) / counts if len(counts) else np.array([np.nan])
    return {
        "above_high_share": _share(spend > high, of=high > 0),
        "inside_share": float(((spend >= low) & (spend <= high)).mean()),
        "buyers_inside_share": _share(inside, of=ordered),
        "worst_fifth_buyers_inside_share": float(worst_share(shares[None, :])[0]),
    }


def interval_fifths(buyers: Mask, order_high: Floats) -> npt.NDArray[np.intp]:
    """Return the fifth of each buyer by the top of the interval, from 0; that of anybody else is 0."""
    fifths = np.zeros(len(buyers), dtype=np.intp)
    places = np.flatnonzero(buyers)
    ranked = places[np.argsort(order_high[places], kind="stable")]
    for number, part in enumerate(np.array_split(ranked, _FIFTHS)):
        fifths[part] = number
    return fifths


def worst_share(shares: Floats) -> Floats:
    """Return of each row the share that is furthest from 80 %, NaN where none is known.

    >>> worst_share(np.array([[0.82, 0.6, np.nan]])).tolist()
    [0.6]
    """
    distances = np.abs(shares - _NOMINAL_SHARE)
    worst = np.where(np.isnan(distances), -1.0, distances).argmax(axis=1)
    found: Floats = shares[np.arange(len(shares)), worst]
    return found


def _share(what: Mask, *, of: Mask) -> float:
    return float(what[of].mean()) if of.any() else float("nan")
