"""Calendar: where the snapshot stands in the year, and what the customer did at this time of earlier years.

Positions are angles (sine and cosine), so that the last of December lies beside the first of January and no
feature is an absolute clock: a date itself would tell training snapshots apart and mean nothing at the next
one.
"""

import calendar
import math
from datetime import date, timedelta

import narwhals as nw

from features.declare import Family, Feature, Moment
from features.expressions import between, ratio, sum_where

YEAR_DAYS = 365
SEASON_HALF_WIDTH_DAYS = 30
SEASON_YEARS = (1, 2, 3)
_POSITIONS = {
    "year": "day of the year",
    "half_year": "day of the year, twice round: peaks in spring and autumn",
    "quarter": "day of the quarter",
    "month": "day of the month",
}

FEATURES = (
    *(
        Feature(
            f"{name}_position_{wave}", "ratio", "snapshot", f"{wave} of the angle of the {meaning}", "season"
        )
        for name, meaning in _POSITIONS.items()
        for wave in ("sin", "cos")
    ),
    Feature(
        "to_year_end_days", "days", "snapshot", "Days to the next 1 January, at most 92 (else 92)", "season"
    ),
    Feature(
        "from_year_end_days",
        "days",
        "snapshot",
        "Days since the last 1 January, at most 92 (else 92)",
        "season",
    ),
    *(
        Feature(
            f"order_count_year_ago_{days}",
            "orders",
            f"{days} days from a year before",
            f"Orders in the {days} days that began a year before; missing if tenure is under a year",
            "season",
        )
        for days in (30, 90)
    ),
    Feature(
        "spend_year_ago_90",
        "money",
        "90 days from a year before",
        "Gross money in the 90 days that began a year before; missing if tenure is under a year",
        "season",
    ),
    Feature(
        "season_order_share",
        "share",
        "3 years",
        "Orders within 30 days of this day one, two or three years before / orders older than 334 days",
        "season",
    ),
)


def ledger(_: Moment) -> list[nw.Expr]:
    """Count what happened at this time of earlier years."""
    half = SEASON_HALF_WIDTH_DAYS
    season = [between(YEAR_DAYS * year - half, YEAR_DAYS * year + half) for year in SEASON_YEARS]
    return [
        *(
            sum_where(between(YEAR_DAYS - days, YEAR_DAYS), "order_count").alias(f"orders_year_ago_{days}")
            for days in (30, 90)
        ),
        sum_where(between(YEAR_DAYS - 90, YEAR_DAYS), "gross_minor").alias("gross_year_ago"),
        sum_where(season[0] | season[1] | season[2], "order_count").alias("orders_in_season"),
        sum_where(nw.col("days_ago") > YEAR_DAYS - half, "order_count").alias("orders_old"),
    ]


def columns(at: Moment) -> list[nw.Expr]:
    """Name the features; positions are the same for every customer of a snapshot."""
    day = at.snapshot.date
    year = nw.col("oldest_days") >= YEAR_DAYS
    constant = nw.col("orders") * 0
    positions = [
        (constant + wave(2 * math.pi * share)).alias(f"{name}_position_{wave.__name__}")
        for name, share in positions_of(day).items()
        for wave in (math.sin, math.cos)
    ]
    to_end = min(92, (date(day.year + 1, 1, 1) - day).days)
    from_end = min(92, (day - date(day.year, 1, 1)).days)
    return [
        *positions,
        (constant + float(to_end)).alias("to_year_end_days"),
        (constant + float(from_end)).alias("from_year_end_days"),
        *(
            nw.when(year).then(nw.col(f"orders_year_ago_{w}")).alias(f"order_count_year_ago_{w}")
            for w in (30, 90)
        ),
        nw.when(year).then(nw.col("gross_year_ago")).alias("spend_year_ago_90"),
        ratio("orders_in_season", "orders_old").alias("season_order_share"),
    ]


def positions_of(day: date) -> dict[str, float]:
    """Return how much of a day's year, half year, quarter and month has passed at 00:00, in [0, 1).

    >>> positions_of(date(2023, 7, 1))["quarter"]
    0.0
    """
    year_days = 366 if calendar.isleap(day.year) else 365
    passed = (day - date(day.year, 1, 1)).days / year_days
    quarter = date(day.year, 3 * ((day.month - 1) // 3) + 1, 1)
    next_quarter = (quarter + timedelta(days=95)).replace(day=1)
    return {
        "year": passed,
        "half_year": 2 * passed % 1,
        "quarter": (day - quarter).days / (next_quarter - quarter).days,
        "month": (day.day - 1) / calendar.monthrange(day.year, day.month)[1],
    }


FAMILY = Family("Calendar", FEATURES, columns, ledger=ledger)
