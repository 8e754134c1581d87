"""The category that a customer buys from most often."""

from typing import Final

import narwhals as nw
import polars as pl

from features.history import History
from features.orders import Frame, known_rows
from features.snapshot import Snapshot

_KEYS: Final = ("customer_id", "category")


def favourite_categories(lines: Frame, categories: Frame) -> Frame:
    """Return one row per customer with a known category: `customer_id`, `favourite_category`.

    It is the category in most of the customer's orders; of several, the one that the most money was spent in,
    then the first by name. What was given back is neither counted nor subtracted. `lines` are known order
    lines, `categories` has `product_id` and `category` once a product.
    """
    sold = lines.filter(~nw.col("is_return"), ~nw.col("product_id").is_null())
    named = sold.join(categories.filter(~nw.col("category").is_null()), on="product_id", how="inner")
    orders = named.group_by(*_KEYS, "order_id").agg(nw.col("amount_minor").sum())
    found = orders.group_by(*_KEYS).agg(
        nw.len().alias("order_count"), nw.col("amount_minor").sum().alias("money")
    )
    for name in ("order_count", "money"):
        most = nw.col(name).max().over("customer_id")
        found = found.with_columns(most.alias("most")).filter(nw.col(name) == nw.col("most"))
    return found.group_by("customer_id").agg(nw.col("category").min().alias("favourite_category"))


def read_favourites(history: History, snapshot: Snapshot, *, bucket: int) -> pl.DataFrame:
    """Return what `favourite_categories` finds in a bucket of customers; nobody without categories."""
    lines = known_rows(history.scan("order_lines", buckets=[bucket]), snapshot)
    products = history.read("products").unique("product_id", keep="last")
    named = nw.from_native(products.select("product_id", "category").lazy())
    found: pl.DataFrame = favourite_categories(lines, named).collect("polars").to_native()
    return found
