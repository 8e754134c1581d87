"""Monthly cohorts: of those whose first order fell into one month, who ordered in each month after it.

A month that is not over yet is marked, since a share that can still grow is no drop; so is a cohort whose
month goes on, and one that began so soon after the history that some of it may be older customers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import polars as pl

from features.order_times import Months
from features.snapshot import Snapshot, local_midnight_days

# Of fewer, one customer more or less moves a share by more than three points.
READABLE_MIN: Final = 30
MONTHS_MAX: Final = 36

CellStatus = Literal["ok", "unfinished", "too_few"]


@dataclass(frozen=True, slots=True)
class CohortCell:
    """How many of a cohort ordered in one month, `months_since` months after that of the first order.

    `unfinished`  the month is not over: the count can only grow, so it is no drop
    `too_few`     fewer customers than can be read: no share
    """

    months_since: int
    customer_count: int
    ordered_count: int
    share: float | None
    status: CellStatus


@dataclass(frozen=True, slots=True)
class Cohort:
    """The customers whose first order fell into one month (`2026-01`), and their months since.

    `is_whole` is False while the month goes on. `may_be_older`: the month begins within the lead-in, so some
    may have been customers before the history began (`features.first_days`).
    """

    month: str
    customer_count: int
    is_whole: bool
    may_be_older: bool
    cells: tuple[CohortCell, ...]


@dataclass(frozen=True, slots=True)
class CohortTable:
    """Cohorts from the oldest shown to the newest, and all of them together.

    `together` has a cell per number of months since; it counts only cohorts for which that month is over.
    `customer_count_min` are the customers below whom a cell is too few to read.
    """

    cohorts: tuple[Cohort, ...]
    together: tuple[CohortCell, ...]
    customer_count_min: int


def count_cohorts(times: pl.DataFrame, months: Months) -> pl.DataFrame:
    """Count customers by cohort: columns `cohort`, `month` (numbers of `months`) and `customer_count`.

    `times` has a row per order: `customer_id` and `ordered_days`. A cohort's own month counts all of it.
    """
    numbers = months.numbers(times["ordered_days"]).alias("month")
    ordered = times.select("customer_id", numbers).unique()
    first = pl.col("month").min().over("customer_id").alias("cohort")
    return ordered.with_columns(first).group_by("cohort", "month").agg(customer_count=pl.len().cast(pl.Int64))


@dataclass(frozen=True, slots=True)
class _Grid:
    """Counts by (cohort, month), the first month that is not over, and how few are too few."""

    found: dict[tuple[int, int], int]
    open_month: int
    customer_count_min: int

    def cell(self, cohorts: Sequence[int], since: int) -> CohortCell:
        """Return the cell of some cohorts together, so many months after their first."""
        customers = sum(self.found[cohort, cohort] for cohort in cohorts)
        ordered = sum(self.found.get((cohort, cohort + since), 0) for cohort in cohorts)
        if customers < self.customer_count_min:
            return CohortCell(since, customers, ordered, None, "too_few")
        is_over = all(cohort + since < self.open_month for cohort in cohorts)
        return CohortCell(since, customers, ordered, ordered / customers, "ok" if is_over else "unfinished")


def build_cohort_table(
    counts: pl.DataFrame,
    months: Months,
    *,
    snapshot: Snapshot,
    lead_in_until: float,
    customer_count_min: int = READABLE_MIN,
    months_max: int = MONTHS_MAX,
) -> CohortTable:
    """Lay out `count_cohorts` (parts of a shop may stand below one another) as a table.

    `lead_in_until` is in days since 1970-01-01 UTC; of cohorts, those of the newest `months_max` months are
    shown. Months in which nobody first ordered have no row.
    """
    summed = counts.group_by("cohort", "month").agg(pl.col("customer_count").sum())
    count = len(months.names)
    # The newest month is over where the snapshot is the first day after it.
    open_month = count if not count or months.starts[-1] <= snapshot.date else count - 1
    found = {(cohort, month): customers for cohort, month, customers in summed.iter_rows()}
    grid = _Grid(found, open_month, customer_count_min)
    shown = [number for number in range(max(0, count - months_max), count) if (number, number) in found]
    cohorts = tuple(
        Cohort(
            month=months.names[number],
            customer_count=found[number, number],
            is_whole=number < open_month,
            may_be_older=local_midnight_days(months.starts[number], months.time_zone) < lead_in_until,
            cells=tuple(grid.cell([number], since) for since in range(1, count - number)),
        )
        for number in shown
    )
    reach = range(1, open_month - min(shown, default=count))
    known = {since: [number for number in shown if number + since < open_month] for since in reach}
    together = tuple(grid.cell(numbers, since) for since, numbers in known.items())
    return CohortTable(cohorts, together, customer_count_min)
