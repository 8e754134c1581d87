"""`bundle`: what is bought in one basket with an item more often than chance, and is no substitute for it.

Lift is how often two items meet over how often they would by chance: joint × baskets ÷ (baskets with the
one × baskets with the other); Brin et al., "Dynamic itemset counting" (1997), who call it interest. Its 95 %
bounds are those of the joint count as a Poisson mean (`poisson_bounds`) over the expected count. Pairs are
ranked by the lower bound, which a lucky pair of rare items does not reach; only a bound above 1 counts, and
only what at least five customers bought together.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
import polars as pl
from numpy.typing import NDArray
from scipy import sparse

from features.baskets import BASKET_SCHEMA
from models.recommender.bounds import poisson_bounds
from models.recommender.catalogue import Bools, Catalogue, Floats, Ints
from models.recommender.lists import NO_ITEM, Picks, listed_places, pair_keys, places_in_runs

BUNDLE_DEPTH = 50
JOINT_COUNT_MIN = 5
# The habit of a few households is no pair.
JOINT_CUSTOMERS_MIN = 5
# What is in every fifth basket goes with everything.
BASKET_SHARE_MAX = 0.2
_BLOCK_ITEMS = 256


class BundleTable:
    """For every item the partners that it is bought with; holds counts of baskets, no customer.

    `items`          items × 50, best first, -1 where there are fewer
    `joint`          the same shape: baskets with both
    `basket_counts`  baskets with the item; `basket_total` baskets in all
    `companions`     sorted `pair_keys` of items of one need that go together all the same, in a shop without
                     subcategories: there a category holds shoes and what shoes are cleaned with
    """

    def __init__(
        self, items: Ints, joint: Ints, basket_counts: Ints, basket_total: int, companions: Ints
    ) -> None:
        self.items = items
        self.joint = joint
        self.basket_counts = basket_counts
        self.basket_total = basket_total
        self.companions = companions

    @classmethod
    def none(cls, item_count: int, *, depth: int = 0) -> Self:
        """Return a table in which nothing goes with anything, with room for so many partners."""
        empty = np.full((item_count, depth), NO_ITEM, np.int64)
        nothing = np.zeros(0, np.int64)
        return cls(empty, np.zeros_like(empty), np.zeros(item_count, np.int64), 0, nothing)

    @classmethod
    def fit(cls, baskets: pl.DataFrame, catalogue: Catalogue) -> Self:
        """Count joint baskets (`features.baskets.build_baskets`) a block of items at a time."""
        table = cls.none(len(catalogue), depth=BUNDLE_DEPTH)
        found = _Joint.of(baskets, len(catalogue))
        table.basket_counts[:], table.basket_total = found.basket_counts, found.basket_total
        counts, total = table.basket_counts, table.basket_total
        is_often, is_everywhere = counts >= JOINT_COUNT_MIN, counts > BASKET_SHARE_MAX * total
        partners, chosen = np.flatnonzero(is_often & catalogue.is_offered), np.flatnonzero(is_often)
        with_partners = found.by_item[:, partners].tocsr()
        companions = [table.companions]
        for first in range(0, len(chosen), _BLOCK_ITEMS):
            block = chosen[first : first + _BLOCK_ITEMS]
            met = (found.by_item[:, block].T.tocsr() @ with_partners).tocoo()
            rows, items, joint = block[met.row], partners[met.col], met.data.astype(np.int64)
            often = (joint >= JOINT_COUNT_MIN) & (rows != items)
            rows, items, joint = rows[often], items[often], joint[often]
            above_chance = table._bounds(rows, items, joint)[1] > 1.0
            alike = may_be_substitutes(catalogue, rows, items)
            is_partner = above_chance & ~alike & ~is_everywhere[rows] & ~is_everywhere[items]
            is_companion = above_chance & alike & (not catalogue.has_subcategories)
            for is_wanted in (is_partner, is_companion):
                is_wanted[is_wanted] = (
                    found.customer_counts(rows[is_wanted], items[is_wanted]) >= JOINT_CUSTOMERS_MIN
                )
            table._fill(rows[is_partner], items[is_partner], joint[is_partner])
            along = rows[is_companion], items[is_companion]
            companions.append(pair_keys(*along, item_count=len(catalogue)))
        table.companions = np.sort(np.concatenate(companions))
        return table

    def _fill(self, rows: Ints, items: Ints, joint: Ints) -> None:
        """List the best partners of each row."""
        order = np.lexsort((items, -self._bounds(rows, items, joint)[1], rows))
        rows, items, joint = rows[order], items[order], joint[order]
        places = places_in_runs(rows)
        best = places < BUNDLE_DEPTH
        self.items[rows[best], places[best]] = items[best]
        self.joint[rows[best], places[best]] = joint[best]

    def _bounds(self, rows: Ints, items: Ints, joint: Ints) -> tuple[Floats, Floats, Floats]:
        """Return lift, its lower and its upper bound."""
        expected = self.basket_counts[rows] * self.basket_counts[items] / max(self.basket_total, 1)
        low, high = poisson_bounds(joint)
        return joint / expected, low / expected, high / expected

    def picks(self, asked: Ints, catalogue: Catalogue, *, depth: int) -> Picks:
        """Return the partners of the items asked for, one row each.

        Score = the lower bound of lift, the evidence is the item, `value` the share of its baskets that hold
        the partner.
        """
        rows, places = listed_places(self.items[asked], catalogue, depth=depth)
        owners = asked[rows]
        items, joint = self.items[owners, places], self.joint[owners, places]
        low = self._bounds(owners, items, joint)[1]
        picks = Picks.of(rows, items, low, reason="bought_together", source="item")
        picks.evidence[:] = owners
        picks.values[:] = joint / self.basket_counts[owners]
        return picks

    def pairs(self, catalogue: Catalogue) -> pd.DataFrame:
        """Return the table behind the lists, one row an item and available partner, best first in an item.

        `joint_count` baskets with both, `support_share` of all baskets, `basket_share` of the item's,
        `lift` with its 95 % bounds `lift_low` and `lift_high`.
        """
        rows, places = listed_places(self.items, catalogue, depth=BUNDLE_DEPTH)
        items, joint = self.items[rows, places], self.joint[rows, places]
        lift, low, high = self._bounds(rows, items, joint)
        products = pd.array(catalogue.product_ids.to_list(), dtype="str")
        return pd.DataFrame(
            {
                "product_id": products.take(rows),
                "partner_product_id": products.take(items),
                "joint_count": joint,
                "support_share": joint / max(self.basket_total, 1),
                "basket_share": joint / np.maximum(self.basket_counts[rows], 1),
                "lift": lift,
                "lift_low": low,
                "lift_high": high,
            }
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what `.npz` keeps."""
        return {
            "bundle_items": self.items.astype(np.int32),
            "bundle_joint": self.joint.astype(np.int32),
            "basket_counts": self.basket_counts,
            "basket_total": np.array(self.basket_total),
            "bundle_companions": self.companions,
        }

    @classmethod
    def restore(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild from what `arrays` returned."""
        items, joint = (arrays[name].astype(np.int64) for name in ("bundle_items", "bundle_joint"))
        counts, total = arrays["basket_counts"].astype(np.int64), int(arrays["basket_total"])
        return cls(items, joint, counts, total, arrays["bundle_companions"].astype(np.int64))


@dataclass(frozen=True, slots=True)
class _Joint:
    """Baskets as sparse matrices, by item and by basket, and whose each basket is."""

    by_item: sparse.csc_matrix
    by_basket: sparse.csr_matrix
    customers: Ints

    @classmethod
    def of(cls, baskets: pl.DataFrame, item_count: int) -> Self:
        nos, customers, items = (baskets[name].to_numpy() for name in BASKET_SCHEMA)
        total = int(nos.max(initial=-1)) + 1
        owners = np.zeros(total, np.int64)
        owners[nos] = customers
        cells = (np.ones(len(nos), np.int32), (nos, items))
        by_basket = sparse.csr_matrix(cells, shape=(total, item_count))
        return cls(by_basket.tocsc(), by_basket, owners)

    @property
    def basket_total(self) -> int:
        return len(self.customers)

    @property
    def basket_counts(self) -> Ints:
        counts: Ints = np.diff(self.by_item.indptr).astype(np.int64)
        return counts

    def customer_counts(self, rows: Ints, items: Ints) -> Ints:
        """Return by how many different customers both of each pair were bought together; rows are in runs."""
        found = np.zeros(len(rows), np.int64)
        places = np.full(self.by_item.shape[1], NO_ITEM, np.int64)
        starts = np.flatnonzero(np.diff(rows, prepend=-1))
        for first, last in zip(starts, [*starts[1:], len(rows)], strict=False):
            others = items[first:last]
            places[others] = np.arange(len(others))
            found[first:last] = self._customers_with(int(rows[first]), places, len(others))
            places[others] = NO_ITEM
        return found

    def _customers_with(self, item: int, places: Ints, count: int) -> Ints:
        """Return the customers who bought an item together with others, which have places from 0 to count."""
        baskets = self.by_item.indices[slice(*self.by_item.indptr[item : item + 2])]
        held = self.by_basket[baskets]
        found = places[held.indices]
        owners = np.repeat(self.customers[baskets], np.diff(held.indptr))
        met = found != NO_ITEM
        pairs = np.unique(pair_keys(owners[met], found[met], item_count=count))
        counts: Ints = np.bincount(pairs % count, minlength=count)
        return counts


def may_be_substitutes(catalogue: Catalogue, items: Ints, others: Ints) -> Bools:
    """Say of pairs whether they may serve the same need.

    They do with one need (`Catalogue.need_nos`), may with one category where a need is unknown, and may where
    a category is unknown too; in a shop without any category nothing is known of anything, so they do not.
    """
    needs, categories = catalogue.need_nos, catalogue.category_nos
    if not catalogue.has_categories:
        return np.zeros(len(items), dtype=bool)
    known = (needs[items] >= 0) & (needs[others] >= 0)
    vague = (categories[items] < 0) | (categories[others] < 0)
    same_category = vague | (categories[items] == categories[others])
    same: Bools = np.where(known, needs[items] == needs[others], same_category)
    return same
