"""When customers ordered, a group of buckets at a time, and the calendar months of a shop's time zone."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Self

import narwhals as nw
import polars as pl

from features.build import bucket_groups
from features.history import History
from features.settings import Engine
from features.snapshot import Snapshot, add_months, instant_of, local_midnight_days


@dataclass(frozen=True, slots=True)
class Months:
    """Calendar months in a row, from that of a first order to that of the day before a snapshot.

    `starts` are their first days and, last, the first day after them; empty where there are none.
    """

    starts: tuple[date, ...]
    time_zone: str

    @classmethod
    def until(cls, snapshot: Snapshot, *, first_days: float | None) -> Self:
        """Return the months from an instant (days since 1970-01-01 UTC) to a snapshot."""
        if first_days is None or first_days >= snapshot.end_days:
            return cls((), snapshot.time_zone)
        first = instant_of(first_days).astimezone(snapshot.zone).date().replace(day=1)
        last = (snapshot.date - timedelta(days=1)).replace(day=1)
        count = (last.year - first.year) * 12 + last.month - first.month + 1
        return cls(tuple(add_months(first, number) for number in range(count + 1)), snapshot.time_zone)

    @property
    def names(self) -> tuple[str, ...]:
        """The months as text, such as `2026-01`."""
        return tuple(f"{start:%Y-%m}" for start in self.starts[:-1])

    def numbers(self, ordered_days: pl.Series) -> pl.Series:
        """Return the number of the month that each instant lies in, 0 the first."""
        edges = pl.Series(
            [local_midnight_days(start, self.time_zone) for start in self.starts], dtype=pl.Float64
        )
        return edges.search_sorted(ordered_days, side="right").cast(pl.Int64) - 1


def iterate_order_times(history: History, snapshot: Snapshot, *, engine: Engine) -> Iterator[pl.DataFrame]:
    """Yield one row per order known at a snapshot: `customer_id` and `ordered_days`, its first line's.

    All orders of a customer are in one frame. Returns are no orders; all history counts.
    """
    for buckets in bucket_groups(history):
        lines = history.scan("order_lines", engine=engine, buckets=buckets)
        sold = lines.filter(~nw.col("is_return"), nw.col("ordered_days") < snapshot.end_days)
        orders = sold.group_by("customer_id", "order_id").agg(nw.col("ordered_days").min())
        yield orders.select("customer_id", "ordered_days").collect("polars").to_native()
