"""The value metrics of `training.metrics_clv` under weights; with all weights 1 they are the same."""

import numpy as np
import numpy.typing as npt

from features.high_value import Definition
from training.metrics_clv import Mask, deviances, interval_fifths, truly_high_value, worst_share
from training.resampling import Statistic, Term
from training.weighted import Order, Ranking, SharedBins, bin_error, mean_of, share_of, top_count_of

Floats = npt.NDArray[np.float64]


def clv_statistics(outcomes: Floats, predictions: Floats) -> dict[str, Statistic]:
    """Return every metric of `clv_metrics`, by the same names."""
    predicted, actual = Order.of(predictions), Order.of(outcomes)
    return {
        "normalised_gini": _normalised_gini(outcomes, predicted, actual),
        "deviance": mean_of(deviances(outcomes, predictions)),
        "rmse": _rmse(outcomes, predictions),
        "mae": mean_of(np.abs(predictions - outcomes)),
        "total_bias": _total_bias(outcomes, predictions),
        "decile_error": bin_error(outcomes, predictions, order=predicted, of=outcomes),
        "top_20_captured": _top_captured(outcomes, predicted, actual),
        "spearman": _rank_correlation(predicted, actual),
        "high_value_captured": _high_value(outcomes, predicted, "is_in_top_share"),
        "revenue_makers_captured": _high_value(outcomes, predicted, "makes_most_revenue"),
    }


def interval_statistics(outcomes: Floats, bounds: Floats, ordered: Mask) -> dict[str, Statistic]:
    """Return every metric of `interval_metrics`, by the same names; arguments as there."""
    low, high, order_low, order_high = bounds
    spend = outcomes.clip(min=0.0)
    inside = (spend >= order_low) & (spend <= order_high)
    return {
        "above_high_share": share_of((spend > high) & (high > 0), high > 0),
        "inside_share": mean_of(((spend >= low) & (spend <= high)).astype(np.float64)),
        "buyers_inside_share": share_of(inside & ordered, ordered),
        "worst_fifth_buyers_inside_share": _worst_fifth(inside & ordered, ordered, order_high),
    }


def _normalised_gini(outcomes: Floats, predicted: Order, actual: Order) -> Statistic:
    by_prediction, by_outcome = Ranking.of(outcomes, predicted), Ranking.of(outcomes, actual)

    def gini(ranking: Ranking, masses: Floats, sums: Floats) -> Floats:
        even = masses.sum(axis=1) * sums.sum(axis=1)
        return np.where(even > 0, ranking.area(masses, sums) / even - 0.5, np.nan)

    def value(masses: Floats, sums: Floats, own_masses: Floats, own_sums: Floats) -> Floats:
        perfect = gini(by_outcome, own_masses, own_sums)
        return gini(by_prediction, masses, sums) / np.where(np.abs(perfect) > 1e-12, perfect, np.nan)

    return Statistic((*by_prediction.terms, *by_outcome.terms), value)


def _rmse(outcomes: Floats, predictions: Floats) -> Statistic:
    mean = mean_of((predictions - outcomes) ** 2)
    return Statistic(mean.terms, lambda *sums: np.sqrt(mean.value(*sums)))


def _total_bias(outcomes: Floats, predictions: Floats) -> Statistic:
    def value(predicted: Floats, actual: Floats) -> Floats:
        return np.where(actual > 0, predicted / actual - 1, np.nan)[:, 0]

    return Statistic((Term(predictions), Term(outcomes)), value)


def _top_captured(outcomes: Floats, predicted: Order, actual: Order, *, share: float = 0.2) -> Statistic:
    """Keep who was chosen and who was best; the draws weigh them."""
    count = top_count_of(len(outcomes), share)
    chosen = SharedBins.of(predicted, top_count=count)
    best = SharedBins.of(actual, top_count=count)

    def value(*sums: Floats) -> Floats:
        most = best.observed(*sums[3:])[:, 1]
        return np.where(most > 0, chosen.observed(*sums[:3])[:, 1] / most, np.nan)

    spend = outcomes.clip(min=0.0)
    return Statistic((*chosen.terms(spend), *best.terms(spend)), value)


def _high_value(outcomes: Floats, predicted: Order, definition: Definition) -> Statistic:
    """Keep who was chosen and who was of high value; the draws weigh them."""
    truly = truly_high_value(outcomes, definition=definition)
    chosen = SharedBins.of(predicted, top_count=int(truly.sum()))

    def value(*sums: Floats) -> Floats:
        every = sums[3][:, 0]
        return np.where(every > 0, chosen.observed(*sums[:3])[:, 1] / every, np.nan)

    return Statistic((*chosen.terms(truly), Term(truly)), value)


def _worst_fifth(
    inside: npt.NDArray[np.bool_], buyers: npt.NDArray[np.bool_], order_high: Floats
) -> Statistic:
    """Keep the fifths as they are without weights; which of them is the worst is found in every draw."""
    fifths = interval_fifths(buyers, order_high)
    cell_count = int(fifths.max(initial=0)) + 1
    terms = [Term(mask.astype(np.float64), fifths, cell_count) for mask in (inside, buyers)]
    return Statistic(terms, lambda some, all_: worst_share(some / all_))


def _rank_correlation(predicted: Order, actual: Order) -> Statistic:
    """Spearman's correlation to first order in the weights (infinitesimal jackknife, Jaeckel 1972)."""
    correlation, slopes = _correlation_slopes(predicted, actual)
    terms = (Term(slopes), Term(np.ones(len(slopes))))
    return Statistic(terms, lambda moved, count: correlation + (moved / count)[:, 0])


def _correlation_slopes(predicted: Order, actual: Order) -> tuple[float, Floats]:
    """Return Spearman's correlation, and n times its derivative by each customer's weight (mean 0)."""
    x, y = _centred_ranks(predicted), _centred_ranks(actual)
    x_spread, y_spread, product = (x * x).mean(), (y * y).mean(), (x * y).mean()
    x_moves = x * x - x_spread + 2 * _effect_on_others(x, predicted)
    y_moves = y * y - y_spread + 2 * _effect_on_others(y, actual)
    moves = x * y - product + _effect_on_others(y, predicted) + _effect_on_others(x, actual)
    scale = np.sqrt(x_spread * y_spread)
    if scale == 0:  # one side is constant
        return float("nan"), np.full(len(x), np.nan)
    slopes: Floats = moves / scale - product / scale / 2 * (x_moves / x_spread + y_moves / y_spread)
    return float(product / scale), slopes


def _centred_ranks(order: Order) -> Floats:
    """Return the middle share of customers at or below each, less a half."""
    centred: Floats = (order.middles / len(order.ties) - 0.5)[order.ties]
    return centred


def _effect_on_others(partners: Floats, order: Order) -> Floats:
    """Return how one more customer at each place moves the mean of partner times rank in the order.

    One more below somebody raises that rank; the mean rank stays a half, whoever comes.
    """
    sums = np.bincount(order.ties, weights=partners)
    above = (sums.sum() - np.cumsum(sums) + sums / 2)[order.ties] / len(order.ties)
    effects: Floats = above - above.mean()
    return effects
