"""Rhythm: the gaps between a customer's order days, and the present silence against them."""

import narwhals as nw

from features.declare import Family, Feature, Moment
from features.expressions import over_usual, ratio, sum_where

ACTIVE_PERIODS_DAYS = (7, 30)

FEATURES = (
    Feature("mean_gap_days", "days", "all", "Mean gap between consecutive order days", "rhythm"),
    Feature("median_gap_days", "days", "all", "Median gap between consecutive order days", "rhythm"),
    Feature("max_gap_days", "days", "all", "Longest gap", "rhythm"),
    Feature("last_gap_days", "days", "last 2 order days", "Gap between the last two order days", "rhythm"),
    Feature("previous_gap_days", "days", "order days 2–3", "The gap before the last gap", "rhythm"),
    Feature("recent_gap_mean_days", "days", "last 4 order days", "Mean of the last three gaps", "rhythm"),
    Feature(
        "gap_deviation_days", "days", "all", "Standard deviation of gaps (n − 1); needs two gaps", "rhythm"
    ),
    Feature("gap_cv", "ratio", "all", "Standard deviation / mean of gaps; needs two gaps", "rhythm"),
    Feature("last_gap_over_mean_gap", "ratio", "all", "last_gap_days / mean_gap_days", "rhythm"),
    Feature("recent_gap_over_mean_gap", "ratio", "all", "recent_gap_mean_days / mean_gap_days", "rhythm"),
    Feature("recency_over_mean_gap", "ratio", "all", "recency_days / mean_gap_days", "gap_over_usual"),
    Feature("recency_over_median_gap", "ratio", "all", "recency_days / median_gap_days", "gap_over_usual"),
    Feature("recency_over_max_gap", "ratio", "all", "recency_days / max_gap_days", "gap_over_usual"),
    Feature(
        "recency_over_recent_gap", "ratio", "all", "recency_days / recent_gap_mean_days", "gap_over_usual"
    ),
    Feature(
        "recency_gap_score",
        "ratio",
        "all",
        "(recency_days − mean gap) / standard deviation of gaps, deviation ≥ 1 day; needs two gaps",
        "gap_over_usual",
    ),
    Feature(
        "shorter_gap_share",
        "share",
        "all",
        "Share of own gaps shorter than the silence now",
        "gap_over_usual",
    ),
    Feature(
        "recency_over_usual_gap", "ratio", "all", "recency_days / the shop's median gap", "gap_over_usual"
    ),
    Feature("silence_share", "share", "all", "recency_days / tenure_days", "gap_over_usual"),
    Feature(
        "active_week_share", "share", "all", "Weeks of the tenure (counted back) that hold an order", "rhythm"
    ),
    Feature("active_month_share", "share", "all", "30-day months of the tenure that hold an order", "rhythm"),
    Feature("weekend_share", "share", "all", "Order days on a Saturday or Sunday / order days", "rhythm"),
)


def days(at: Moment) -> list[nw.Expr]:
    """Measure gaps (missing on the first order day) and in how many periods there was an order."""
    gap, ago, rank = nw.col("gap_days"), nw.col("days_ago"), nw.col("rank")
    weekday = (ago * -1 + at.snapshot.date.weekday() + 7_000_000) % 7
    return [
        gap.count().alias("gaps"),
        gap.sum().alias("gap_sum"),
        (gap * gap).sum().alias("gap_squares"),
        gap.median().alias("gap_median"),
        gap.max().alias("gap_max"),
        nw.when(rank == 1).then(gap).max().alias("gap_1"),
        nw.when(rank == 2).then(gap).max().alias("gap_2"),
        nw.when(rank <= 3).then(gap).sum().alias("gap_sum_3"),
        nw.when(rank <= 3).then(gap).count().alias("gaps_3"),
        sum_where(gap < nw.col("recency"), nw.lit(1)).alias("gaps_shorter"),
        sum_where(weekday >= 5, nw.lit(1)).alias("weekend_days"),
        *(
            sum_where(_opens_period(period), nw.lit(1)).alias(f"active_{period}")
            for period in ACTIVE_PERIODS_DAYS
        ),
        *(((ago.max() - 1) // period + 1).alias(f"periods_{period}") for period in ACTIVE_PERIODS_DAYS),
    ]


def _opens_period(period_days: int) -> nw.Expr:
    """Say whether an order day is the oldest one of its period, counted back from the snapshot."""
    period = (nw.col("days_ago") - 1) // period_days
    older = (nw.col("days_ago") + nw.col("gap_days") - 1) // period_days
    return nw.col("gap_days").is_null() | (older != period)


def columns(at: Moment) -> list[nw.Expr]:
    """Name the features."""
    gaps, total, squares = nw.col("gaps"), nw.col("gap_sum"), nw.col("gap_squares")
    recency, tenure = nw.col("newest_days"), nw.col("oldest_days")
    mean, recent = ratio("gap_sum", "gaps"), ratio("gap_sum_3", "gaps_3")
    variance = nw.when(gaps > 1).then((squares - total * total / gaps) / (gaps - 1))
    deviation = nw.when(variance > 0).then(variance).otherwise(variance * 0).sqrt()
    return [
        mean.alias("mean_gap_days"),
        nw.col("gap_median").alias("median_gap_days"),
        nw.col("gap_max").alias("max_gap_days"),
        nw.col("gap_1").alias("last_gap_days"),
        nw.col("gap_2").alias("previous_gap_days"),
        recent.alias("recent_gap_mean_days"),
        deviation.alias("gap_deviation_days"),
        ratio(deviation, mean).alias("gap_cv"),
        ratio(nw.col("gap_1"), mean).alias("last_gap_over_mean_gap"),
        ratio(recent, mean).alias("recent_gap_over_mean_gap"),
        ratio(recency, mean).alias("recency_over_mean_gap"),
        ratio(recency, nw.col("gap_median")).alias("recency_over_median_gap"),
        ratio(recency, nw.col("gap_max")).alias("recency_over_max_gap"),
        ratio(recency, recent).alias("recency_over_recent_gap"),
        ((recency - mean) / nw.when(deviation > 1).then(deviation).otherwise(deviation * 0 + 1)).alias(
            "recency_gap_score"
        ),
        ratio("gaps_shorter", "gaps").alias("shorter_gap_share"),
        over_usual(recency, at.shop.usual_gap_days).alias("recency_over_usual_gap"),
        ratio(recency, tenure).alias("silence_share"),
        (nw.col("active_7") / nw.col("periods_7")).alias("active_week_share"),
        (nw.col("active_30") / nw.col("periods_30")).alias("active_month_share"),
        ratio("weekend_days", "order_days").alias("weekend_share"),
    ]


FAMILY = Family("Rhythm", FEATURES, columns, days=days)
