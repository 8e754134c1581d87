"""Item k-nearest-neighbours alone: what one owns, and what the same customers buy with it."""

from collections.abc import Collection
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from models.contract import Method, Scalar
from models.plain import read_arrays
from models.recommender.base import ListRecommender
from models.recommender.catalogue import Bools, Floats, Ints
from models.recommender.contract import RecommenderMaterial
from models.recommender.for_you import explain
from models.recommender.lists import NO_ITEM, Picks, concat, find_pairs, pair_keys
from models.recommender.material import learnt_neighbours
from models.recommender.neighbours import OWNED_MAX, ItemNeighbours
from models.recommender.shoppers import Shoppers

# What an owned item says for all its neighbours together, beside 1 for itself.
_NEIGHBOURS_WEIGHT = 0.3
# Scores reach most of the catalogue: few rows at a time.
_BLOCK_ROWS = 64


class ItemKnn(ListRecommender):
    """Owned items and their nearest ones, by cosine over customers.

    Each owned item (of a long history the 200 most ordered) speaks with log(1 + its orders, halved per 90
    days): for itself with weight 1, for its 100 nearest with 0.3 together, shared out by cosine. Sharing out
    keeps items that have many near ones from outvoting the rest (Deshpande & Karypis, "Item-based top-N
    recommendation algorithms", 2004). Score = the sum over owned items.
    """

    name: ClassVar[str] = "item_knn"
    method: ClassVar[Method] = "baseline"

    neighbours_: ItemNeighbours

    def params(self) -> dict[str, Scalar]:
        """Return no arguments: there are none."""
        return {}

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        loaded = super().load(folder)
        loaded._know(ItemNeighbours.restore(read_arrays(folder)))
        return loaded

    def hide(self, product_ids: Collection[str]) -> None:
        """Keep products out of every list; see `models.recommender.contract.Recommender`."""
        super().hide(product_ids)
        self._know(self.neighbours_)

    def _learn(self, material: RecommenderMaterial) -> None:
        self._know(learnt_neighbours(material, self.catalogue_))

    def _know(self, neighbours: ItemNeighbours) -> None:
        self.neighbours_ = neighbours
        spread = _shares(neighbours) * _NEIGHBOURS_WEIGHT + sparse.eye_array(len(self.catalogue_))
        offered = sparse.diags_array(self.catalogue_.is_offered.astype(np.float64))
        self._spread = sparse.csr_array(spread @ offered)
        self._spread.eliminate_zeros()

    def _rank(self, shoppers: Shoppers, depth: int) -> Picks:
        blocks = shoppers.blocks(_BLOCK_ROWS)
        picks = concat([Picks.none(), *(self._best(block, depth).shifted(first) for first, block in blocks)])
        return explain(picks, shoppers, self.catalogue_, neighbours=self.neighbours_)

    def _best(self, shoppers: Shoppers, depth: int) -> Picks:
        chosen = shoppers.most_ordered(OWNED_MAX)
        weights = np.log1p(shoppers.order_weights[chosen, -1])
        size = len(self.catalogue_)
        cells = (weights, (shoppers.rows[chosen], shoppers.items[chosen]))
        scores = sparse.csr_array(sparse.csr_array(cells, shape=(shoppers.count, size)) @ self._spread)
        unwanted = ~shoppers.repeats
        never = pair_keys(shoppers.rows[unwanted], shoppers.items[unwanted], item_count=size)
        # So many that whoever loses all that is never offered again still has enough.
        counts = depth + np.bincount(shoppers.rows[unwanted], minlength=shoppers.count)
        best = _among_best(scores.indptr, scores.data, counts=counts)
        rows = np.repeat(np.arange(shoppers.count), np.diff(scores.indptr))[best]
        items, values = scores.indices[best].astype(np.int64), scores.data[best]
        kept = find_pairs(pair_keys(rows, items, item_count=size), never) < 0
        return Picks.of(
            rows[kept], items[kept], values[kept], reason="buyers_also_bought", source="personalised"
        ).best(depth)

    def _arrays(self) -> dict[str, NDArray[Any]]:
        return self.neighbours_.arrays()


def _shares(neighbours: ItemNeighbours) -> sparse.csr_array:
    """Return items × items: each row's neighbours by cosine, as shares of 1; nothing where it has none."""
    known = neighbours.items != NO_ITEM
    rows = np.repeat(np.arange(len(known)), known.sum(axis=1))
    near = neighbours.items[known]
    # The row's own norm is the same for all its neighbours: sharing out takes it away.
    cosines = neighbours.joint[known] / np.sqrt(np.maximum(neighbours.customer_counts[near], 1))
    totals = np.bincount(rows, cosines, minlength=len(known))
    return sparse.csr_array((cosines / totals[rows], (rows, near)), shape=(len(known), len(known)))


def _among_best(edges: Ints, scores: Floats, *, counts: Ints) -> Bools:
    """Say of each score whether it is among the largest of its run, as many as `counts`, ties included."""
    kept = np.ones(len(scores), dtype=np.bool_)
    for (start, end), count in zip(pairwise(edges), counts, strict=True):
        if end - start > count:
            run = scores[start:end]
            kept[start:end] = run >= np.partition(run, -count)[-count]
    return kept
