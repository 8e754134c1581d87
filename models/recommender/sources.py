"""Stage one: the items worth ranking for a customer, from sources that need different things."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from models.recommender.catalogue import Bools, Catalogue, Floats, Ints
from models.recommender.factors import ItemFactors
from models.recommender.lists import find_pairs, pair_keys, places_in_runs
from models.recommender.neighbours import ItemNeighbours
from models.recommender.shoppers import Shoppers

_OWNED_COUNT = 80
# Who owns much gets fewer new items from each of the other sources: ranking takes the time, and they buy few.
_WANTED_COUNT = 120
_NEW_COUNT_MIN, _NEW_COUNT_MAX = 15, 40


@dataclass(frozen=True, slots=True)
class Candidates:
    """Distinct (row, item) pairs, sorted.

    `owned`      the place among the shoppers' pairs, -1 if not owned
    `by_taste`   among the nearest by ALS; `taste` is x_u·y_i
    `neighbour`  the score of `ItemNeighbours`
    """

    rows: Ints
    items: Ints
    owned: Ints
    by_taste: Bools
    taste: Floats
    neighbour: Floats


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything that proposes items; all of it belongs to items."""

    catalogue: Catalogue
    factors: ItemFactors
    neighbours: ItemNeighbours

    def find(self, shoppers: Shoppers) -> Candidates:
        """Return own items that may repeat, the nearest by taste and by neighbours, and popular ones.

        Rows of customers who own nothing have no candidates.
        """
        size = len(self.catalogue)
        own = _own_items(shoppers, self.catalogue)
        quotas = _quotas(np.bincount(own // max(size, 1), minlength=shoppers.count))
        customers = self.factors.fold_in(shoppers.owned(size))
        near_rows, near_items, _ = self.factors.nearest(
            customers, count=_NEW_COUNT_MAX, is_offered=self.catalogue.is_offered
        )
        taken = places_in_runs(near_rows) < quotas[near_rows]
        near = np.sort(pair_keys(near_rows[taken], near_items[taken], item_count=size))
        scores = self.neighbours.scores(shoppers)
        known = pair_keys(shoppers.rows, shoppers.items, item_count=size)
        sources = [
            own,
            near,
            self._neighbours(scores, known, quotas),
            _popular(quotas, self.catalogue),
        ]
        keys = np.unique(np.concatenate(sources))
        owned = find_pairs(keys, known)
        wanted = shoppers.has_items[keys // size]
        wanted[owned >= 0] &= shoppers.repeats[owned[owned >= 0]]
        keys, owned = keys[wanted], owned[wanted]
        rows, items = keys // size, keys % size
        return Candidates(
            rows=rows,
            items=items,
            owned=owned,
            by_taste=find_pairs(keys, near) >= 0,
            taste=self.factors.scores(customers, rows, items),
            neighbour=_values_at(scores, keys),
        )

    def _neighbours(self, scores: sparse.csr_matrix, known: Ints, quotas: Ints) -> Ints:
        """Return the keys of each row's best offered items by neighbours that it does not own."""
        rows, items = _rows_of(scores), scores.indices.astype(np.int64)
        keys = pair_keys(rows, items, item_count=scores.shape[1])
        wanted = self.catalogue.is_offered[items] & (find_pairs(keys, known) < 0)
        keys, values = keys[wanted], scores.data[wanted]
        ends = np.cumsum(np.bincount(rows[wanted], minlength=scores.shape[0]))
        runs = zip(np.split(keys, ends[:-1]), np.split(values, ends[:-1]), quotas, strict=True)
        return np.concatenate([run[_largest(worth, count)] for run, worth, count in runs])


def _own_items(shoppers: Shoppers, catalogue: Catalogue) -> Ints:
    """Return the keys of each row's most ordered offered items."""
    offered = shoppers.ranked[catalogue.is_offered[shoppers.items[shoppers.ranked]]]
    chosen = offered[places_in_runs(shoppers.rows[offered]) < _OWNED_COUNT]
    return pair_keys(shoppers.rows[chosen], shoppers.items[chosen], item_count=len(catalogue))


def _quotas(owned_counts: Ints) -> Ints:
    """Return how many items each row takes from every source of new ones."""
    left = (_WANTED_COUNT - owned_counts) // 3
    return np.clip(left, _NEW_COUNT_MIN, _NEW_COUNT_MAX).astype(np.int64)


def _popular(quotas: Ints, catalogue: Catalogue) -> Ints:
    popular = catalogue.popular[:_NEW_COUNT_MAX]
    rows = np.repeat(np.arange(len(quotas)), len(popular))
    keys = pair_keys(rows, np.tile(popular, len(quotas)), item_count=len(catalogue))
    return keys[np.tile(np.arange(len(popular)), len(quotas)) < quotas[rows]]


def _values_at(scores: sparse.csr_matrix, keys: Ints) -> Floats:
    """Return what a sparse matrix (indices sorted) holds at (row, column) keys, 0 where nothing."""
    places = find_pairs(keys, pair_keys(_rows_of(scores), scores.indices, item_count=scores.shape[1]))
    return np.where(places >= 0, np.append(scores.data, 0.0)[places], 0.0)


def _rows_of(scores: sparse.csr_matrix) -> Ints:
    return np.repeat(np.arange(scores.shape[0]), np.diff(scores.indptr))


def _largest(values: Floats, count: int) -> Ints:
    """Return the places of the largest values; at the edge any of equal ones."""
    if len(values) <= count:
        return np.arange(len(values))
    return np.argpartition(values, len(values) - count)[len(values) - count :]
