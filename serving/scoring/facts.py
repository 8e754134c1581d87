"""What a score row says about the past: exact counts and money of a bucket of customers."""

import polars as pl

from features.history import MONEY_SCALE, History
from features.snapshot import Snapshot

_MICROSECONDS_A_DAY = 86_400_000_000
_OF_CUSTOMERS = ("email_consent", "country", "acquisition_channel")


def read_facts(history: History, snapshot: Snapshot, *, bucket: int, totals: pl.DataFrame) -> pl.DataFrame:
    """Return one row per customer of a bucket who ordered before the snapshot, sorted by `customer_id`.

    `totals` are those of the same customers (`features.customer_totals.part_totals`).

    `first_order_at`, `last_order_at`   aware UTC
    `largest_order_value`          what was sold in the largest order, before returns, to the cent
    `historic_number_of_orders`    orders, never lines; returns are none
    `average_days_between_orders`  null after a single order
    `historic_clv`                 money on the shop's basis, major units, to the cent
    `average_order_value`          that over the orders
    `email_consent`, `country`, `acquisition_channel`   null where they are not known
    """
    lines = _known_lines(history, snapshot, bucket)
    orders = (
        lines.filter(~pl.col("is_return"))
        .group_by("customer_id", "order_id")
        .agg(pl.col("ordered_days").min(), pl.col("amount_minor").sum())
    )
    rhythm = orders.group_by("customer_id").agg(
        pl.len().alias("order_count"),
        pl.col("ordered_days").min().alias("first_days"),
        pl.col("ordered_days").max().alias("last_days"),
        pl.col("amount_minor").max().alias("largest_minor"),
    )
    money = totals.lazy().select("customer_id", "spend_total")
    joined = rhythm.join(money, on="customer_id", how="left").join(
        _consent(history), on="customer_id", how="left"
    )
    return joined.select("customer_id", *_facts()).sort("customer_id").collect()


def _known_lines(history: History, snapshot: Snapshot, bucket: int) -> pl.LazyFrame:
    lines = pl.scan_parquet(history.paths("order_lines", buckets=[bucket]), glob=False)
    known = pl.col("ordered_days") < snapshot.end_days
    if snapshot.start_days is not None:
        known &= pl.col("ordered_days") >= snapshot.start_days
    return lines.filter(known)


def _consent(history: History) -> pl.LazyFrame:
    customers: pl.LazyFrame = history.scan("customers").to_native()
    return customers.select("customer_id", *_OF_CUSTOMERS)


def _facts() -> list[pl.Expr]:
    orders, spend = pl.col("order_count"), pl.col("spend_total").fill_null(0.0)
    gaps = pl.when(orders > 1).then((pl.col("last_days") - pl.col("first_days")) / (orders - 1))
    return [
        instant_column("first_days").alias("first_order_at"),
        instant_column("last_days").alias("last_order_at"),
        (pl.col("largest_minor") / MONEY_SCALE).round(2).alias("largest_order_value"),
        orders.cast(pl.Int64).alias("historic_number_of_orders"),
        gaps.round(2).alias("average_days_between_orders"),
        spend.round(2).alias("historic_clv"),
        (spend / orders).round(2).alias("average_order_value"),
        *(pl.col(name) for name in _OF_CUSTOMERS),
    ]


def instant_column(days: str) -> pl.Expr:
    """Return a column of days since 1970 as instants of UTC."""
    return (pl.col(days) * _MICROSECONDS_A_DAY).round().cast(pl.Int64).cast(pl.Datetime("us", "UTC"))
