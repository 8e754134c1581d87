"""What a recommender shows to all its customers together: how much of the catalogue, and how evenly."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from training.resampling import Floats, Resample

NO_ITEM = -1
_DRAWS_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Exposure:
    """The first places of the lists of one recipe at one origin.

    `items`  customers × places: numbers of the items shown, dense from 0; -1 where a list is shorter
    `offered_count`  items that could be shown; at least those that were
    """

    customer_ids: npt.NDArray[np.object_]
    items: npt.NDArray[np.int32]
    offered_count: int

    @classmethod
    def of(cls, lists: pd.DataFrame, customer_ids: Sequence[str], *, offered_count: int, k: int = 10) -> Self:
        """Keep the first k places of each customer; `lists` as in `training.metrics_recommender`."""
        shown = lists[lists["rank"] <= k]
        ids = np.array(customer_ids, dtype=object)
        items = np.full((len(ids), k), NO_ITEM, dtype=np.int32)
        numbers, products = pd.factorize(shown["product_id"])
        rows = pd.Index(ids).get_indexer(pd.Index(shown["customer_id"].to_numpy(object)))
        items[rows, shown["rank"].to_numpy(np.int64) - 1] = numbers
        return cls(ids, items, max(offered_count, len(products)))

    def matrix(self, groups: npt.NDArray[np.intp], group_count: int) -> sparse.csr_array:
        """Return groups of customers × items shown: in how many places of the group an item stands."""
        shown = self.items != NO_ITEM
        rows = np.repeat(groups, shown.sum(axis=1))
        columns = self.items[shown]
        shape = (group_count, int(self.items.max(initial=NO_ITEM)) + 1)
        return sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)


def coverage(counts: Floats, offered_count: int) -> Floats:
    """Return the share of the items on offer that are shown at all; NaN where nothing is shown.

    `counts` (… × items) are the places that each item shown holds (Ge, Delgado-Battenfeld & Jannach 2010).

    >>> float(coverage(np.array([3.0, 0.0, 1.0]), 8))
    0.25
    """
    shown = (counts > 0).sum(axis=-1)
    return np.where(shown > 0, shown / max(offered_count, 1), np.nan)


def exposure_gini(counts: Floats, offered_count: int) -> Floats:
    """Return the Gini coefficient of places over the items on offer: 0 if all have as many, 1 if one has all.

    Σ (2i - n - 1) xᵢ ÷ (n Σ x) over the n items on offer, the least shown first (Fleder & Hosanagar 2009);
    NaN where nothing is shown.

    >>> float(exposure_gini(np.array([1.0, 1.0]), 2)), float(exposure_gini(np.array([2.0]), 4))
    (0.0, 0.75)
    """
    held = np.sort(counts, axis=-1)
    # Items on offer that nobody is shown come first and add nothing.
    places = offered_count - held.shape[-1] + np.arange(1, held.shape[-1] + 1)
    totals = held.sum(axis=-1)
    sums = ((2 * places - offered_count - 1) * held).sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(totals > 0, sums / (offered_count * totals), np.nan)


def exposure_metrics(exposure: Exposure) -> dict[str, float]:
    """Return coverage_at_10 and exposure_gini_at_10, NaN where nothing is shown."""
    counts = exposure.matrix(np.zeros(len(exposure.items), np.intp), 1).sum(axis=0)
    return {name: float(found) for name, found in _both(counts, exposure.offered_count).items()}


def exposure_draws(exposure: Exposure, resample: Resample) -> dict[str, Floats]:
    """Return both metrics in every draw of a bootstrap over customers."""
    matrix = exposure.matrix(resample.groups_of(exposure.customer_ids), resample.group_count)
    parts = [
        _both(resample.weights[start : start + _DRAWS_AT_ONCE] @ matrix, exposure.offered_count)
        for start in range(0, len(resample.weights), _DRAWS_AT_ONCE)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _both(counts: Floats, offered_count: int) -> dict[str, Floats]:
    return {
        "coverage_at_10": coverage(counts, offered_count),
        "exposure_gini_at_10": exposure_gini(counts, offered_count),
    }
