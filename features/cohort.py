"""Who gets a row at a snapshot, which day is the default snapshot, and how long customers stay away."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import narwhals as nw
import polars as pl

from features.errors import UserError
from features.history import History, HistoryError
from features.orders import LINE_COLUMNS, Frame, known_rows, ledger_rows, order_days
from features.snapshot import Snapshot, instant_of

HEADLINE_GRID_DAYS = (30, 60, 90, 180, 365)


class AsOfError(UserError):
    """The date asked for cannot be used with this history."""


@dataclass(frozen=True, slots=True)
class ReturnGaps:
    """How long customers of a shop stay away between two order days; None without any customer who came back.

    `count`         gaps seen before the snapshot
    `median_days`   half of the gaps are no longer than this
    `p95_days`      95 % of the gaps are no longer than this (the smallest gap with that property)
    `history_days`  24-hour days from the shop's first order to the snapshot
    """

    count: int
    median_days: float | None
    p95_days: float | None
    history_days: float


def build_cohort(history: History, snapshot: Snapshot) -> pl.DataFrame:
    """Build the cohort: `customer_id` (sorted) of everybody with an order before it, and `as_of`."""
    rows: pl.DataFrame = cohort_rows(known_sales(history, snapshot)).collect("polars").to_native()
    return rows.sort("customer_id").with_columns(pl.lit(snapshot.date).alias("as_of"))


def cohort_rows(known: Frame) -> Frame:
    """Return `customer_id` of everybody who opened an order in known ledger rows, one row each."""
    orders = known.group_by("customer_id").agg(nw.col("order_count").max())
    return orders.filter(nw.col("order_count") > 0).select("customer_id")


def default_as_of(history: History, time_zone: str, today: date | None = None) -> date:
    """Return the day after the newest accepted order in the shop's time zone, never later than tomorrow.

    `today` is the shop's present day unless given. Raises `HistoryError` where the history holds no order.
    """
    newest = history.manifest.last_order_days
    if newest is None:
        raise HistoryError("the history holds no order; load one with `make data FILE=orders.csv` first")
    zone = ZoneInfo(time_zone)
    newest_date = instant_of(newest).astimezone(zone).date()
    return min(newest_date, today or datetime.now(zone).date()) + timedelta(days=1)


def read_as_of(text: str | None, history: History, time_zone: str, *, today: date | None = None) -> date:
    """Return the date asked for (ISO text), or `default_as_of`.

    Raises `AsOfError` for a text that is no date, and for a date after tomorrow that no order reaches: what
    has not happened yet would count as silence.
    """
    newest = default_as_of(history, time_zone, today)
    if text is None:
        return newest
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise AsOfError(f"AS_OF={text} is no date; write it as 2026-11-22") from None
    latest = max(newest, (today or datetime.now(ZoneInfo(time_zone)).date()) + timedelta(days=1))
    if day > latest:
        raise AsOfError(f"AS_OF={day} lies in the future; the latest date that can be asked for is {latest}")
    return day


def propose_headline_days(history: History, snapshot: Snapshot) -> int:
    """Propose how many silent days shall mean churn in this shop (see `headline_for`)."""
    return headline_for(read_return_gaps(history, snapshot))


def read_return_gaps(history: History, snapshot: Snapshot) -> ReturnGaps:
    """Measure the gaps between customers' order days that were over before the snapshot."""
    return return_gaps_of(read_order_days(history, snapshot))


def read_order_days(history: History, snapshot: Snapshot) -> pl.DataFrame:
    """Read what gaps and silences are made of: a row per customer and day with an order.

    Columns `rank`, `gap_days`, `oldest_order`, `recency`, as `features.orders.order_days` describes them.
    """
    # A bucket at a time: the lines of a large shop do not fit into memory, these narrow rows do.
    found: list[pl.DataFrame] = []
    for bucket in range(history.manifest.bucket_count):
        days = order_days(known_sales(history, snapshot, buckets=[bucket]), snapshot)
        rows = days.select("rank", "gap_days", "oldest_order", "recency").collect("polars")
        found.append(rows.to_native())
    return pl.concat(found)


def return_gaps_of(rows: pl.DataFrame) -> ReturnGaps:
    """Measure the gaps in rows of `read_order_days`."""
    gaps = rows["gap_days"].drop_nulls()
    p95 = gaps.quantile(0.95, interpolation="higher") if len(gaps) else None
    median = gaps.median() if len(gaps) else None
    oldest = rows["oldest_order"].max() if len(rows) else None
    return ReturnGaps(
        count=len(gaps),
        median_days=None if median is None else float(str(median)),
        p95_days=p95,
        history_days=float(str(oldest or 0.0)),
    )


def headline_for(gaps: ReturnGaps, *, grid_days: Sequence[int] = HEADLINE_GRID_DAYS) -> int:
    """Return the smallest horizon of the grid that 95 % of the shop's gaps fit into.

    A horizon longer than a third of the history cannot be learnt and tested, so the longest one that is not
    stands for it; the shortest of the grid where none is. A later release refines this with the return curve.

    >>> headline_for(ReturnGaps(count=900, median_days=12.0, p95_days=71.0, history_days=600.0))
    90
    >>> headline_for(ReturnGaps(count=900, median_days=12.0, p95_days=71.0, history_days=200.0))
    60
    """
    learnable = [days for days in sorted(grid_days) if days <= gaps.history_days / 3]
    if not learnable:
        return min(grid_days)
    wanted = float("inf") if gaps.p95_days is None else gaps.p95_days
    return next((days for days in learnable if days >= wanted), learnable[-1])


def known_sales(history: History, snapshot: Snapshot, *, buckets: Sequence[int] | None = None) -> Frame:
    """Return the ledger rows known at a snapshot, with `days_ago`; categories are left out."""
    lines = history.scan("order_lines", buckets=buckets).select(*LINE_COLUMNS)
    return known_rows(ledger_rows(lines.with_columns(nw.lit(None).alias("category")).collect()), snapshot)
