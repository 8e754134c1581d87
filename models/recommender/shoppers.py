"""The customers to serve, as arrays: which items they own, from which categories they bought."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse

from features.interactions import ORDER_WEIGHTS
from features.snapshot import Snapshot
from models.recommender.catalogue import Bools, Catalogue, Floats, Ints
from models.recommender.lists import places_in_runs

# A customer who sent back half of what they bought of an item does not want it again.
_RETURNED_SHARE_MAX = 0.5


@dataclass(frozen=True, slots=True)
class Shoppers:
    """Customers by row number 0 … `count` - 1, and what they own: one entry per (row, item), sorted so.

    Items that the catalogue no longer holds are left out of the pairs, yet their categories count as bought.

    `order_weights`        orders by age: a column for each of `ORDER_WEIGHTS`
    `ranked`               places of the pairs by row, then most orders, newest, item number
    `repeats`              the item may be offered again: repeatable, or this customer did buy it again
    `ages_days`, `spans_days`   days since the last purchase; from the first to the last
    `category_rows`, `category_nos`   distinct (row, category) pairs, sorted
    `order_counts_all`, `silent_days` per row: orders of any product; days since the newest (NaN if none)
    """

    count: int
    rows: Ints
    items: Ints
    order_counts: Floats
    recent_counts: Floats
    order_weights: Floats
    ages_days: Floats
    spans_days: Floats
    ranked: Ints
    repeats: Bools
    category_rows: Ints
    category_nos: Ints
    order_counts_all: Floats
    silent_days: Floats
    tenures_days: Floats

    @property
    def has_items(self) -> Bools:
        """Per row: owns at least one item of the catalogue."""
        return np.bincount(self.rows, minlength=self.count) > 0

    def owned(self, item_count: int) -> sparse.csr_matrix:
        """Return rows × items with the number of orders of each owned item."""
        starts = np.searchsorted(self.rows, np.arange(self.count + 1))
        counts = self.order_counts.astype(np.float32)
        return sparse.csr_matrix((counts, self.items, starts), shape=(self.count, item_count))

    def order_weight_sums(self) -> Floats:
        """Return rows × `ORDER_WEIGHTS`: sums over what each owns."""
        return np.column_stack(
            [np.bincount(self.rows, column, self.count) for column in self.order_weights.T]
        ).astype(np.float64)

    def most_ordered(self, count: int) -> Ints:
        """Return the places of each row's `count` most ordered items, best first within a row."""
        return self.ranked[places_in_runs(self.rows[self.ranked]) < count]

    def blocks(self, size: int) -> Iterator[tuple[int, "Shoppers"]]:
        """Yield (first row, shoppers) for consecutive rows; row numbers start at 0 in each block."""
        for first in range(0, self.count, size):
            yield first, self._slice(first, min(first + size, self.count))

    def _slice(self, first: int, last: int) -> "Shoppers":
        pairs = slice(*np.searchsorted(self.rows, [first, last]))
        bought = slice(*np.searchsorted(self.category_rows, [first, last]))
        return Shoppers(
            count=last - first,
            rows=self.rows[pairs] - first,
            items=self.items[pairs],
            order_counts=self.order_counts[pairs],
            recent_counts=self.recent_counts[pairs],
            order_weights=self.order_weights[pairs],
            ages_days=self.ages_days[pairs],
            spans_days=self.spans_days[pairs],
            ranked=self.ranked[pairs] - pairs.start,
            repeats=self.repeats[pairs],
            category_rows=self.category_rows[bought] - first,
            category_nos=self.category_nos[bought],
            order_counts_all=self.order_counts_all[first:last],
            silent_days=self.silent_days[first:last],
            tenures_days=self.tenures_days[first:last],
        )


def read_shoppers(
    interactions: pl.DataFrame,
    customer_ids: Sequence[str],
    *,
    catalogue: Catalogue,
    snapshot: Snapshot,
    categories: Sequence[str] = (),
) -> Shoppers:
    """Turn interactions as of a snapshot into arrays; rows are in the order of `customer_ids`.

    `categories` numbers the categories; others are left out. Customers without interactions own nothing.
    """
    served = pl.DataFrame({"customer_id": pl.Series(customer_ids, dtype=pl.String)}).with_row_index("row")
    bought = interactions.join(served, on="customer_id", how="inner")
    pairs = bought.join(catalogue.items.select("product_id", "item_no"), on="product_id").sort(
        "row", "item_no"
    )
    numbered = pl.DataFrame({"category": pl.Series(categories, dtype=pl.String)}).with_row_index(
        "category_no"
    )
    distinct = bought.select("row", "category").unique().join(numbered, on="category")
    distinct = distinct.sort("row", "category_no")
    totals = served.join(_totals(bought), on="row", how="left").sort("row")
    end_days = snapshot.end_days
    items = _ints(pairs, "item_no")
    order_counts, spans = (
        _floats(pairs, "order_count"),
        _floats(pairs, "last_days") - _floats(pairs, "first_days"),
    )
    wanted = _floats(pairs, "returned_share") < _RETURNED_SHARE_MAX
    bought_again = (order_counts > 1) & (spans >= 1.0)
    return Shoppers(
        count=len(served),
        rows=_ints(pairs, "row"),
        items=items,
        order_counts=order_counts,
        recent_counts=_floats(pairs, "recent_order_count"),
        order_weights=np.column_stack([_floats(pairs, name) for name in ORDER_WEIGHTS]),
        ages_days=end_days - _floats(pairs, "last_days"),
        spans_days=spans,
        ranked=_ranked(pairs),
        repeats=wanted & (catalogue.is_repeatable[items] | bought_again),
        category_rows=_ints(distinct, "row"),
        category_nos=_ints(distinct, "category_no"),
        order_counts_all=_floats(totals, "customer_order_count"),
        silent_days=end_days - _floats(totals, "customer_last_days"),
        tenures_days=end_days - _floats(totals, "customer_first_days"),
    )


def _totals(bought: pl.DataFrame) -> pl.DataFrame:
    return bought.group_by("row").agg(
        pl.col("customer_order_count").max(),
        pl.col("customer_last_days").max(),
        pl.col("first_days").min().alias("customer_first_days"),
    )


def _ranked(pairs: pl.DataFrame) -> Ints:
    order = pl.arg_sort_by(
        "row", "order_count", "last_days", "item_no", descending=[False, True, True, False]
    )
    return pairs.select(order.cast(pl.Int64)).to_series().to_numpy().astype(np.int64)


def _ints(rows: pl.DataFrame, column: str) -> Ints:
    return rows[column].to_numpy().astype(np.int64)


def _floats(rows: pl.DataFrame, column: str) -> NDArray[np.float64]:
    return rows[column].cast(pl.Float64).fill_null(np.nan).to_numpy().astype(np.float64)
