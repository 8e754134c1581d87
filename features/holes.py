"""Stretches of days without any order that chance does not explain: missing data, or a shop that was closed.

With orders on n + 1 days, m days apart on average without the gap in question, chance makes some gap of g
days or more with probability up to n exp(-g / m).
"""

from dataclasses import dataclass
from datetime import date

import narwhals as nw
import numpy as np
import numpy.typing as npt
import polars as pl

from features.history import History
from features.snapshot import Snapshot, instant_of

Floats = npt.NDArray[np.float64]

# A stretch of a week or less is a holiday; fewer gaps than these say little of what is usual.
_DAYS_MIN = 7
_GAPS_MIN = 20
_CHANCE_MAX = 0.001


@dataclass(frozen=True, slots=True)
class Hole:
    """A stretch without orders: after the day `last_before`, until the day `first_after`.

    Days since 1970-01-01 UTC; `usual_days` lie between two days with orders elsewhere.
    """

    last_before: float
    first_after: float
    usual_days: float

    @property
    def day_count(self) -> float:
        """How long it was until the next order."""
        return self.first_after - self.last_before

    @property
    def dates(self) -> tuple[date, date]:
        """The UTC dates of the orders before and after."""
        return instant_of(self.last_before).date(), instant_of(self.first_after).date()

    def overlap_days(self, start_days: float, end_days: float) -> float:
        """Return how many days of a window `[start, end)` lie inside.

        >>> Hole(10.0, 40.0, 1.0).overlap_days(30.0, 60.0)
        10.0
        """
        return max(0.0, min(end_days, self.first_after) - max(start_days, self.last_before + 1.0))


def read_holes(history: History, snapshot: Snapshot) -> list[Hole]:
    """Return the holes in the orders known at a snapshot, the longest first."""
    is_known = ~nw.col("is_return") & (nw.col("ordered_days") < snapshot.end_days)
    parts = list[pl.DataFrame]()
    for bucket in range(history.manifest.bucket_count):
        sold = history.scan("order_lines", buckets=[bucket]).filter(is_known)
        parts.append(sold.select(nw.col("ordered_days").floor()).unique().collect("polars").to_native())
    return find_holes(pl.concat(parts)["ordered_days"].to_numpy())


def find_holes(order_days: Floats) -> list[Hole]:
    """Return the holes in the days on which a shop had orders (instants will do), the longest first.

    >>> days = np.concatenate([np.arange(0.0, 50.0), np.arange(90.0, 140.0)])
    >>> [(hole.last_before, hole.first_after) for hole in find_holes(days)]
    [(49.0, 90.0)]
    """
    days = np.unique(np.floor(order_days))
    gaps = np.diff(days)
    if len(gaps) < _GAPS_MIN:
        return []
    others = (gaps.sum() - gaps) / (len(gaps) - 1)
    unlikely = len(gaps) * np.exp(-gaps / others) < _CHANCE_MAX
    places = np.flatnonzero(unlikely & (gaps > _DAYS_MIN))
    longest = places[np.argsort(-gaps[places], kind="stable")]
    return [Hole(float(days[at]), float(days[at + 1]), float(others[at])) for at in longest]
