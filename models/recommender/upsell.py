"""`upsell`: the same need one price tier up: same subcategory, unit price +10 % … +100 %.

For every item its best dearer neighbours are listed once. For a customer, score = share of orders that hold
the owned item ÷ (1 + years since) × the neighbour's share of the band's recent buyers × its price rise.
"""

import numpy as np

from models.recommender.catalogue import Catalogue, Floats, Ints
from models.recommender.contract import Unavailable
from models.recommender.lists import NO_ITEM, Picks, find_pairs, pair_keys
from models.recommender.shoppers import Shoppers

PRICE_RISE_MIN = 0.10
PRICE_RISE_MAX = 1.00
_NEIGHBOURS = 3
_OWNED_ITEMS_MAX = 50
_YEAR_DAYS = 365.0
# Neighbours come from the most bought items of a need: enough choice, and no square of a huge one.
_NEED_ITEMS_MAX = 1_000
# Prices are medians of rounded amounts: a rise of exactly 10 % must not fail on the last binary digit.
_PRICE_TOLERANCE = 1e-9


class UpsellTable:
    """For every item up to three dearer ones of the same need; derived from the catalogue, never stored.

    What `companions` (`BundleTable.companions`) says goes with an item is no better one of its kind.
    `targets` items × 3, -1 where there is none; `worth` the same shape.
    """

    def __init__(self, catalogue: Catalogue, companions: Ints) -> None:
        size = len(catalogue)
        self.targets: Ints = np.full((size, _NEIGHBOURS), NO_ITEM, np.int64)
        self.worth: Floats = np.zeros((size, _NEIGHBOURS))
        self._prices = catalogue.unit_prices
        self._companions = companions
        usable = (catalogue.need_nos >= 0) & (self._prices > 0)
        order = np.lexsort((self._prices, catalogue.need_nos))
        order = order[usable[order]]
        starts = np.flatnonzero(np.diff(catalogue.need_nos[order], prepend=-1))
        for members in np.split(order, starts[1:]):
            self._fill(members, catalogue)

    def unavailable(self, catalogue: Catalogue) -> Unavailable | None:
        """Say why nobody can have an upsell, or None where somebody can."""
        if (catalogue.need_nos < 0).all():
            return "no_category"
        if np.isnan(self._prices).all():
            return "no_price"
        return "no_dearer_item" if (self.targets == NO_ITEM).all() else None

    def picks(self, shoppers: Shoppers, catalogue: Catalogue, *, depth: int) -> Picks:
        """Return dearer items of the needs a customer has, none of them owned.

        The evidence is the owned item, `value` the price rise as a share.
        """
        base = shoppers.most_ordered(_OWNED_ITEMS_MAX)
        rows = np.repeat(shoppers.rows[base], _NEIGHBOURS)
        owned = np.repeat(shoppers.items[base], _NEIGHBOURS)
        items = self.targets[shoppers.items[base]].ravel()
        shares = shoppers.order_counts[base] / shoppers.order_counts_all[shoppers.rows[base]]
        wants = shares / (1 + shoppers.ages_days[base] / _YEAR_DAYS)
        scores = np.repeat(wants, _NEIGHBOURS) * self.worth[shoppers.items[base]].ravel()
        known = pair_keys(shoppers.rows, shoppers.items, item_count=len(catalogue))
        is_new = find_pairs(pair_keys(rows, items, item_count=len(catalogue)), known) < 0
        chosen = np.flatnonzero((items != NO_ITEM) & is_new)
        picks = Picks.of(
            rows[chosen], items[chosen], scores[chosen], reason="same_need_one_tier_up", source="personalised"
        )
        picks.evidence[:] = owned[chosen]
        picks.values[:] = self._prices[picks.items] / self._prices[picks.evidence] - 1
        return picks.best(depth)

    def _fill(self, members: Ints, catalogue: Catalogue) -> None:
        """List the neighbours of one need's items, given in the order of price."""
        offered = members[catalogue.is_offered[members]]
        buyers = catalogue.recent_customer_counts[offered]
        kept = np.sort(np.lexsort((offered, -buyers))[:_NEED_ITEMS_MAX])
        offered, weights = offered[kept], buyers[kept] + 1.0
        prices, own = self._prices[offered], self._prices[members]
        lowest = np.searchsorted(prices, own * (1 + PRICE_RISE_MIN) * (1 - _PRICE_TOLERANCE), side="left")
        highest = np.searchsorted(prices, own * (1 + PRICE_RISE_MAX) * (1 + _PRICE_TOLERANCE), side="right")
        for item, price, first, last in zip(members, own, lowest, highest, strict=True):
            dearer = offered[first:last]
            keys = item * len(catalogue) + dearer
            fits = find_pairs(keys, self._companions) < 0
            share = weights[first:last] / weights[first:last].sum()
            worth = np.where(fits, share * (prices[first:last] / price - 1), -1.0)
            best = np.lexsort((dearer, -worth))[: min(_NEIGHBOURS, int(fits.sum()))]
            self.targets[item, : len(best)] = dearer[best]
            self.worth[item, : len(best)] = worth[best]
