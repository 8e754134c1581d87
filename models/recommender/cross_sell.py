"""`cross_sell`: another need, from a category that the customer has not bought.

First the category: P(k) × √(e_uk ÷ share of k), where P(k) is the share of customers who bought k lately and
e_uk what EASE over categories expects of this customer; the ratio is kept within a tenth and ten times. Then
the best item in it: recent buyers, halved for each price tier away from the customer's. Every further item of
a category counts half.
"""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse

from features.items import PRICE_TIER_COUNT
from models.recommender.catalogue import MIDDLE_TIER, Bools, Catalogue, Floats, Ints
from models.recommender.contract import Unavailable
from models.recommender.ease import ease_weights
from models.recommender.lists import NO_ITEM, Picks, find_pairs, pair_keys, places_in_runs
from models.recommender.shoppers import Shoppers

_CATEGORY_COUNT_MAX = 1_000
_PRIOR_CUSTOMERS = 5.0
_EASE_PENALTY = 300.0
_RATIO_MIN = 0.1
_EVIDENCE_CUSTOMERS_MIN = 5
_CATEGORIES_PER_LIST = 15
_ITEMS_PER_CATEGORY = 5


class CrossSellTable:
    """How customers' categories go together, and the best items of each; holds counts, no customer.

    `joint` categories × categories: customers who bought both (the diagonal: who bought one)
    """

    def __init__(self, categories: list[str], joint: Floats, recent_share: Floats, *, customers: int) -> None:
        self.categories = categories
        self.joint = joint
        self.recent_share = recent_share
        self.customers = customers
        buyers = np.maximum(np.diag(joint), 1.0)
        expected = np.outer(buyers, buyers) / max(customers, 1)
        self._log_lift: Floats = np.log((joint + _PRIOR_CUSTOMERS) / (expected + _PRIOR_CUSTOMERS))
        self._recent_share: Floats = np.maximum(recent_share, 0.1 / max(customers, 1))
        self._share: Floats = buyers / max(customers, 1)
        self._expects: Floats = ease_weights(joint, penalty=_EASE_PENALTY)
        self._speaks: Bools = (joint >= _EVIDENCE_CUSTOMERS_MIN) & (self._log_lift > 0)
        self._buyer_share: Floats = joint / buyers[:, None]

    @classmethod
    def fit(cls, interactions: pl.DataFrame) -> Self:
        """Count from interactions that name a category."""
        bought = interactions.filter(pl.col("category").is_not_null())
        pairs = bought.group_by("customer_id", "category").agg(pl.col("recent_order_count").max())
        ranked = pairs.group_by("category").len().sort("len", "category", descending=[True, False])
        categories = ranked.head(_CATEGORY_COUNT_MAX)["category"].sort().to_list()
        customers = pairs.select(pl.col("customer_id").unique().sort()).with_row_index("row")
        numbered = pl.DataFrame({"category": pl.Series(categories, dtype=pl.String)}).with_row_index("no")
        pairs = pairs.join(customers, on="customer_id").join(numbered, on="category")
        shape = (len(customers), len(categories))
        places = (pairs["row"].to_numpy(), pairs["no"].to_numpy())
        matrix = sparse.csr_matrix((np.ones(len(pairs)), places), shape=shape)
        recent = np.bincount(
            places[1], weights=pairs["recent_order_count"].to_numpy() > 0, minlength=len(categories)
        )
        joint = np.asarray((matrix.T @ matrix).todense(), dtype=np.float64)
        return cls(categories, joint, recent / max(len(customers), 1), customers=len(customers))

    def state(self) -> dict[str, Any]:
        """Return what JSON keeps."""
        return {"categories": self.categories, "customers": self.customers}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what `.npz` keeps."""
        return {"category_joint": self.joint, "category_recent_share": self.recent_share}

    @classmethod
    def restore(cls, state: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild from what `state` and `arrays` returned."""
        return cls(
            state["categories"],
            arrays["category_joint"],
            arrays["category_recent_share"],
            customers=state["customers"],
        )

    def place(self, catalogue: Catalogue) -> None:
        """Rank the offered items of each category for each price tier; to be called before `picks`."""
        numbered = dict(zip(self.categories, range(len(self.categories)), strict=True))
        nos = np.array([numbered.get(name, -1) for name in catalogue.items["category"]], dtype=np.int64)
        best = np.full((len(self.categories), PRICE_TIER_COUNT, _ITEMS_PER_CATEGORY), NO_ITEM, np.int64)
        offered = np.flatnonzero(catalogue.is_offered & (nos >= 0))
        buyers = catalogue.recent_customer_counts + catalogue.customer_counts / 1e6
        for tier in range(PRICE_TIER_COUNT):
            worth = buyers[offered] * 0.5 ** np.abs(catalogue.price_tiers[offered] - (tier + 1))
            order = offered[np.lexsort((offered, -worth, nos[offered]))]
            places = places_in_runs(nos[order])
            kept = places < _ITEMS_PER_CATEGORY
            best[nos[order[kept]], tier, places[kept]] = order[kept]
        self._best, self._item_categories = best, nos

    def unavailable(self) -> Unavailable | None:
        """Say why nobody can have a cross-sell, or None where somebody can."""
        if not (self._best[:, 0, 0] != NO_ITEM).any():
            return "no_category"
        return "one_category" if len(self.categories) == 1 else None

    def picks(self, shoppers: Shoppers, catalogue: Catalogue, *, depth: int) -> Picks:
        """Return items of categories new to the customer, none of them owned.

        Score = the category's ÷ 2 for each better item of it. The evidence is the customer's most ordered
        item of the category that speaks most for it, `value` the share of that category's buyers who also
        bought from this one; there is none where no bought category goes with it above chance with five
        customers or more who have both. Customers without a category get nothing.
        """
        bought = np.zeros((shoppers.count, len(self.categories)), dtype=bool)
        bought[shoppers.category_rows, shoppers.category_nos] = True
        rows, nos, chances = self._new_categories(bought, has_items=self._best[:, 0, 0] != NO_ITEM)
        items = self._best[nos, _usual_tiers(shoppers, catalogue)[rows] - 1]
        speakers, speaks = self._speakers(bought, rows, nos)
        evidence = np.where(speaks, self._most_ordered(shoppers, rows, speakers), NO_ITEM)
        shares = np.where(speaks, self._buyer_share[speakers, nos], np.nan)
        scores = chances[:, None] * 0.5 ** np.arange(_ITEMS_PER_CATEGORY)
        picks = Picks.of(
            np.repeat(rows, _ITEMS_PER_CATEGORY),
            items.ravel(),
            scores.ravel(),
            reason="categories_bought_together",
            source="personalised",
        )
        picks.evidence[:] = np.repeat(evidence, _ITEMS_PER_CATEGORY)
        picks.values[:] = np.repeat(shares, _ITEMS_PER_CATEGORY)
        known = pair_keys(shoppers.rows, shoppers.items, item_count=len(catalogue))
        keys = pair_keys(picks.rows, picks.items, item_count=len(catalogue))
        return picks.take((picks.items != NO_ITEM) & (find_pairs(keys, known) < 0)).best(depth)

    def _new_categories(self, bought: Bools, *, has_items: Bools) -> tuple[Ints, Ints, Floats]:
        # Sparse, so that a row's sum does not depend on the rows beside it.
        expected = sparse.csr_matrix(bought, dtype=np.float64) @ self._expects
        ratios = np.clip(expected / self._share, _RATIO_MIN, 1 / _RATIO_MIN)
        chances = self._recent_share * np.sqrt(ratios)
        chances[bought | ~has_items] = 0.0
        chances[~bought.any(axis=1)] = 0.0
        nos = np.argsort(-chances, axis=1, kind="stable")[:, :_CATEGORIES_PER_LIST]
        best = np.take_along_axis(chances, nos, axis=1)
        rows, places = np.nonzero(best > 0)
        return rows, nos[rows, places], best[rows, places]

    def _speakers(self, bought: Bools, rows: Ints, nos: Ints) -> tuple[Ints, Bools]:
        """Return for each (row, new category) the bought category with the highest lift, and if it counts."""
        lifts = np.where(self._speaks[nos] & bought[rows], self._log_lift[nos], -np.inf)
        if not len(rows):
            return np.zeros(0, np.int64), np.zeros(0, bool)
        speakers = lifts.argmax(axis=1)
        return speakers, np.isfinite(lifts[np.arange(len(rows)), speakers])

    def _most_ordered(self, shoppers: Shoppers, rows: Ints, nos: Ints) -> Ints:
        """Return the row's most ordered item of each category asked for, -1 where the catalogue has none."""
        width = len(self.categories) + 1
        items = shoppers.items[shoppers.ranked]
        keys = pair_keys(shoppers.rows[shoppers.ranked], self._item_categories[items] + 1, item_count=width)
        known, first = np.unique(keys, return_index=True)
        places = find_pairs(pair_keys(rows, nos + 1, item_count=width), known)
        found = np.full(len(rows), NO_ITEM, np.int64)
        found[places >= 0] = items[first[places[places >= 0]]]
        return found


def _usual_tiers(shoppers: Shoppers, catalogue: Catalogue) -> Ints:
    """Return each row's mean price tier by orders, rounded; the middle one without any."""
    weights = np.bincount(shoppers.rows, weights=shoppers.order_counts, minlength=shoppers.count)
    tiers = catalogue.price_tiers[shoppers.items] * shoppers.order_counts
    sums = np.bincount(shoppers.rows, weights=tiers, minlength=shoppers.count)
    means = np.where(weights > 0, sums / np.maximum(weights, 1.0), MIDDLE_TIER)
    return np.clip(np.rint(means), 1, PRICE_TIER_COUNT).astype(np.int64)
