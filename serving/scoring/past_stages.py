"""The stages of all customers at earlier dates: some days before a run, and month by month.

A stage asks for the risk band, which only a model tells, and no model of today may judge the past that it
learnt from. So what is compared are *clock stages*, now as then: the rules of `serving.scoring.stages` that
need no model. Nobody is `at_risk` by them; whoever is so by the model has the stage that comes next.

What was known then is told by the history as it is now: the same orders give the same answer in every run.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final, Self

import polars as pl

from features.cohort import ReturnGaps
from features.history import History
from features.past_clocks import ClocksAt, read_past_clocks
from features.settings import LifecycleSettings, Settings
from features.snapshot import Snapshot, add_months, local_midnight_days
from features.suppression import NOBODY, Suppressed
from serving.scoring.stages import STAGES, StageCuts, lifecycle_stage

MONTHS: Final = 12
_STAGE: Final = pl.Enum(list(STAGES))


@dataclass(frozen=True, slots=True)
class PastStages:
    """The clock stages of all customers at several dates, and the shop's windows at the newest of them.

    `gaps`, `cuts`  how long customers stay away at the run's own date, and what its stages are told by
    `stages`        a row per customer of the run, sorted: `customer_id`, and a column a date (ISO), null
                    before the first order
    `before`        the date that lies `moves.before_days` before the run's
    `counts`        of the starts of up to twelve months, then of the run's own date: `date`, `customer_count`
                    and `stages` (how many had each), nobody's id
    """

    gaps: ReturnGaps
    cuts: StageCuts
    stages: pl.DataFrame
    before: date
    counts: list[dict[str, Any]]

    def of(self, customer_ids: pl.Series) -> Self:
        """Return the same of some customers alone, from the least of the ids to the greatest."""
        known, first, last = self.stages["customer_id"], customer_ids.min(), customer_ids.max()
        if first is None or last is None:
            return replace(self, stages=self.stages.clear())
        begin = known.search_sorted(str(first), side="left")
        end = known.search_sorted(str(last), side="right")
        return replace(self, stages=self.stages.slice(begin, end - begin))

    @property
    def monthly(self) -> pl.DataFrame:
        """Return `customer_id` and the stages on the dates of `counts`, a column each."""
        return self.stages.select("customer_id", *(each["date"] for each in self.counts))

    def at(self, day: date) -> pl.DataFrame:
        """Return `customer_id` and `clock_stage` at one of the dates."""
        return self.stages.select("customer_id", pl.col(day.isoformat()).cast(pl.String).alias("clock_stage"))


def stages_found(days: Sequence[str], stages: Sequence[str | None]) -> list[tuple[str, str]]:
    """Return the days on which another stage was found, and which.

    >>> stages_found(["2026-05-01", "2026-06-01", "2026-07-01"], [None, "new", "new"])
    [('2026-06-01', 'new')]
    """
    found, last = list[tuple[str, str]](), None
    for day, stage in zip(days, stages, strict=True):
        if stage is not None and stage != last:
            found.append((day, stage))
            last = stage
    return found


def before_of(snapshot: Snapshot, settings: Settings) -> Snapshot:
    """Return the snapshot `moves.before_days` before a run's."""
    return snapshot.shifted(-settings.moves.before_days)


def month_starts(snapshot: Snapshot, *, first_days: float | None) -> tuple[date, ...]:
    """Return the firsts of the last twelve months that had a customer, and the snapshot's own date last.

    `first_days` is the first order of all, in days since 1970-01-01 UTC.
    """
    newest = snapshot.date.replace(day=1)
    starts = [add_months(newest, -number) for number in reversed(range(MONTHS))]
    known = [
        start
        for start in starts
        if first_days is not None
        and local_midnight_days(start, snapshot.time_zone) > first_days
        and start != snapshot.date
    ]
    return (*known, snapshot.date)


def read_past_stages(
    history: History,
    snapshot: Snapshot,
    *,
    settings: Settings,
    headline_days: int,
    suppressed: Suppressed = NOBODY,
) -> PastStages:
    """Tell the stages at a run's date, before it, and month by month; the history is read once.

    The suppressed are in no stage; their gaps count among the shop's, as they do everywhere.
    """
    months = month_starts(snapshot, first_days=history.manifest.first_order_days)
    before = before_of(snapshot, settings).date
    # The newest first: it knows everybody whom a customer's row is asked of.
    days = sorted({before, *months}, reverse=True)
    snapshots = [Snapshot(day, snapshot.time_zone, snapshot.observation_days) for day in days]
    told, found, gone = list[pl.DataFrame](), list[ClocksAt](), set[str]()
    for clocks in read_past_clocks(history, snapshots, engine=settings.features.engine):
        if not found or snapshot.observation_days is not None:  # else the newest has everybody
            gone |= suppressed.among(clocks.customers["customer_id"])
        told.append(_stages_at(clocks, settings.lifecycle, headline_days=headline_days, gone=gone))
        found = found or [clocks]
    stages = told[0]
    for earlier in told[1:]:
        stages = stages.join(earlier, on="customer_id", how="left", maintain_order="left")
    by_day = dict(zip(days, told, strict=True))
    counts = [_count(day, by_day[day]) for day in months]
    return PastStages(found[0].gaps, _cuts_at(found[0], settings.lifecycle), stages, before, counts)


def clock_stages(
    rows: pl.DataFrame, cuts: StageCuts, *, lapsed_after_days: float | None, headline_days: int
) -> pl.DataFrame:
    """Return `customer_id` and `clock_stage` of rows with all that stages are told by but the risk band."""
    known = rows.with_columns(
        (pl.col("recency_days") > pl.lit(lapsed_after_days, dtype=pl.Float64)).alias("lapsed"),
        pl.lit(None, dtype=pl.String).alias("risk_band"),
    )
    stage = lifecycle_stage(cuts, lapsed_after_days=lapsed_after_days, headline_days=headline_days)
    return known.select("customer_id", stage.alias("clock_stage"))


def _cuts_at(clocks: ClocksAt, rule: LifecycleSettings) -> StageCuts:
    gone = clocks.fully_churned.span.mean_days
    return StageCuts(usual_gap_days=clocks.gaps.median_days, fully_churned_days=gone, rule=rule)


def _stages_at(
    clocks: ClocksAt, rule: LifecycleSettings, *, headline_days: int, gone: set[str]
) -> pl.DataFrame:
    rows = clocks.customers.with_columns(pl.col("order_count").alias("historic_number_of_orders"))
    rows = rows.filter(~pl.col("customer_id").is_in(list(gone))) if gone else rows
    stages = clock_stages(
        rows,
        _cuts_at(clocks, rule).with_orders(rows["order_count"]),
        lapsed_after_days=clocks.gaps.p95_days,
        headline_days=headline_days,
    )
    named = pl.col("clock_stage").cast(_STAGE).alias(clocks.snapshot.date.isoformat())
    return stages.select("customer_id", named)


def _count(day: date, stages: pl.DataFrame) -> dict[str, Any]:
    sizes = dict(stages[day.isoformat()].cast(pl.String).value_counts().rows())
    known = {stage: sizes[stage] for stage in STAGES if stage in sizes}
    return {"date": day.isoformat(), "customer_count": stages.height, "stages": known}
