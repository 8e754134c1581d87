"""Who bought which product: one row per (customer, product) known at a snapshot, and the truth of a window.

Only lines that name a product count. An order counts once for a product, however many lines it has; a return
is no purchase, it only raises `returned_share`.
"""

import math
from collections.abc import Sequence
from typing import Any, Final

import narwhals as nw
import polars as pl

from features.history import History
from features.settings import Engine, Settings
from features.snapshot import Snapshot

Lines = nw.LazyFrame[Any]

INTERACTION_SCHEMA = pl.Schema(
    {
        "customer_id": pl.String,
        "product_id": pl.String,
        "category": pl.String,
        "order_count": pl.Int64,
        "recent_order_count": pl.Int64,
        "order_weight_7": pl.Float64,
        "order_weight_30": pl.Float64,
        "order_weight_90": pl.Float64,
        "quantity_minor": pl.Int64,
        "spend_minor": pl.Int64,
        "first_days": pl.Float64,
        "last_days": pl.Float64,
        "returned_share": pl.Float64,
        "customer_order_count": pl.Int64,
        "customer_last_days": pl.Float64,
    }
)
PURCHASE_COLUMNS = ("customer_id", "product_id", "quantity_minor", "spend_minor")
ORDER_WEIGHTS: Final = {f"order_weight_{days}": days for days in (7, 30, 90)}
"""Columns that count an order half for every so many days of its age."""
WEIGHT_DECIMALS = 6
_WEIGHT_UNITS = 10**WEIGHT_DECIMALS
_PAIR = ("customer_id", "product_id")


def build_interactions(
    history: History,
    snapshot: Snapshot,
    *,
    settings: Settings,
    buckets: Sequence[int] | None = None,
    engine: Engine = "polars",
) -> pl.DataFrame:
    """Build one row per (customer_id, product_id) bought before the snapshot, sorted by both.

    `category`       the product's, as the catalogue has it; null where it has none
    `order_count`    orders that hold the product; `recent_order_count` those of the last `popularity_days`
    `order_weight_7`, `_30`, `_90`             the orders, each counting half for every 7 (30, 90) days of age
    `quantity_minor`, `spend_minor`            sums of the purchase lines, in minor units
    `first_days`, `last_days`                  `ordered_days` of the first and the last of these orders
    `returned_share`                           returned ÷ bought quantity, in [0, 1]
    `customer_order_count`, `customer_last_days`  all the customer's orders of products, the same on every row

    Customers whose lines name no product have no row.
    """
    lines = known_product_lines(history, snapshot, buckets=buckets, engine=engine)
    baskets = sum_by_order(lines)
    products: Lines = history.scan("products", engine=engine)
    categories = products.group_by("product_id").agg(nw.col("category").max())
    pairs = (
        sum_by_pair(baskets, snapshot, recent_days=settings.recommender.popularity_days)
        .join(_customer_totals(baskets), on="customer_id", how="inner")
        .join(categories, on="product_id", how="left")
        .with_columns(_returned_share())
    )
    return collected(pairs).select(INTERACTION_SCHEMA.keys()).cast(INTERACTION_SCHEMA).sort(_PAIR)


def build_purchases(
    history: History,
    start: Snapshot,
    end: Snapshot,
    *,
    buckets: Sequence[int] | None = None,
    engine: Engine = "polars",
) -> pl.DataFrame:
    """Build the truth of the window `[start, end)`: what each customer bought, sorted by both keys.

    Columns customer_id, product_id, quantity_minor, spend_minor; returns are no purchases.
    """
    days = nw.col("ordered_days")
    bought = (
        _product_lines(history, buckets=buckets, engine=engine)
        .filter(days >= start.end_days, days < end.end_days, ~nw.col("is_return"))
        .group_by(*_PAIR)
        .agg(
            nw.col("quantity_minor").sum().cast(nw.Int64),
            nw.col("amount_minor").sum().cast(nw.Int64).alias("spend_minor"),
        )
    )
    return collected(bought).select(PURCHASE_COLUMNS).sort(_PAIR)


