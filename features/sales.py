"""What the shop's products sold before a snapshot, counted from the lines of some customers at a time."""

from collections.abc import Iterable

import narwhals as nw
import polars as pl

from features.build import bucket_groups
from features.engines import keep, scan_table
from features.history import QUANTITY_SCALE, History
from features.interactions import (
    ORDER_WEIGHTS,
    WEIGHT_DECIMALS,
    Lines,
    collected,
    known_product_lines,
    sum_by_order,
    sum_by_pair,
)
from features.settings import Engine
from features.snapshot import Snapshot

_SUMS = (
    "order_count",
    "recent_order_count",
    "customer_count",
    "recent_customer_count",
    "repeat_customer_count",
    *ORDER_WEIGHTS,
)
_GAP, _PRICE = "own_gap", "unit_price_minor"


def build_sales(
    history: History,
    snapshot: Snapshot,
    *,
    recent_days: int,
    engine: Engine = "polars",
    interactions: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Build one row per product sold before a snapshot, sorted by product_id.

    `interactions` of all customers at this snapshot, where they are at hand, are counted instead of the
    lines. Memory holds the lines of a group of buckets, and what is distinct of gaps and prices.

    `recent_*_count`       within the last `recent_days`
    `repeat_customer_count`  buyers who bought it again on a later day
    `order_weight_*`       orders, each counting half for every 7, 30, 90 days of its age
    `own_gap`              median over these buyers of their mean gap, days; null if nobody did
    `first_days`, `last_days`  days since 1970-01-01 of the first and the last order
    `unit_price_minor`     median amount per unit, minor units; null where nothing was paid
    """
    counts: list[pl.DataFrame] = []
    gaps: list[pl.DataFrame] = []
    prices: list[pl.DataFrame] = []

    def count(pairs: Lines) -> None:
        counts.append(collected(_counts(pairs)))
        gaps.append(collected(_times_seen(_own_gaps(pairs), _GAP)))

    for buckets in bucket_groups(history, engine=engine):
        lines = known_product_lines(history, snapshot, buckets=buckets, engine=engine)
        prices = [_added([*prices, collected(_times_seen(_unit_prices(lines), _PRICE))], _PRICE)]
        if interactions is None:
            pairs = keep(sum_by_pair(sum_by_order(lines), snapshot, recent_days=recent_days), engine=engine)
            count(scan_table(pairs, engine=engine))
    if interactions is not None:
        count(nw.from_native(interactions.lazy()))
    sold = (
        pl.concat(counts)
        .group_by("product_id")
        .agg(pl.col(_SUMS).sum(), pl.col("first_days").min(), pl.col("last_days").max())
    )
    sold = sold.with_columns(pl.col(ORDER_WEIGHTS.keys()).round(WEIGHT_DECIMALS))
    for found, name in ((gaps, _GAP), (prices, _PRICE)):
        sold = sold.join(medians(_added(found, name), name), on="product_id", how="left")
    return sold.sort("product_id")


def _counts(pairs: Lines) -> Lines:
    marked = pairs.with_columns(
        nw.when(_is_repeat()).then(1).otherwise(0).alias("is_repeat"),
        nw.when(nw.col("recent_order_count") > 0).then(1).otherwise(0).alias("is_recent"),
    )
    return marked.group_by("product_id").agg(
        nw.col("order_count", "recent_order_count").sum().cast(nw.Int64),
        nw.col("is_repeat").count().cast(nw.Int64).alias("customer_count"),
        nw.col("is_recent").sum().cast(nw.Int64).alias("recent_customer_count"),
        nw.col("is_repeat").sum().cast(nw.Int64).alias("repeat_customer_count"),
        nw.col(*ORDER_WEIGHTS).sum(),
        nw.col("first_days").min(),
        nw.col("last_days").max(),
    )


def _span() -> nw.Expr:
    span: nw.Expr = nw.col("last_days") - nw.col("first_days")
    return span


def _is_repeat() -> nw.Expr:
    is_later: nw.Expr = (nw.col("order_count") > 1) & (_span() >= 1.0)
    return is_later


def _own_gaps(pairs: Lines) -> Lines:
    mean_gap = _span() / (nw.col("order_count") - 1).cast(nw.Float64)
    return pairs.filter(_is_repeat()).with_columns(mean_gap.alias(_GAP))


def _unit_prices(lines: Lines) -> Lines:
    paid = lines.filter(~nw.col("is_return"), nw.col("quantity_minor") > 0, nw.col("amount_minor") > 0)
    price = (
        nw.col("amount_minor").cast(nw.Float64) * QUANTITY_SCALE / nw.col("quantity_minor").cast(nw.Float64)
    )
    return paid.with_columns(price.alias(_PRICE))


def _times_seen(rows: Lines, name: str) -> Lines:
    return rows.group_by("product_id", name).agg(nw.len().cast(nw.Int64).alias("count"))


def _added(parts: Iterable[pl.DataFrame], name: str) -> pl.DataFrame:
    return pl.concat(parts).group_by("product_id", name).agg(pl.col("count").sum())


def medians(counts: pl.DataFrame, name: str) -> pl.DataFrame:
    """Return the median of each product's values, of which each occurs `count` times.

    >>> seen = pl.DataFrame({"product_id": ["a", "a", "b"], "price": [1.0, 4.0, 5.0], "count": [2, 2, 1]})
    >>> medians(seen, "price").sort("product_id").rows()
    [('a', 2.5), ('b', 5.0)]
    """
    rows = counts.sort("product_id", name)
    until, total = pl.col("count").cum_sum(), pl.col("count").sum()
    low, high = (pl.col(name).filter(until > place).first() for place in ((total - 1) // 2, total // 2))
    return rows.group_by("product_id").agg(((low + high) / 2).alias(name))
