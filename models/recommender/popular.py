"""`popular`: what most customers bought lately, the same for everybody."""

import numpy as np

from models.recommender.catalogue import Catalogue
from models.recommender.lists import Picks
from models.recommender.shoppers import Shoppers


def popular_for_all(shoppers: Shoppers, catalogue: Catalogue, *, depth: int) -> Picks:
    """Return the shop's most popular items for every row; score and `value` are their recent buyers."""
    items = np.tile(catalogue.popular[:depth], shoppers.count)
    rows = np.repeat(np.arange(shoppers.count), len(catalogue.popular[:depth]))
    buyers = catalogue.recent_customer_counts[items].astype(np.float64)
    picks = Picks.of(rows, items, buyers, reason="popular", source="popular")
    picks.values[:] = buyers
    return picks.with_fallback(~shoppers.has_items)
