"""What every customer brought in their first days and so far: one row a customer, read a part at a time.

The first h days are `[first order, first order + h)`, in days of 24 hours. They are over at a snapshot where
its midnight is no earlier than their end; before that nobody knows what they bring, and the figure is null.

A history begins in the middle of a shop's life more often than not: whoever orders soon after its first
instant may have been a customer for years. 95 % of a shop's gaps between orders are no longer than its
`lead_in_days`, so whoever shows up later than that is new (or had lapsed).
"""

from dataclasses import dataclass
from typing import Final

import narwhals as nw
import polars as pl

from features.build import iterate_parts
from features.cohort import read_return_gaps
from features.expressions import sum_where
from features.history import MONEY_SCALE, History
from features.margin import basis_money
from features.orders import Frame, known_rows
from features.settings import Settings
from features.snapshot import Snapshot

FIRST_DAYS: Final = (30, 90, 180, 365)
_MONEY = ("spend_total", *(f"spend_first_{days}" for days in FIRST_DAYS))
_MICROSECONDS_A_DAY = 86_400_000_000
_HALF_MICROSECOND_DAYS = 0.5 / _MICROSECONDS_A_DAY


@dataclass(frozen=True, slots=True)
class Beginnings:
    """The customers of a shop at a snapshot, and how long its beginning is blurred.

    `customers`     one row per customer, sorted: `customer_id`, `first_days` (the first order, in days since
                    1970-01-01 UTC) and `first_date` (its day in the shop's time zone), `order_count`,
                    `spend_total`, `spend_first_30` … `spend_first_365` (null until those days are over);
                    money on the shop's basis, in major units
    `lead_in_days`  whoever first ordered within so many days of the first order of all may be no new customer
    """

    customers: pl.DataFrame
    lead_in_days: int

    @property
    def lead_in_until(self) -> float:
        """The end of the lead-in, in days since 1970-01-01 UTC; 0 in a shop without customers."""
        first = self.customers["first_days"].min()
        return 0.0 if first is None else float(str(first)) + self.lead_in_days


def read_beginnings(history: History, snapshot: Snapshot, *, settings: Settings) -> Beginnings:
    """Read the beginnings of everybody who ordered before a snapshot.

    All history counts: the first order inside an observation window is not the customer's first.
    """
    whole = Snapshot(snapshot.date, snapshot.time_zone)
    tables: list[pl.DataFrame] = []
    for part in iterate_parts(history, engine=settings.features.engine, snapshot=whole):
        ledger = known_rows(part.scan(part.ledger), whole)
        tables.append(_beginnings(ledger, whole, settings=settings))
    lead_in_days = read_return_gaps(history, whole).p95_days or 0.0
    return Beginnings(pl.concat(tables).sort("customer_id"), round(lead_in_days))


def _beginnings(ledger: Frame, snapshot: Snapshot, *, settings: Settings) -> pl.DataFrame:
    opened = nw.when(nw.col("order_count") > 0).then(nw.col("ordered_days"))
    rows = ledger.with_columns(opened.alias("opened"), basis_money(settings.shop.basis).alias("money_minor"))
    rows = rows.with_columns(nw.col("opened").min().over("customer_id").alias("first_days"))
    age = nw.col("ordered_days") - nw.col("first_days")
    aggregates = {
        "order_count": nw.col("order_count").sum(),
        "spend_total": nw.col("money_minor").sum(),
        **{
            # Instants are whole microseconds, days are not: half of one keeps the end out, rounded or not.
            f"spend_first_{days}": sum_where(
                (age >= 0) & (age < days - _HALF_MICROSECOND_DAYS), nw.col("money_minor")
            )
            for days in FIRST_DAYS
        },
    }
    totals = (
        rows.filter(~nw.col("first_days").is_null())
        .group_by("customer_id", "first_days")
        .agg(*(total.alias(name) for name, total in aggregates.items()))
        .with_columns(nw.col(*aggregates).cast(nw.Float64))
    )
    return _finish(totals.collect("polars").to_native(), snapshot)


def _finish(totals: pl.DataFrame, snapshot: Snapshot) -> pl.DataFrame:
    # Divided by a column: by a constant, Polars would multiply with its reciprocal and lose the last cent.
    scale = pl.repeat(float(MONEY_SCALE), totals.height, eager=True).alias("minor_per_major")
    elapsed = snapshot.end_days - pl.col("first_days")
    instant = (pl.col("first_days") * _MICROSECONDS_A_DAY).round().cast(pl.Int64)
    local = instant.cast(pl.Datetime("us", "UTC")).dt.convert_time_zone(snapshot.time_zone)
    over = {f"spend_first_{days}": elapsed >= days - _HALF_MICROSECOND_DAYS for days in FIRST_DAYS}
    return (
        totals.with_columns(scale)
        .with_columns(pl.col(_MONEY) / pl.col("minor_per_major"))
        .with_columns(pl.when(is_over).then(pl.col(name)).alias(name) for name, is_over in over.items())
        .select("customer_id", "first_days", local.dt.date().alias("first_date"), "order_count", *_MONEY)
    )
