"""Retention and churn as the trade counts them, of a whole shop: rates, periods and monthly cohorts.

Four numbers with one name in common, each with its own definition:

    retention rate    (customers at the end − new ones) ÷ customers at the start
    repurchase        of everybody who had ordered before a period, who ordered within it; whoever came new
                      within it counts nowhere
    churn of d days   of those who ordered within the d days before D − d, who did not within the d since
    cohorts           of those whose first order fell into one month, who ordered in each month after it

Days and months are those of the shop's time zone, half open. All history counts, also where features look at
a window of it: the first order inside a window is not the customer's first.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

import polars as pl

from features.cohort import read_return_gaps
from features.cohort_table import MONTHS_MAX, READABLE_MIN, CohortTable, build_cohort_table, count_cohorts
from features.history import History
from features.order_times import Months, iterate_order_times
from features.settings import Settings
from features.shares import Share
from features.snapshot import Snapshot, add_months, local_midnight_days

CHURN_DAYS: Final = (30, 90, 180, 365)
HEADLINE_CHURN_DAYS: Final = 90
PERIOD_MONTHS: Final = (1, 2, 3, 6, 12)


@dataclass(frozen=True, slots=True)
class Repurchase:
    """Of those who had ordered before `start_date`, who ordered again in `[start_date, end_date)`.

    `new_count` came for the first time within the period and count nowhere. Dates are ISO text.
    """

    start_date: str
    end_date: str
    repurchased: Share
    new_count: int


@dataclass(frozen=True, slots=True)
class ChurnRate:
    """Churn of so many days: of those active at D − days, who has not ordered since.

    Active on a day is who ordered within `days` before it. `start_count` were active at D − days, `end_count`
    are at D; of these `new_count` ordered for the first time since, and `won_back_count` had been silent
    for longer. `retention_rate` is the formula of the trade on these counts, those won back among the new
    ones: 1 − churn. Where `reason` is not None there is no rate: `history_too_short` where the history does
    not reach back to D − 2 × days, `nobody_active`.
    """

    days: int
    churned: Share
    start_count: int
    end_count: int
    new_count: int
    won_back_count: int
    retention_rate: float | None
    reason: Literal["history_too_short", "nobody_active"] | None


@dataclass(frozen=True, slots=True)
class Retention:
    """What a shop keeps, as of a date (ISO text); `dataclasses.asdict` gives plain values."""

    as_of: str
    time_zone: str
    churn: tuple[ChurnRate, ...]
    repurchases: tuple[Repurchase, ...]
    cohorts: CohortTable


def retention_rate(start_count: int, end_count: int, new_count: int) -> float | None:
    """Return (customers at the end − new ones) ÷ customers at the start; None where nobody was there.

    New is who came within the period; who was there before, had left and came back counts as new too.
    Raises `ValueError` for counts that cannot be.

    >>> retention_rate(50_000, 40_000, 1_000)
    0.78
    """
    kept = end_count - new_count
    if min(start_count, new_count) < 0 or not 0 <= kept <= start_count:
        raise ValueError(
            f"of {start_count} at the start, {kept} of {end_count} at the end cannot have been there before; "
            "count everybody as new who was not among those at the start"
        )
    return kept / start_count if start_count else None


def churn_definition(rate: ChurnRate) -> str:
    """Say in words what a churn rate counts."""
    days = rate.days
    return (
        f"of the customers who ordered within the {days} days before the last {days} days, "
        f"those who have not ordered in these last {days} days"
    )


def count_repurchase(times: pl.DataFrame, start_days: float, end_days: float) -> tuple[int, int, int]:
    """Count who had ordered before a start, who of them ordered in `[start, end)`, and who came new in it.

    `times` has a row per order: `customer_id` and `ordered_days`, as the two edges are.
    """
    ordered = pl.col("ordered_days")
    known = times.filter(ordered < end_days)
    customers = known.group_by("customer_id").agg(first=ordered.min(), last=ordered.max())
    existing = pl.col("first") < start_days
    return customers.select(
        existing=existing.sum(),
        again=(existing & (pl.col("last") >= start_days)).sum(),
        new=(~existing).sum(),
    ).row(0)


def count_activity(times: pl.DataFrame, snapshot: Snapshot, *, days: int) -> tuple[int, int, int, int, int]:
    """Count what `ChurnRate` holds: active at the start, churned since, active at the end, new, won back.

    `times` has a row per order before the snapshot: `customer_id` and `ordered_days`.
    """
    ordered = pl.col("ordered_days")
    older, middle = (snapshot.shifted(-back * days).end_days for back in (2, 1))
    before, since, is_new = pl.col("before"), pl.col("since"), pl.col("first") >= middle
    customers = times.group_by("customer_id").agg(
        first=ordered.min(),
        before=((ordered >= older) & (ordered < middle)).any(),
        since=(ordered >= middle).any(),
    )
    return customers.select(
        start=before.sum(),
        churned=(before & ~since).sum(),
        end=since.sum(),
        new=is_new.sum(),
        won_back=(since & ~before & ~is_new).sum(),
    ).row(0)


def read_repurchases(
    history: History,
    periods: Sequence[tuple[date, date]],
    *,
    snapshot: Snapshot,
    settings: Settings,
) -> tuple[Repurchase, ...]:
    """Measure the repurchase of periods `[start, end)` by what is known at a snapshot.

    1 January to 28 February is (1 January, 1 March). Raises `ValueError` for a period that is not over at the
    snapshot: who has not ordered yet may still.
    """
    for start, end in periods:
        if not start < end <= snapshot.date:
            raise ValueError(f"{start} to {end} is no period that is over on {snapshot.date}")
    edges = [[local_midnight_days(day, snapshot.time_zone) for day in period] for period in periods]
    counted = [
        [count_repurchase(times, *pair) for pair in edges]
        for times in iterate_order_times(history, snapshot, engine=settings.features.engine)
    ]
    return tuple(
        _repurchase(start, end, _sum(part[place] for part in counted))
        for place, (start, end) in enumerate(periods)
    )


def read_churn(
    history: History, snapshot: Snapshot, *, settings: Settings, days: Sequence[int] = CHURN_DAYS
) -> tuple[ChurnRate, ...]:
    """Measure the churn of so many days as of a snapshot; a trend is the same as of earlier ones."""
    counted = [
        [count_activity(times, snapshot, days=each) for each in days]
        for times in iterate_order_times(history, snapshot, engine=settings.features.engine)
    ]
    return tuple(
        _churn_rate(each, _sum(part[place] for part in counted), history, snapshot)
        for place, each in enumerate(days)
    )


def read_cohorts(
    history: History,
    snapshot: Snapshot,
    *,
    settings: Settings,
    customer_count_min: int = READABLE_MIN,
    months_max: int = MONTHS_MAX,
) -> CohortTable:
    """Measure the monthly cohorts of a shop as of a snapshot: those of the newest `months_max` months."""
    first_days = history.manifest.first_order_days
    months = Months.until(snapshot, first_days=first_days)
    parts = iterate_order_times(history, snapshot, engine=settings.features.engine)
    counts = pl.concat([count_cohorts(times, months) for times in parts])
    gaps = read_return_gaps(history, Snapshot(snapshot.date, snapshot.time_zone))
    return build_cohort_table(
        counts,
        months,
        snapshot=snapshot,
        lead_in_until=(first_days or 0.0) + (gaps.p95_days or 0.0),
        customer_count_min=customer_count_min,
        months_max=months_max,
    )


def read_retention(history: History, snapshot: Snapshot, *, settings: Settings) -> Retention:
    """Measure what a shop keeps as of a snapshot, by every definition of this page."""
    return Retention(
        as_of=snapshot.date.isoformat(),
        time_zone=snapshot.time_zone,
        churn=read_churn(history, snapshot, settings=settings),
        repurchases=read_repurchases(history, whole_periods(snapshot), snapshot=snapshot, settings=settings),
        cohorts=read_cohorts(history, snapshot, settings=settings),
    )


def whole_periods(snapshot: Snapshot, *, months: Sequence[int] = PERIOD_MONTHS) -> list[tuple[date, date]]:
    """Return the periods of so many calendar months that end with the last one that is over.

    >>> [str(day) for day in whole_periods(Snapshot(date(2026, 3, 15)), months=(2,))[0]]
    ['2026-01-01', '2026-03-01']
    """
    end = snapshot.date.replace(day=1)
    return [(add_months(end, -count), end) for count in months]


def _repurchase(start: date, end: date, counts: Sequence[int]) -> Repurchase:
    existing, again, new = counts
    return Repurchase(start.isoformat(), end.isoformat(), Share.of(again, existing), new)


def _churn_rate(days: int, counts: Sequence[int], history: History, snapshot: Snapshot) -> ChurnRate:
    start, churned, end, new, won_back = counts
    first_days = history.manifest.first_order_days
    oldest = snapshot.shifted(-2 * days).end_days
    too_short = first_days is None or first_days > oldest
    if too_short or not start:
        # Half a window of history would count only some of those who were active.
        reason: Literal["history_too_short", "nobody_active"] = (
            "history_too_short" if too_short else "nobody_active"
        )
        return ChurnRate(days, Share.of(0, 0), start, end, new, won_back, None, reason)
    kept = retention_rate(start, end, new + won_back)
    return ChurnRate(days, Share.of(churned, start), start, end, new, won_back, kept, None)


def _sum(rows: Iterable[Sequence[int]]) -> tuple[int, ...]:
    return tuple(map(sum, zip(*rows, strict=True)))
