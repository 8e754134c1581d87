"""What weighted metrics are made of: ranks that the draws share, and bins in which equal predictions share.

The order of the customers is found once; a draw only weighs them. Nothing here knows churn or money.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from training.resampling import Statistic, Term

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]

_CLASSES_MAX = 100


def mean_of(values: Floats) -> Statistic:
    """Return the weighted mean."""
    return share_of(values, np.ones(len(values)))


def share_of(part: Floats | Mask, whole: Floats | Mask) -> Statistic:
    """Return the weighted sum of one value over that of another."""
    terms = (Term(part.astype(np.float64)), Term(whole.astype(np.float64)))
    return Statistic(terms, lambda some, all_: (some / all_)[:, 0])


@dataclass(frozen=True, slots=True)
class Order:
    """The order of scores, found once for all metrics; equal scores are one tie.

    `places`  customers, the lowest score first
    `ties`    the number of each customer's tie, counted from the lowest; `counts` how many are in each
    """

    places: Ints
    ties: Ints
    counts: Ints

    @classmethod
    def of(cls, scores: Floats) -> Self:
        """Order the customers by their scores.

        >>> Order.of(np.array([0.5, 0.1, 0.5])).ties.tolist()
        [1, 0, 1]
        """
        places = np.argsort(scores, kind="stable")
        ties = np.empty(len(scores), dtype=np.intp)
        ties[places] = np.cumsum(np.diff(scores[places], prepend=-np.inf) != 0) - 1
        return cls(places, ties, np.bincount(ties))

    @property
    def middles(self) -> Floats:
        """How many customers are below the middle of each tie."""
        return np.asarray(np.cumsum(self.counts) - self.counts / 2, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Ranking:
    """Customers ranked by a score, in at most 100 classes of neighbours; equal scores share a class.

    Between classes the weights of a draw count exactly. Within one, the order is taken to be as strong as it
    is without weights: exact for ties and for all weights 1, and else of no weight, since two customers fall
    into one class only once in a hundred.
    """

    values: Floats
    classes: Ints
    class_count: int
    strengths: Floats

    @classmethod
    def of(cls, values: Floats, order: Order) -> Self:
        """Rank `values` in an order."""
        ties, middles = order.ties, order.middles
        numbers = np.arange(len(middles))
        if len(middles) > _CLASSES_MAX:
            places = (middles * _CLASSES_MAX / len(values)).astype(np.intp)
            numbers = np.unique(np.minimum(places, _CLASSES_MAX - 1), return_inverse=True)[1]
        classes = numbers[ties]
        class_count = int(numbers.max(initial=-1)) + 1
        masses = np.bincount(classes, minlength=class_count).astype(np.float64)
        starts = np.cumsum(masses) - masses
        excess = values * (middles[ties] - starts[classes] - masses[classes] / 2)
        strengths = np.bincount(classes, weights=excess, minlength=class_count) / masses**2
        return cls(values, classes, class_count, strengths)

    @property
    def terms(self) -> tuple[Term, Term]:
        """The weight and the sum of the values by class."""
        ones = np.ones(len(self.values))
        return (Term(ones, self.classes, self.class_count), Term(self.values, self.classes, self.class_count))

    def area(self, masses: Floats, sums: Floats) -> Floats:
        """Return Σ weight · value · (weight below + half of the own), for each draw."""
        below = np.cumsum(masses, axis=1) - masses / 2
        area: Floats = (sums * below + self.strengths * masses**2).sum(axis=1)
        return area


@dataclass(frozen=True, slots=True)
class SharedBins:
    """Bins of customers in the order of a score, where equal scores share their outcomes across bins.

    A cell is a part of a bin, a pool is what shares: all of a bin that ties do not cross, or one such tie.
    """

    cells: Ints
    pools: Ints
    bin_of_cell: Ints
    pool_of_cell: Ints
    bin_count: int

    @classmethod
    def of(cls, order: Order, *, top_count: int | None = None, bin_count: int = 10) -> Self:
        """Cut into bins of equally many, the lowest score first; by `top_count` into the rest and the top."""
        count, ties = len(order.ties), order.ties
        sizes = [len(part) for part in np.array_split(order.places, bin_count)]
        if top_count is not None:
            sizes = [count - top_count, top_count]
        bins = np.empty(count, dtype=np.intp)
        bins[order.places] = np.repeat(np.arange(len(sizes)), sizes)
        ends = np.cumsum(order.counts)
        first, last = bins[order.places[ends - order.counts]], bins[order.places[ends - 1]]
        crosses = (last > first)[ties]
        base = len(sizes)
        cell_keys = np.where(crosses, base + ties * base + bins, bins)
        _, leads, cells = np.unique(cell_keys, return_index=True, return_inverse=True)
        pools = np.unique(np.where(crosses, base + ties, bins), return_inverse=True)[1]
        return cls(cells, pools, bins[leads], pools[leads], base)

    def terms(self, outcomes: Floats) -> tuple[Term, Term, Term]:
        """Return the weight by cell, and weight and outcomes by pool."""
        ones = np.ones(len(outcomes))
        pool_count = int(self.pools.max(initial=-1)) + 1
        return (
            Term(ones, self.cells, len(self.bin_of_cell)),
            Term(ones, self.pools, pool_count),
            Term(outcomes, self.pools, pool_count),
        )

    def predicted(self, predictions: Floats) -> Term:
        """Return the predictions by bin."""
        return Term(predictions, self.bin_of_cell[self.cells], self.bin_count)

    def observed(self, cells: Floats, pools: Floats, outcomes: Floats) -> Floats:
        """Return the outcomes of each bin (draws × bins), from the weighted sums of `terms`."""
        means = np.divide(outcomes, pools, out=np.zeros_like(outcomes), where=pools > 0)
        return self._by_bin(cells * means[:, self.pool_of_cell])

    def masses(self, cells: Floats) -> Floats:
        """Return the weight of each bin (draws × bins)."""
        return self._by_bin(cells)

    def _by_bin(self, by_cell: Floats) -> Floats:
        found = np.zeros((len(by_cell), self.bin_count))
        np.add.at(found.T, self.bin_of_cell, by_cell.T)
        return found


def bin_error(outcomes: Floats, predictions: Floats, *, order: Order, of: Floats) -> Statistic:
    """Return Σ over ten bins of |predicted - observed total| ÷ the weighted sum of `of`."""
    bins = SharedBins.of(order)

    def value(predicted: Floats, whole: Floats, *sums: Floats) -> Floats:
        gaps: Floats = np.abs(predicted - bins.observed(*sums)).sum(axis=1)
        return np.where(whole[:, 0] > 0, gaps / whole[:, 0], np.nan)

    return Statistic((bins.predicted(predictions), Term(of), *bins.terms(outcomes)), value)


def top_count_of(count: int, share: float) -> int:
    """Return how many the top share of so many customers is, one at least."""
    return max(1, round(share * count))
