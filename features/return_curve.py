"""The chance of coming back after d silent days, and the window after which a shop may stop waiting.

Every order day of a customer begins a silence. It ends with the next order day, or is still open at the
snapshot; open ones are censored, not taken for departures (Kaplan, Meier 1958). With S(d) the share of
silences that last longer than d days, the chance of coming back within w more days is 1 - S(d + w) / S(d).
"""

from dataclasses import dataclass

import narwhals as nw
import numpy as np
import numpy.typing as npt
import polars as pl

from features.cohort import read_order_days
from features.history import History
from features.snapshot import Snapshot

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Nobody waits longer than a year for a customer, and no curve is read where fewer silences reach.
PATIENCE_DAYS_MAX = 365
_SILENCES_MIN = 30


@dataclass(frozen=True, slots=True)
class ReturnCurve:
    """S(d) for d = 0, 1, … days, and how many silences were watched that long.

    `silent_shares[d]`   S(d), from S(0) = 1
    `watched_counts[d]`  silences that had neither ended nor been cut off before day d
    """

    silent_shares: Floats
    watched_counts: Ints

    @classmethod
    def fit(cls, ended_days: Ints, open_days: Ints) -> "ReturnCurve":
        """Fit to silences that ended with an order after so many days, and to those open for so many.

        >>> curve = ReturnCurve.fit(np.array([1, 2, 2]), np.array([5]))
        >>> curve.silent_shares.tolist()
        [1.0, 0.75, 0.25, 0.25, 0.25, 0.25]
        """
        longest = int(max(ended_days.max(initial=0), open_days.max(initial=0)))
        ended = np.bincount(ended_days, minlength=longest + 1)
        cut = np.bincount(open_days, minlength=longest + 1)
        left = np.concatenate([[0], np.cumsum(ended + cut)[:-1]])
        watched = len(ended_days) + len(open_days) - left
        stays = 1.0 - ended / np.maximum(watched, 1)
        return cls(np.cumprod(stays), watched.astype(np.int64))

    @property
    def reach_days(self) -> int:
        """The longest silence that enough were watched for, 0 where there never were."""
        return max(0, int((self.watched_counts >= _SILENCES_MIN).sum()) - 1)

    @property
    def patience_days(self) -> int:
        """How long a return is waited for: a year, or half of what the history shows."""
        return min(PATIENCE_DAYS_MAX, self.reach_days // 2)

    def coming_back(self, silent_days: int, *, within_days: int) -> float | None:
        """Return P(order within so many more days | silent so far), None beyond what the history shows."""
        until = silent_days + within_days
        if until > self.reach_days or self.silent_shares[silent_days] <= 0:
            return None
        return float(1.0 - self.silent_shares[until] / self.silent_shares[silent_days])

    @property
    def returned_share(self) -> float:
        """The share of silences that end within `reach_days`; 0 where nothing can be read."""
        return float(1.0 - self.silent_shares[self.reach_days])

    def days_until(self, share: float) -> int | None:
        """Return the silence within which such a share of all who come back have come back, None if nobody.

        All who come back are those who do so within `reach_days`. Open silences are cut off, so that long
        gaps count for what they are; among the gaps that are over there are too few of them.
        """
        if not self.returned_share:
            return None
        reached = 1.0 - self.silent_shares[: self.reach_days + 1] >= share * self.returned_share - 1e-12
        return int(np.argmax(reached))

    def window_days(self, *, chance: float) -> int | None:
        """Return the shortest silence after which coming back is less likely than `chance`, None if none."""
        within = self.patience_days
        if within == 0:
            return None
        for days in range(self.reach_days - within + 1):
            found = self.coming_back(days, within_days=within)
            if found is not None and found < chance:
                return days
        return None


def read_return_curve(history: History, snapshot: Snapshot) -> ReturnCurve:
    """Measure a shop's curve from the order days known at a snapshot."""
    return return_curve_of(read_order_days(history, snapshot))


def read_category_curves(history: History, snapshot: Snapshot, *, count: int) -> dict[str, ReturnCurve]:
    """Measure the curve of each of the most bought categories: from one purchase of it to the next."""
    lines = history.scan("order_lines").select("customer_id", "product_id", "ordered_days", "is_return")
    products = history.scan("products").select("product_id", "category").filter(~nw.col("category").is_null())
    known = lines.filter(~nw.col("is_return"), nw.col("ordered_days") < snapshot.end_days)
    ago = (nw.lit(snapshot.end_days) - nw.col("ordered_days")).ceil().cast(nw.Int64)
    bought = known.join(products, on="product_id", how="inner").with_columns(ago.alias("days_ago"))
    pairs = bought.select("category", "customer_id", "days_ago").unique().collect("polars").to_native()
    largest = pairs.group_by("category").len().sort("len", "category", descending=[True, False]).head(count)
    return {
        category: return_curve_of(_silences(pairs.filter(pl.col("category") == category)))
        for category in largest["category"]
    }


def _silences(days: pl.DataFrame) -> pl.DataFrame:
    ordered = days.sort("customer_id", "days_ago")
    older = pl.col("days_ago").shift(-1).over("customer_id")
    return ordered.select(
        pl.col("days_ago").rank("ordinal").over("customer_id").alias("rank"),
        (older - pl.col("days_ago")).alias("gap_days"),
        pl.col("days_ago").min().over("customer_id").alias("recency"),
    )


def return_curve_of(rows: pl.DataFrame) -> ReturnCurve:
    """Measure the curve of rows of `features.cohort.read_order_days`: `rank`, `gap_days`, `recency`."""
    ended = rows["gap_days"].drop_nulls().round().cast(pl.Int64).to_numpy()
    still_open = rows.filter(pl.col("rank") == 1)["recency"].floor().cast(pl.Int64).to_numpy()
    return ReturnCurve.fit(ended.astype(np.int64), still_open.astype(np.int64))
