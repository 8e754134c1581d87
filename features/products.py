"""The products of the catalogue as a snapshot knows them."""

from datetime import date

import polars as pl

from features.history import History
from features.snapshot import Snapshot

_TEXTS = ("product_id", "name", "category", "subcategory", "brand")
_EPOCH = date(1970, 1, 1)
_DAY_MICROSECONDS = 86_400_000_000


def read_known_products(history: History, snapshot: Snapshot) -> pl.DataFrame:
    """Return one row per product of the catalogue.

    `name`, `category`, `subcategory`, `brand`   as loaded
    `is_known`           the catalogue's row is no news at the snapshot: it was loaded before it, or the
                         snapshot is the present (no later order is known)
    `in_stock`, `list_price_minor`               null unless known
    `launched_days`      `launched_on` as days since 1970-01-01 UTC: whole days before `snapshot.end_days`;
                         null unless known
    """
    products = history.read("products").unique("product_id", keep="last", maintain_order=True)
    last_order = history.manifest.last_order_days
    is_present = last_order is None or last_order < snapshot.end_days
    loaded_days = pl.col("loaded_at").dt.epoch("us") / _DAY_MICROSECONDS
    is_known = pl.lit(value=True) if is_present else (loaded_days < snapshot.end_days).fill_null(value=False)
    # Days before the snapshot are whole in every time zone.
    today_days = (snapshot.date - _EPOCH).days
    launched = snapshot.end_days - (today_days - pl.col("launched_on").dt.epoch("d")).cast(pl.Float64)
    return products.with_columns(is_known.alias("is_known")).select(
        *_TEXTS,
        "is_known",
        pl.when("is_known").then("in_stock").alias("in_stock"),
        pl.when("is_known").then(pl.col("list_price_minor").cast(pl.Float64)).alias("list_price_minor"),
        pl.when("is_known").then(launched).alias("launched_days"),
    )
