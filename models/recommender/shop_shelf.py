"""The lists of the whole shop: `popular`, `trending` and `new`."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.recommender.bounds import rate_ratio_low
from models.recommender.catalogue import Catalogue, Floats, Ints
from models.recommender.lists import Picks

# Launches are whole days ago, also where the clock was changed between.
_CLOCK_CHANGE_DAYS = 1 / 12
_RECENT_ORDERS_MIN = 10
_RECENT_CUSTOMERS_MIN = 5
# What sold once before has no usual to be compared with.
_EARLIER_ORDERS_MIN = 2


class Trends:
    """Items that sell more than is usual for them, the surest first.

    `items`  numbers; `ratios` the newest window over what was to be expected; `lows` its lower 95 % bound
    """

    def __init__(self, items: Ints, ratios: Floats, lows: Floats) -> None:
        self.items = items
        self.ratios = ratios
        self.lows = lows

    @classmethod
    def none(cls) -> Self:
        """Return no trends."""
        return cls(np.zeros(0, np.int64), np.zeros(0), np.zeros(0))

    @classmethod
    def fit(cls, trends: pl.DataFrame, catalogue: Catalogue) -> Self:
        """Judge `features.trends.build_trends`: at least 10 orders by 5 customers, and a bound above 1.

        What is expected is the item's share of the shop's orders before × the shop's orders now.
        """
        known = trends.join(catalogue.items.select("product_id", "item_no"), on="product_id")
        known = known.filter(
            (pl.col("recent_order_count") >= _RECENT_ORDERS_MIN)
            & (pl.col("earlier_order_count") >= _EARLIER_ORDERS_MIN)
        )
        items = known["item_no"].to_numpy().astype(np.int64)
        recent, earlier, shop_now, shop_before = (
            known[name].to_numpy().astype(np.float64)
            for name in (
                "recent_order_count",
                "earlier_order_count",
                "recent_shop_count",
                "earlier_shop_count",
            )
        )
        lows = rate_ratio_low(recent, shop_now, earlier, shop_before)
        rises = (lows > 1.0) & catalogue.is_offered[items]
        rises &= catalogue.recent_customer_counts[items] >= _RECENT_CUSTOMERS_MIN
        order = np.lexsort((items, -lows))
        order = order[rises[order]]
        ratios = (recent / shop_now) / (earlier / shop_before)
        return cls(items[order], ratios[order], lows[order])

    def picks(self, catalogue: Catalogue, *, depth: int) -> Picks:
        """Return the list; score = the lower bound, `value` = how many times the usual."""
        kept = np.flatnonzero(catalogue.is_offered[self.items])[:depth]
        items = self.items[kept]
        picks = Picks.of(np.zeros_like(items), items, self.lows[kept], reason="trending", source="popular")
        picks.values[:] = self.ratios[kept]
        return picks

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what `.npz` keeps."""
        return {"trend_items": self.items, "trend_ratios": self.ratios, "trend_lows": self.lows}

    @classmethod
    def restore(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild from what `arrays` returned."""
        return cls(*(arrays[f"trend_{name}"] for name in ("items", "ratios", "lows")))


def popular_picks(catalogue: Catalogue, *, depth: int) -> Picks:
    """Return what most customers bought within `popularity_days`; score and `value` are those buyers."""
    items = catalogue.popular[:depth]
    buyers = catalogue.recent_customer_counts[items].astype(np.float64)
    picks = Picks.of(np.zeros_like(items), items, buyers, reason="popular", source="popular")
    picks.values[:] = buyers
    return picks


def new_picks(catalogue: Catalogue, *, end_days: float, window_days: int, depth: int) -> Picks:
    """Return what was launched within the window before `end_days`, sold already or not.

    A launch is the catalogue's, else the first sale, unless that lies in the history's own first window: then
    nobody knows how long the item had been sold. Recent buyers decide, then the later launch. Score = those
    buyers plus a fraction that falls with the age; `value` = days since the launch.
    """
    named, sold = catalogue.launched_days - _CLOCK_CHANGE_DAYS, _surely_first_sold(catalogue, window_days)
    launched = np.where(np.isnan(named), sold, named)
    with np.errstate(invalid="ignore"):
        ages = end_days - launched
        is_new = catalogue.is_available & (ages >= 0) & (np.floor(ages) <= window_days)
    items = np.flatnonzero(is_new)
    scores = catalogue.recent_customer_counts[items] + 1 - ages[items] / (window_days + 1)
    picks = Picks.of(np.zeros_like(items), items, scores, reason="new", source="popular")
    picks.values[:] = np.floor(ages[items])
    return picks.best(depth)


def _surely_first_sold(catalogue: Catalogue, window_days: int) -> Floats:
    first = catalogue.first_days
    begin = np.nanmin(first) if np.isfinite(first).any() else np.nan
    return np.where(first >= begin + window_days, first, np.nan)
