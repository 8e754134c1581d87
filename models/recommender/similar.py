"""`similar`: substitutes for an item on its page; works for items that were never sold.

Items of the same need come first, then those of the same category; without a category those with words of
the name in common. Within each, likeness decides: words of the names (cosine of TF-IDF; Salton and Buckley,
"Term-weighting approaches in automatic text retrieval", 1988), prices, brand, and which items the same
customers buy. What is bought in one basket goes together and is no substitute (`bundle`): it never counts.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer

from models.recommender.bundles import BundleTable
from models.recommender.catalogue import Catalogue, Floats, Ints
from models.recommender.lists import NO_ITEM, Picks, find_pairs, listed_places, pair_keys
from models.recommender.neighbours import ItemNeighbours

SIMILAR_DEPTH = 50
_NAME_WEIGHT, _PRICE_WEIGHT, _BRAND_WEIGHT, _CUSTOMER_WEIGHT = 0.4, 0.2, 0.1, 0.3
_LEVELS = {"need": 2, "category": 1, "name": 0}
# Names alone say little: a fifth of the angle's cosine is one rare word or two usual ones.
_NAME_LIKENESS_MIN = 0.2
# Substitutes come from the most bought items of a group: enough choice, and no square of a huge one.
_POOL_ITEMS_MAX = 5_000
_WORD = r"(?u)\w+"
_BLOCK_ITEMS = 256
# Equal likeness: the more popular item first, by steps too small to matter.
_TIE_STEP = 1e-9


class SimilarTable:
    """For every item the items most like it.

    `items` items × 50, best first, -1 where there are fewer; `scores` the same shape, in [0, 1]: a third each
    for the same category and the same need, the rest is likeness.
    """

    def __init__(self, items: Ints, scores: Floats) -> None:
        self.items = items
        self.scores = scores

    @classmethod
    def none(cls, item_count: int, *, depth: int = 0) -> Self:
        """Return a table in which nothing is like anything, with room for so many items."""
        shape = (item_count, depth)
        return cls(np.full(shape, NO_ITEM, np.int64), np.zeros(shape))

    @classmethod
    def fit(cls, catalogue: Catalogue, neighbours: ItemNeighbours, bundles: BundleTable) -> Self:
        """Learn from the catalogue and from who buys what; `bundles` are no substitutes."""
        table = cls.none(len(catalogue), depth=SIMILAR_DEPTH)
        likeness = _Likeness.of(catalogue, neighbours, bundles)
        popular = _available_by_popularity(catalogue)
        for rows, pool in _groups(catalogue.need_nos, popular):
            table._fill(rows, pool, likeness, level="need")
        for rows, pool in _groups(catalogue.category_nos, popular):
            table._fill(rows, pool, likeness, level="category")
        table._fill(np.flatnonzero(catalogue.category_nos < 0), popular, likeness, level="name")
        return table

    def _fill(self, rows: Ints, pool: Ints, likeness: "_Likeness", *, level: str) -> None:
        """Follow the lists of rows by the best of a pool (most popular first), where they are short."""
        lengths = (self.items[rows] != NO_ITEM).sum(axis=1)
        is_short = lengths < SIMILAR_DEPTH
        rows, lengths, pool = rows[is_short], lengths[is_short], pool[:_POOL_ITEMS_MAX]
        for first in range(0, len(rows) if len(pool) else 0, _BLOCK_ITEMS):
            block = rows[first : first + _BLOCK_ITEMS]
            values = likeness.between(block, pool, level=level)
            ranked = values - _TIE_STEP * np.arange(len(pool))
            best = np.argsort(-ranked, axis=1, kind="stable") if len(pool) <= SIMILAR_DEPTH else _top(ranked)
            found = np.take_along_axis(values, best, axis=1)
            places = lengths[first : first + _BLOCK_ITEMS, None] + np.arange(best.shape[1])
            at, kept = np.nonzero((found >= 0) & (places < SIMILAR_DEPTH))
            self.items[block[at], places[at, kept]] = pool[best[at, kept]]
            self.scores[block[at], places[at, kept]] = (_LEVELS[level] + found[at, kept]) / len(_LEVELS)

    def picks(self, asked: Ints, catalogue: Catalogue, *, depth: int) -> Picks:
        """Return the items most like those asked for, one row each; the evidence is the item asked for."""
        rows, places = listed_places(self.items[asked], catalogue, depth=depth)
        owners = asked[rows]
        items, scores = self.items[owners, places], self.scores[owners, places]
        picks = Picks.of(rows, items, scores, reason="similar_to", source="item")
        picks.evidence[:] = owners
        return picks

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what `.npz` keeps."""
        return {"similar_items": self.items.astype(np.int32), "similar_scores": self.scores}

    @classmethod
    def restore(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild from what `arrays` returned."""
        return cls(arrays["similar_items"].astype(np.int64), arrays["similar_scores"])


@dataclass(frozen=True, slots=True)
class _Likeness:
    """What likeness is made of: `names` TF-IDF rows of length 1, `customers` the nearest item has 1."""

    catalogue: Catalogue
    names: sparse.csr_matrix
    brands: Ints
    customers: sparse.csr_matrix

    @classmethod
    def of(cls, catalogue: Catalogue, neighbours: ItemNeighbours, bundles: BundleTable) -> Self:
        brands = catalogue.items.select(pl.col("brand").rank("dense").fill_null(0).cast(pl.Int64))
        return cls(
            catalogue,
            _name_vectors(catalogue.items["name"]),
            brands["brand"].to_numpy(),
            _same_customers(neighbours, bundles),
        )

    def between(self, rows: Ints, pool: Ints, *, level: str) -> Floats:
        """Return rows × pool: likeness in [0, 1], -1 where an item has no place in the row's list."""
        needs, prices = self.catalogue.need_nos, self.catalogue.unit_prices
        names = (self.names[rows] @ self.names[pool].T).toarray()
        with np.errstate(invalid="ignore", divide="ignore"):
            ratios = prices[rows][:, None] / prices[pool]
            closeness = np.nan_to_num(np.minimum(ratios, 1 / ratios))
        same_brand = (self.brands[rows][:, None] == self.brands[pool]) & (self.brands[pool] > 0)
        values = _NAME_WEIGHT * names + _PRICE_WEIGHT * closeness + _BRAND_WEIGHT * same_brand
        is_out = rows[:, None] == pool
        if level == "need" or not self.catalogue.has_categories:
            shared = self.customers[rows][:, pool].toarray()
            values, names = values + _CUSTOMER_WEIGHT * shared, np.maximum(names, shared)
        if level != "need":
            is_out |= (needs[rows][:, None] == needs[pool]) & (needs[pool] >= 0)
        if level == "name":
            is_out |= names < _NAME_LIKENESS_MIN
        return np.where(is_out, -1.0, np.minimum(values, 1.0))


def _name_vectors(names: pl.Series) -> sparse.csr_matrix:
    """Return items × words; without any word the matrix has one empty column."""
    vectorizer = TfidfVectorizer(token_pattern=_WORD)
    try:
        return sparse.csr_matrix(vectorizer.fit_transform(names.fill_null("").to_list()))
    except ValueError:
        return sparse.csr_matrix((len(names), 1))


def _same_customers(neighbours: ItemNeighbours, bundles: BundleTable) -> sparse.csr_matrix:
    """Return items × items: likeness of neighbours over the row's largest, 0 for what goes with it."""
    size, near_ones = len(neighbours.items), neighbours.likeness.tocoo()
    rows, near, values = near_ones.row, near_ones.col, near_ones.data
    owners, places = np.nonzero(bundles.items != NO_ITEM)
    partners = pair_keys(owners, bundles.items[owners, places], item_count=size)
    together = np.union1d(partners, bundles.companions)
    kept = find_pairs(pair_keys(rows, near, item_count=size), together) < 0
    rows, near, values = rows[kept], near[kept], values[kept]
    largest = np.zeros(size)
    np.maximum.at(largest, rows, values)
    return sparse.csr_matrix((values / largest[rows], (rows, near)), shape=(size, size))


def _available_by_popularity(catalogue: Catalogue) -> Ints:
    order = np.lexsort(
        (np.arange(len(catalogue)), -catalogue.customer_counts, -catalogue.recent_customer_counts)
    )
    return order[catalogue.is_available[order]].astype(np.int64)


def _groups(numbers: Ints, popular: Ints) -> Iterator[tuple[Ints, Ints]]:
    """Yield for every group number from 0 its items, and those of `popular` in that order."""
    rows = np.argsort(numbers, kind="stable")
    pool = popular[np.argsort(numbers[popular], kind="stable")]
    known = np.unique(numbers[numbers >= 0])
    firsts, lasts = (np.searchsorted(numbers[rows], known, side=side) for side in ("left", "right"))
    starts, ends = (np.searchsorted(numbers[pool], known, side=side) for side in ("left", "right"))
    for first, last, start, end in zip(firsts, lasts, starts, ends, strict=True):
        yield rows[first:last], pool[start:end]


def _top(ranked: Floats) -> Ints:
    """Return the places of each row's largest values, best first."""
    chosen = np.argpartition(-ranked, SIMILAR_DEPTH, axis=1)[:, :SIMILAR_DEPTH]
    order = np.argsort(-np.take_along_axis(ranked, chosen, axis=1), axis=1, kind="stable")
    return np.take_along_axis(chosen, order, axis=1)
