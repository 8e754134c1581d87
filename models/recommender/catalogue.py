"""The items of a shop as arrays by item number: the only table that a recommender's bundle holds."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.interactions import ORDER_WEIGHTS
from features.items import ITEM_SCHEMA, PRICE_TIER_COUNT

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

# An item that fewer than one in twenty buyers ever buys again is a durable: it is not offered twice.
REPURCHASE_RATE_MIN = 0.05

MIDDLE_TIER = (1 + PRICE_TIER_COUNT) // 2

_TEXTS = [name for name, dtype in ITEM_SCHEMA.items() if dtype == pl.String]
_FLAGS = [name for name, dtype in ITEM_SCHEMA.items() if dtype == pl.Boolean]
_NUMBERS = [name for name in ITEM_SCHEMA if name not in _TEXTS]


class Catalogue:
    """`features.items.build_items` as arrays; entry i of each belongs to `item_no` i.

    `is_available`    still sold, or new, and not known to be out of stock: only these are ever proposed
    `is_offered`      available and sold at least once: what a customer's own lists may hold
    `is_repeatable`   bought again often enough to be offered to somebody who has it
    `popular`         numbers of the offered items, the most popular first (recent buyers, all buyers, number)
    `gap_error_shares`  how far off the usual gap is, as a share of it (median); NaN where unknown
    `order_weights`   orders by age: a column for each of `ORDER_WEIGHTS`
    `category_nos`    items of one number are of one category, -1 where unknown
    `need_nos`        items of one number serve the same need (subcategory; category in a shop that has
                      sold nothing with a subcategory), -1 where unknown
    """

    def __init__(self, items: pl.DataFrame) -> None:
        self.items = items
        self.product_ids = items["product_id"]
        self.repurchase_rates = _floats(items["repurchase_rate"])
        self.repurchase_gaps_days = _floats(items["repurchase_gap_days"])
        self.gap_error_shares = _floats(items["gap_error_share"])
        self.unit_prices = _floats(items["unit_price_minor"])
        self.price_tiers = items["price_tier"].fill_null(MIDDLE_TIER).to_numpy().astype(np.int64)
        self.recent_customer_counts = items["recent_customer_count"].to_numpy().astype(np.int64)
        self.recent_order_counts = items["recent_order_count"].to_numpy().astype(np.int64)
        self.customer_counts = items["customer_count"].to_numpy().astype(np.int64)
        self.order_counts = items["order_count"].to_numpy().astype(np.int64)
        self.is_repeatable: Bools = self.repurchase_rates >= REPURCHASE_RATE_MIN
        self.hide(())
        self.first_days = _floats(items["first_days"])
        self.launched_days = _floats(items["launched_days"])
        self.order_weights = np.column_stack([_floats(items[name]) for name in ORDER_WEIGHTS])
        self.need_nos: Ints = _need_nos(items)
        self.category_nos: Ints = _category_nos(items)

    def __len__(self) -> int:
        return len(self.items)

    @property
    def has_categories(self) -> bool:
        """Say whether anything is known of what items are for."""
        return bool((self.category_nos >= 0).any() or (self.need_nos >= 0).any())

    @property
    def has_subcategories(self) -> bool:
        """Say whether a need is told by more than the category."""
        return _has_subcategories(self.items)

    def item_nos(self, product_ids: Sequence[str]) -> Ints:
        """Return the numbers of products of the catalogue; raises `KeyError` for another."""
        numbers = {product_id: number for number, product_id in enumerate(self.product_ids)}
        return np.array([numbers[product_id] for product_id in product_ids], dtype=np.int64)

    def hide(self, product_ids: Collection[str]) -> None:
        """Propose these products no more, and those that were hidden before again."""
        is_sold = (self.items["is_active"] & self.items["in_stock"].fill_null(value=True)).to_numpy()
        self.is_available: Bools = is_sold & ~self.product_ids.is_in(list(product_ids)).to_numpy()
        self.is_offered: Bools = self.is_available & (self.customer_counts > 0)
        self.popular: Ints = self._by_popularity()

    def _by_popularity(self) -> Ints:
        order = np.lexsort(
            (
                np.arange(len(self)),
                -self.customer_counts,
                -self.recent_order_counts,
                -self.recent_customer_counts,
            )
        )
        return order[self.is_offered[order]].astype(np.int64)

    def state(self) -> dict[str, Any]:
        """Return the texts, for JSON."""
        return {name: self.items[name].to_list() for name in _TEXTS}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the numbers, for `.npz`; flags are 1, 0 and NaN for unknown."""
        return {f"item_{name}": _floats(self.items[name].cast(pl.Float64)) for name in _NUMBERS}

    @classmethod
    def restore(cls, state: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild from what `state` and `arrays` returned."""
        texts = {name: pl.Series(state[name], dtype=pl.String) for name in _TEXTS}
        numbers = {name: pl.Series(arrays[f"item_{name}"]).fill_nan(None) for name in _NUMBERS}
        flags = [(pl.col(name) == 1.0).alias(name) for name in _FLAGS]
        table = pl.DataFrame(texts | numbers).with_columns(flags)
        return cls(table.select(ITEM_SCHEMA.keys()).cast(ITEM_SCHEMA))


def _floats(column: pl.Series) -> Floats:
    return column.cast(pl.Float64).fill_null(np.nan).to_numpy().astype(np.float64)


def _category_nos(items: pl.DataFrame) -> Ints:
    number = pl.col("category").rank("dense").cast(pl.Int64) - 1
    return items.select(number.fill_null(-1).alias("no"))["no"].to_numpy().astype(np.int64)


def _has_subcategories(items: pl.DataFrame) -> bool:
    return items.filter(pl.col("customer_count") > 0)["subcategory"].count() > 0


def _need_nos(items: pl.DataFrame) -> Ints:
    parts = ["category", "subcategory"] if _has_subcategories(items) else ["category"]
    number = pl.struct(parts).rank("dense").cast(pl.Int64) - 1
    known = pl.when(pl.col(parts[-1]).is_not_null()).then(number).otherwise(-1)
    return items.select(known.alias("need_no"))["need_no"].to_numpy().astype(np.int64)
