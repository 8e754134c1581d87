"""Item neighbours: which items the same customers buy, and what that says about a customer.

Cosine over customers with shrinkage: joint(i, j) ÷ √((n_i + 20)(n_j + 20)), n being the customers who bought
an item (Sarwar et al., "Item-based collaborative filtering", 2001). Per item the 100 nearest are kept, as
counts of customers: no customer is in them.
"""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from implicit.nearest_neighbours import ItemItemRecommender
from numpy.typing import NDArray
from scipy import sparse

from models.recommender.catalogue import Floats, Ints
from models.recommender.lists import NO_ITEM, find_pairs, pair_keys, places_in_runs
from models.recommender.shoppers import Shoppers

_KEPT_COUNT = 100
_SHRINKAGE_CUSTOMERS = 20.0
# What a customer buys most speaks for them; the rest of a long history only takes time.
OWNED_MAX = 200
# Evidence is looked for among an item's nearest; it must rest on several customers and say more than that
# everybody buys the item.
_EVIDENCE_PLACES = 30
_EVIDENCE_CUSTOMERS_MIN = 5
_LIFT_MIN = 1.5

Counts = NDArray[np.int32]


class ItemNeighbours:
    """For every item its nearest items, and how many customers bought both.

    `items`  items × places, nearest first, -1 where there are fewer
    `joint`  the same shape: customers who bought both
    `customer_counts`  customers who bought the item; `customer_total`  customers in all
    `likeness`  items × items, sparse: the cosine with shrinkage of each item's nearest
    """

    def __init__(self, items: Counts, joint: Counts, customer_counts: Ints, customer_total: int) -> None:
        self.items = items
        self.joint = joint
        self.customer_counts = customer_counts
        self.customer_total = customer_total
        known = items != NO_ITEM
        rows = np.repeat(np.arange(len(items)), known.sum(axis=1))
        near = items[known]
        norms = _norms(customer_counts)
        weights = joint[known] / (norms[rows] * norms[near])
        self.likeness = sparse.csr_matrix((weights, (rows, near)), shape=(len(items), len(items)))

    @classmethod
    def fit(cls, owned: sparse.csr_matrix) -> Self:
        """Learn from customers × items with the number of orders of each.

        Of each customer the 200 most ordered items count (the first of equal ones), each as bought.
        """
        item_count = owned.shape[1]
        bought = _most_ordered(owned)
        counts = np.asarray(bought.sum(axis=0)).ravel()
        norms = _norms(counts)
        finder = ItemItemRecommender(K=min(_KEPT_COUNT + 1, item_count))
        finder.fit(bought @ sparse.diags_array(1.0 / norms), show_progress=False)
        found = finder.similarity
        rows = np.repeat(np.arange(item_count), np.diff(found.indptr))
        near = found.indices.astype(np.int64)
        kept = (rows != near) & (found.data > 0)
        rows, near, values = rows[kept], near[kept], found.data[kept]
        # Counts are whole numbers: taken out of the cosine they are exact again, and so are ties.
        joint = np.rint(values * norms[rows] * norms[near]).astype(np.int64)
        table = np.full((item_count, _KEPT_COUNT + 1), NO_ITEM, np.int64)
        counted, likeness = np.zeros_like(table), np.zeros(table.shape)
        order = np.argsort(pair_keys(rows, near, item_count=item_count))
        rows, near, joint = rows[order], near[order], joint[order]
        slots = rows, places_in_runs(rows)
        table[slots], counted[slots] = near, joint
        likeness[slots] = joint / (norms[rows] * norms[near])
        nearest = np.argsort(-likeness, axis=1, kind="stable")[:, :_KEPT_COUNT]
        table, counted = (np.take_along_axis(part, nearest, axis=1) for part in (table, counted))
        table, counted = table.astype(np.int32), counted.astype(np.int32)
        return cls(table, counted, counts.astype(np.int64), owned.shape[0])

    def scores(self, shoppers: Shoppers) -> sparse.csr_matrix:
        """Return rows × items: Σ over owned items of log(1 + its orders, halved per 90 days) × likeness."""
        item_count = len(self.items)
        chosen = shoppers.most_ordered(OWNED_MAX)
        weights = np.log1p(shoppers.order_weights[chosen, -1])
        owned = sparse.csr_matrix(
            (weights, (shoppers.rows[chosen], shoppers.items[chosen])), shape=(shoppers.count, item_count)
        )
        found = sparse.csr_matrix(owned @ self.likeness)
        found.sort_indices()
        return found

    def evidence(self, items: Ints, rows: Ints, shoppers: Shoppers) -> tuple[Ints, Floats]:
        """Return for each (row, item) the row's owned item that is nearest to it, and what speaks for it.

        That is the share of the owned item's buyers who also bought this one. It counts only if five or more
        bought both, and if it is half as much again as the share of all customers; else, and where nothing
        near is owned, -1 and NaN.
        """
        size = len(self.items)
        near, joint = self.items[items, :_EVIDENCE_PLACES], self.joint[items, :_EVIDENCE_PLACES]
        keys = pair_keys(np.repeat(rows, near.shape[1]), near.ravel(), item_count=size)
        known = pair_keys(shoppers.rows, shoppers.items, item_count=size)
        shares = joint / np.maximum(self.customer_counts[near], 1)
        usual = self.customer_counts[items] / max(self.customer_total, 1)
        speaks = (near != NO_ITEM) & (find_pairs(keys, known) >= 0).reshape(near.shape)
        speaks &= (joint >= _EVIDENCE_CUSTOMERS_MIN) & (shares >= _LIFT_MIN * usual[:, None])
        first = speaks.argmax(axis=1)[:, None]
        found = speaks.any(axis=1)
        owned = np.where(found, np.take_along_axis(near, first, axis=1)[:, 0], NO_ITEM)
        return owned, np.where(found, np.take_along_axis(shares, first, axis=1)[:, 0], np.nan)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what `.npz` keeps."""
        return {
            "neighbour_items": self.items,
            "neighbour_joint": self.joint,
            "neighbour_customers": self.customer_counts,
            "neighbour_customer_total": np.array(self.customer_total),
        }

    @classmethod
    def restore(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild from what `arrays` returned."""
        items, joint = arrays["neighbour_items"], arrays["neighbour_joint"]
        total = int(arrays["neighbour_customer_total"])
        return cls(items, joint, arrays["neighbour_customers"].astype(np.int64), total)


def _most_ordered(owned: sparse.csr_matrix) -> sparse.csr_matrix:
    """Return 1 for the most ordered items of each row, indices sorted."""
    rows = np.repeat(np.arange(owned.shape[0]), np.diff(owned.indptr))
    order = np.lexsort((owned.indices, -owned.data, rows))
    kept = np.sort(order[places_in_runs(rows[order]) < OWNED_MAX])
    cells = (np.ones(len(kept)), (rows[kept], owned.indices[kept]))
    return sparse.csr_matrix(cells, shape=owned.shape)


def _norms(customer_counts: Ints | Floats) -> Floats:
    norms: Floats = np.sqrt(customer_counts + _SHRINKAGE_CUSTOMERS)
    return norms
