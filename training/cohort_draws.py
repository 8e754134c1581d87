"""Means, ratios and differences of groups of customers with their intervals, all from one set of draws.

Customers are resampled whole (`training.resampling`): 1,000 draws of a bootstrap, of each customer alone up
to 2,000 customers, of 2,000 random groups of them beyond. A group's mean in a draw is its drawn sum over its
drawn customers, so that a thousand draws of all groups are one product of matrices.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from models.estimate import Estimate
from training.resampling import Floats, Ints, Resample, interval

CUSTOMERS_MIN = 30
"""Fewer customers than this say too little of a mean: no figure and no interval is shown."""


@dataclass(frozen=True, slots=True)
class GroupMean:
    """A figure of a group; None where fewer than the floor are known, or where it is not defined."""

    customer_count: int
    estimate: Estimate | None


class GroupDraws:
    """Draws over the customers of a shop; every figure of theirs comes from the same ones.

    Values are arrays of one entry a customer, in the order of the ids; NaN is not known. A group is a number
    from 0 to `group_count` - 1 a customer; who has -1 is left out.
    """

    def __init__(
        self, customer_ids: pl.Series, *, draw_count: int, seed: int, customers_min: int = CUSTOMERS_MIN
    ) -> None:
        ids = customer_ids.to_numpy()
        resample = Resample(ids, draw_count=draw_count, seed=seed)
        self._clumps = resample.groups_of(ids)
        # The first row is the sample itself.
        whole = np.ones((1, resample.group_count))
        self._weights: Floats = np.concatenate([whole, resample.weights])
        self._customers_min = customers_min

    def means(self, values: Floats, groups: Ints, group_count: int) -> list[GroupMean]:
        """Return the mean of every group."""
        return self.ratios(values, np.ones_like(values), groups, group_count)

    def ratios(self, top: Floats, bottom: Floats, groups: Ints, group_count: int) -> list[GroupMean]:
        """Return sum ÷ sum of every group, over the customers of whom both are known."""
        known = _known(top + bottom, groups)
        drawn = self._ratio_draws(top, bottom, np.where(known, groups, -1), group_count)
        counts = np.bincount(groups[known], minlength=group_count)
        return [self._figure(int(count), drawn[:, at]) for at, count in enumerate(counts)]

    def difference(self, values: Floats, groups: Ints) -> Estimate | None:
        """Return the mean of group 1 less that of group 0, None where either has too few."""
        known = _known(values, groups)
        counts = np.bincount(groups[known], minlength=2)
        if counts.min() < self._customers_min:
            return None
        drawn = self._ratio_draws(values, np.ones_like(values), np.where(known, groups, -1), 2)
        return _estimate(drawn[:, 1] - drawn[:, 0])

    def _ratio_draws(self, top: Floats, bottom: Floats, groups: Ints, group_count: int) -> Floats:
        """Return the ratio of every draw (the sample itself first) and group."""
        sums = (self._weights @ self._sums(each, groups, group_count) for each in (top, bottom))
        with np.errstate(divide="ignore", invalid="ignore"):
            drawn: Floats = np.divide(*sums)
        return drawn

    def _sums(self, values: Floats, groups: Ints, group_count: int) -> Floats:
        used = groups >= 0
        keys = self._clumps[used] * group_count + groups[used]
        clump_count = self._weights.shape[1]
        sums = np.bincount(keys, weights=values[used], minlength=clump_count * group_count)
        return np.asarray(sums, dtype=np.float64).reshape(clump_count, group_count)

    def _figure(self, count: int, drawn: Floats) -> GroupMean:
        return GroupMean(count, _estimate(drawn) if count >= self._customers_min else None)


def _known(values: Floats, groups: Ints) -> npt.NDArray[np.bool_]:
    known: npt.NDArray[np.bool_] = np.isfinite(values) & (groups >= 0)
    return known


def _estimate(drawn: Floats) -> Estimate | None:
    value = float(drawn[0])
    bounds = interval(value, drawn[1:])
    return None if bounds is None else Estimate(value=value, low=bounds[0], high=bounds[1])


def group_numbers(labels: pl.Series, order: Sequence[str]) -> Ints:
    """Return the place of every label in an order that holds them all."""
    places = {label: place for place, label in enumerate(order)}
    numbers = labels.replace_strict(places, return_dtype=pl.Int64) if len(labels) else labels.cast(pl.Int64)
    return numbers.to_numpy().astype(np.intp)
