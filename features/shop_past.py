"""The whole shop at any past snapshot, from one pass over its parts of which none is kept.

`features.shop` measures a shop at one snapshot, on every customer's rows. Where only a sample of customers is
kept, what is usual in the shop must be known all the same: this keeps how often each gap and each order value
was seen on each day, so that the same medians come out at every snapshot.
"""

from datetime import timedelta

import narwhals as nw
import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.build import Part
from features.engines import keep
from features.orders import Frame, known_rows, order_days
from features.shop import ShopFacts
from features.snapshot import Snapshot, instant_of

_MEASURES = ("gap_days", "gross_minor")
_YEAR_DAYS = 366


class ShopPast:
    """What `features.build.measure_shop` finds at a snapshot that observes all history, for any snapshot.

    Days are those of the shop's time zone, whose offset moves with the season: counts are kept for each.
    """

    def __init__(self, *, time_zone: str, last_order_days: float) -> None:
        self._after = _snapshots_after(last_order_days, time_zone)
        self._seen: dict[tuple[float, str], list[pl.DataFrame]] = {}
        self._first_days: dict[str, float] = {}
        self._instants: list[pl.Series] = []

    def add(self, part: Part) -> None:
        """Count the rows of a part; every part of the shop is added once."""
        ledger, events = part.scan(part.ledger), part.scan(part.events)
        for rows in (ledger, events):
            for name, first in _first_filled(rows).items():
                self._first_days[name] = min(first, self._first_days.get(name, np.inf))
        for fraction, after in self._after.items():
            days = part.scan(keep(order_days(known_rows(ledger, after), after), engine=part.engine))
            for name in _MEASURES:
                counts = days.group_by("days_ago", name).agg(nw.len().cast(nw.Int64).alias("count"))
                kept = counts.filter(~nw.col(name).is_null()).collect("polars").to_native()
                self._seen.setdefault((fraction, name), []).append(
                    kept.with_columns(pl.col(name).cast(pl.Int64))
                )
        self._instants.append(_first_instants(ledger))

    def knows(self, snapshot: Snapshot) -> bool:
        """Say whether `at` can answer: the whole history is observed, at a midnight of a known offset."""
        return snapshot.observation_days is None and _fraction(snapshot) in self._after

    def at(self, snapshot: Snapshot) -> ShopFacts:
        """Return the facts of the shop at a snapshot; see `knows`."""
        fraction = _fraction(snapshot)
        later = round(self._after[fraction].end_days - snapshot.end_days)
        gap, value = (self._median(fraction, name, later) for name in _MEASURES)
        recorded = {name for name, first in self._first_days.items() if first < snapshot.end_days}
        return ShopFacts(gap, value, frozenset(recorded))

    def order_days(self) -> NDArray[np.float64]:
        """Return the first instant of every UTC day with an order, in days since 1970-01-01 UTC, sorted."""
        instants = pl.concat(self._instants).sort()
        return instants.filter(instants.floor().is_first_distinct()).to_numpy()

    def _median(self, fraction: float, name: str, later: int) -> float | None:
        seen = pl.concat(self._seen[fraction, name])
        counts = seen.filter(pl.col("days_ago") > later).group_by(name).agg(pl.col("count").sum()).sort(name)
        return median_of_counts(counts[name].to_numpy(), counts["count"].to_numpy())


def median_of_counts(values: NDArray[np.int64], counts: NDArray[np.int64]) -> float | None:
    """Return the median of values (rising) of which each occurs so many times; None of none.

    >>> median_of_counts(np.array([1, 5, 9]), np.array([1, 1, 2]))
    7.0
    """
    until = np.cumsum(counts)
    if not len(until):
        return None
    total = int(until[-1])
    low, high = np.searchsorted(until, [(total - 1) // 2, total // 2], side="right")
    return (float(values[low]) + float(values[high])) / 2


def _snapshots_after(last_order_days: float, time_zone: str) -> dict[float, Snapshot]:
    """Return a snapshot after all orders for every part of a UTC day at which the shop's days begin."""
    first = instant_of(last_order_days).date() + timedelta(days=2)
    found: dict[float, Snapshot] = {}
    for number in range(0, _YEAR_DAYS, 7):
        snapshot = Snapshot(first + timedelta(days=number), time_zone)
        found.setdefault(_fraction(snapshot), snapshot)
    return found


def _fraction(snapshot: Snapshot) -> float:
    return round(snapshot.end_days % 1.0, 6)


def _first_filled(rows: Frame) -> dict[str, float]:
    """Return when each count column first held anything; columns that never did are left out."""
    names = [name for name in rows.collect_schema().names() if name.endswith(("_count", "_minor"))]
    days = nw.col("ordered_days")
    firsts = rows.select(nw.when(nw.col(name) != 0).then(days).min().alias(name) for name in names)
    row = firsts.collect("polars").to_native().row(0, named=True)
    return {name: float(first) for name, first in row.items() if first is not None}


def _first_instants(ledger: Frame) -> pl.Series:
    """Return the first instant with an order of every UTC day of a part."""
    opened = ledger.filter(nw.col("order_count") > 0).with_columns(
        nw.col("ordered_days").floor().alias("day")
    )
    found: pl.DataFrame = (
        opened.group_by("day").agg(nw.col("ordered_days").min()).collect("polars").to_native()
    )
    return found["ordered_days"]
