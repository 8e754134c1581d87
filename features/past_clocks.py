"""Where the clocks of every customer stood at several dates, from one pass over the history.

Features tell the clocks of one snapshot. This tells those of many by the same definitions, and builds no
snapshot for any of them: every order day of a customer is written down once, beside the one before and the
one after it. Known at a date are the order days before it; the newest of these is the one whose next is not.

What was known is told by the history as it is now: an order that was loaded late counts from its own day on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import narwhals as nw
import polars as pl

from features.build import bucket_groups
from features.cohort import ReturnGaps, return_gaps_of
from features.fully_churned import FullyChurned, find_fully_churned
from features.history import History
from features.order_times import iterate_order_times
from features.orders import event_rows
from features.return_curve import return_curve_of
from features.settings import Engine
from features.snapshot import Snapshot

_DAY_MICROSECONDS: Final = 86_400_000_000
_HALF_MICROSECOND_DAYS: Final = 0.5 / _DAY_MICROSECONDS
_GAP_DIGITS: Final = 2

CLOCKS: Final = (
    "order_count",
    "recency_days",
    "tenure_days",
    "last_gap_days",
    "average_days_between_orders",
    "act_recency_days",
)
"""What is told of a customer at a date; the names are those of the features and of a score."""


@dataclass(frozen=True, slots=True)
class ClocksAt:
    """The customers of a shop at a date, and how long they usually stayed away by then.

    `customers`      one row per customer who had ordered, sorted: `customer_id` and `CLOCKS`
    `gaps`           the gaps between order days that were over by then
    `fully_churned`  after how long a silence customers had left for good
    """

    snapshot: Snapshot
    customers: pl.DataFrame
    gaps: ReturnGaps
    fully_churned: FullyChurned


def read_past_clocks(
    history: History, snapshots: Sequence[Snapshot], *, engine: Engine
) -> Iterator[ClocksAt]:
    """Yield the clocks at each of the snapshots, in their order; the history is read once, in parts.

    The order days of the whole shop are held in memory, some buckets to a frame: a row for each, not for each
    order line.
    """
    newest = max(snapshots, key=lambda each: each.end_days)
    whole = Snapshot(newest.date, newest.time_zone)
    orders = list(iterate_order_times(history, whole, engine=engine))
    acts = list(_iterate_last_acts(history, snapshots, engine=engine))
    kept: tuple[object, _OrderDays] | None = None
    for number, snapshot in enumerate(snapshots):
        key = _alignment(snapshot)
        if kept is None or kept[0] != key:
            kept = None  # both would be a shop's order days twice
            kept = key, _OrderDays([_order_days(part, snapshot) for part in orders], snapshot.end_days)
        act_days = pl.col(f"act_{number}").alias("act_days")
        last_acts = [part.select("customer_id", act_days) for part in acts]
        yield _clocks_at(kept[1], last_acts, snapshot)


@dataclass(frozen=True, slots=True)
class _OrderDays:
    """Order days counted from `end_days`: day -1 is the last before it, day 0 the first after it.

    `parts` are those of some buckets each, all orders of a customer in one, sorted by customer and day:
    `customer_id`, `day`, `oldest_days` and `newest_days` (the day's first and last order, since 1970),
    `order_count` (all orders until its end), `first_days` (the customer's first order), `gap_days` (since the
    order day before; null on the first), `next_day` (null on the last).
    """

    parts: list[pl.DataFrame]
    end_days: float


def _alignment(snapshot: Snapshot) -> object:
    """Return what snapshots share that cut time into the same days, and look back to the same beginning."""
    if snapshot.observation_days is not None:
        return snapshot
    return round(snapshot.end_days % 1 * _DAY_MICROSECONDS)


def _order_days(orders: pl.DataFrame, snapshot: Snapshot) -> pl.DataFrame:
    """Write down the order days; with an observation window, those inside it alone."""
    end, at = snapshot.end_days, pl.col("ordered_days")
    if snapshot.start_days is not None:
        orders = orders.filter(at >= snapshot.start_days, at < end)
    day = -(pl.lit(end) - at - _HALF_MICROSECOND_DAYS).ceil().cast(pl.Int32)
    by_day = (
        orders.lazy()
        .group_by("customer_id", day.alias("day"))
        .agg(
            at.min().alias("oldest_days"),
            at.max().alias("newest_days"),
            pl.len().cast(pl.Int64).alias("orders"),
        )
        .sort("customer_id", "day")
    )
    customer = pl.col("customer_id")
    is_first, is_last = customer.ne_missing(customer.shift(1)), customer.ne_missing(customer.shift(-1))
    so_far = pl.col("orders").cum_sum()
    # What all customers before had ordered, carried on from each customer's first row.
    before = pl.when(is_first).then(so_far - pl.col("orders")).forward_fill()
    rows = by_day.with_columns(
        (so_far - before).cast(pl.Int32).alias("order_count"),
        pl.when(is_first).then(pl.col("oldest_days")).forward_fill().alias("first_days"),
        pl.when(~is_first).then(pl.col("day") - pl.col("day").shift(1)).alias("gap_days"),
        pl.when(~is_last).then(pl.col("day").shift(-1)).alias("next_day"),
    )
    return rows.drop("orders").collect()


def _clocks_at(days: _OrderDays, last_acts: Sequence[pl.DataFrame], snapshot: Snapshot) -> ClocksAt:
    edge = round(snapshot.end_days - days.end_days)
    customers, silences = [], []
    # Both were read by the same groups of buckets.
    for part, acts in zip(days.parts, last_acts, strict=True):
        known = part.filter(pl.col("day") < edge)
        is_newest = (pl.col("next_day") >= edge).fill_null(value=True)
        silences.append(_silences_of(known, is_newest, snapshot))
        newest = known.filter(is_newest)
        customers.append(_customers_of(newest, acts, snapshot))
    over = pl.concat(silences)
    gaps, gone = return_gaps_of(over), find_fully_churned(return_curve_of(over))
    return ClocksAt(snapshot, pl.concat(customers).sort("customer_id"), gaps, gone)


def _silences_of(known: pl.DataFrame, is_newest: pl.Expr, snapshot: Snapshot) -> pl.DataFrame:
    end = pl.lit(snapshot.end_days)
    return known.select(
        pl.when(is_newest).then(1).otherwise(2).cast(pl.Int8).alias("rank"),
        "gap_days",
        (end - pl.col("oldest_days")).alias("oldest_order"),
        (end - pl.col("newest_days")).alias("recency"),
    )


def _customers_of(newest: pl.DataFrame, last_acts: pl.DataFrame, snapshot: Snapshot) -> pl.DataFrame:
    """Return `customer_id` and `CLOCKS` of the newest order days of customers."""
    end, orders = pl.lit(snapshot.end_days), pl.col("order_count")
    own_gap = (pl.col("newest_days") - pl.col("first_days")) / (orders - 1)
    acted = (end - pl.col("act_days") - _HALF_MICROSECOND_DAYS).ceil()
    return newest.join(last_acts, on="customer_id", how="left", maintain_order="left").select(
        "customer_id",
        orders.cast(pl.Int64),
        (end - pl.col("newest_days")).alias("recency_days"),
        (end - pl.col("first_days")).alias("tenure_days"),
        pl.col("gap_days").cast(pl.Float64).alias("last_gap_days"),
        pl.when(orders > 1).then(own_gap.round(_GAP_DIGITS)).alias("average_days_between_orders"),
        acted.alias("act_recency_days"),
    )


def _iterate_last_acts(
    history: History, snapshots: Sequence[Snapshot], *, engine: Engine
) -> Iterator[pl.DataFrame]:
    """Yield each customer's newest act before each snapshot: days since 1970, in `act_0`, `act_1` and on."""
    at = nw.col("ordered_days")
    for buckets in bucket_groups(history):
        acts = event_rows(history.scan("events", engine=engine, buckets=buckets)).filter(
            nw.col("act_count") > 0
        )
        newest = []
        for number, snapshot in enumerate(snapshots):
            is_known = at < snapshot.end_days
            if snapshot.start_days is not None:
                is_known = is_known & (at >= snapshot.start_days)
            newest.append(nw.when(is_known).then(at).max().cast(nw.Float64).alias(f"act_{number}"))
        yield acts.group_by("customer_id").agg(*newest).collect("polars").to_native()