def known_product_lines(
    history: History,
    snapshot: Snapshot,
    *,
    buckets: Sequence[int] | None = None,
    engine: Engine = "polars",
) -> Lines:
    """Return the order lines that name a product and are known at the snapshot, in its observation window."""
    days = nw.col("ordered_days")
    lines = _product_lines(history, buckets=buckets, engine=engine).filter(days < snapshot.end_days)
    return lines if snapshot.start_days is None else lines.filter(days >= snapshot.start_days)


def sum_by_order(lines: Lines) -> Lines:
    """Sum lines to (customer, product, order); `bought_days` is null where an order only returns."""
    bought = ~nw.col("is_return")
    quantity = nw.col("quantity_minor").fill_null(0)
    return lines.group_by(*_PAIR, "order_id").agg(
        nw.when(bought).then(nw.col("ordered_days")).min().alias("bought_days"),
        nw.when(bought).then(quantity).otherwise(0).sum().alias("quantity_minor"),
        nw.when(bought).then(nw.col("amount_minor")).otherwise(0).sum().alias("spend_minor"),
        nw.when(bought).then(0).otherwise(quantity.abs()).sum().alias("returned_minor"),
    )


def sum_by_pair(baskets: Lines, snapshot: Snapshot, *, recent_days: int) -> Lines:
    """Sum `sum_by_order` to (customer, product); pairs that were only returned have no row."""
    bought = nw.col("bought_days")
    recent = nw.when(bought >= snapshot.shifted(-recent_days).end_days).then(1).otherwise(0)
    ages = snapshot.end_days - bought
    weights = [_weight(ages, days).sum().alias(name) for name, days in ORDER_WEIGHTS.items()]
    return (
        baskets.group_by(*_PAIR)
        .agg(
            bought.count().cast(nw.Int64).alias("order_count"),
            recent.sum().cast(nw.Int64).alias("recent_order_count"),
            *weights,
            nw.col("quantity_minor", "spend_minor", "returned_minor").sum().cast(nw.Int64),
            bought.min().alias("first_days"),
            bought.max().alias("last_days"),
        )
        .filter(nw.col("order_count") > 0)
        .with_columns(nw.col(*ORDER_WEIGHTS).cast(nw.Float64) / _WEIGHT_UNITS)
    )


def _weight(ages_days: nw.Expr, half_life_days: int) -> nw.Expr:
    """Return 2^(-age ÷ half-life) in millionths: whole numbers add up alike on every engine, in any order."""
    halved: nw.Expr = (ages_days * (-math.log(2) / half_life_days)).exp()
    counted: nw.Expr = (halved * _WEIGHT_UNITS).round().cast(nw.Int64)
    return counted


def _product_lines(history: History, *, buckets: Sequence[int] | None, engine: Engine) -> Lines:
    lines: Lines = history.scan("order_lines", engine=engine, buckets=buckets)
    return lines.filter(~nw.col("product_id").is_null()).select(
        "customer_id", "order_id", "product_id", "ordered_days", "quantity_minor", "amount_minor", "is_return"
    )


def _customer_totals(baskets: Lines) -> Lines:
    orders = baskets.group_by("customer_id", "order_id").agg(nw.col("bought_days").max())
    return orders.group_by("customer_id").agg(
        nw.col("bought_days").count().cast(nw.Int64).alias("customer_order_count"),
        nw.col("bought_days").max().alias("customer_last_days"),
    )


def _returned_share() -> nw.Expr:
    share = nw.col("returned_minor").cast(nw.Float64) / nw.col("quantity_minor").cast(nw.Float64)
    known = nw.when(nw.col("quantity_minor") > 0).then(share.clip(0.0, 1.0)).otherwise(0.0)
    return known.alias("returned_share")


def collected(rows: Lines) -> pl.DataFrame:
    """Run a query of either engine."""
    return pl.DataFrame(rows.collect("polars").to_native())
