"""Spend: how much, how it moves, and whether orders get larger or smaller."""

import narwhals as nw

from features.declare import Family, Feature, Moment
from features.expressions import WINDOWS_DAYS, between, change, decay, over_usual, ratio, sum_where, within
from features.margin import basis_money

FEATURES = (
    *(
        Feature(f"spend_{days}", "money", f"{days} days", f"Money in the last {days} days", "spend_level")
        for days in WINDOWS_DAYS
    ),
    Feature("max_order_value", "money", "all", "Largest gross value of an order day", "spend_level"),
    Feature(
        "last_order_value", "money", "last order day", "Gross value of the newest order day", "spend_level"
    ),
    Feature(
        "order_value_over_usual",
        "ratio",
        "all",
        "Mean order-day value / the shop's median one",
        "spend_level",
    ),
    Feature(
        "last_order_value_over_mean", "ratio", "all", "last_order_value / mean order-day value", "spend_trend"
    ),
    Feature("order_value_cv", "ratio", "all", "Standard deviation / mean of order-day values", "spend_level"),
    Feature(
        "order_value_slope",
        "ratio/order day",
        "all",
        "Least-squares slope of order-day value on its number, / mean value; needs two order days",
        "spend_trend",
    ),
    *(
        Feature(
            f"order_count_change_{days}",
            "ratio",
            f"{2 * days} days",
            f"(newer − older) / (newer + older): orders of the last {days} days against the {days} before",
            "order_trend",
        )
        for days in (30, 90, 180)
    ),
    *(
        Feature(
            f"spend_change_{days}",
            "ratio",
            f"{2 * days} days",
            f"(newer − older) / (newer + older): money of the last {days} days against the {days} before",
            "spend_trend",
        )
        for days in (30, 90, 180)
    ),
    *(
        Feature(
            f"decayed_spend_{days}",
            "money",
            "all",
            f"Gross money, halved for every {days} days of age",
            "spend_level",
        )
        for days in (30, 120)
    ),
)
CHANGE_DAYS = (30, 90, 180)
VALUE_SCALE = 100_000.0
SCALED_VALUE_MAX = 200_000_000


def ledger(at: Moment) -> list[nw.Expr]:
    """Sum money in windows, on the shop's basis for levels and gross for trends."""
    gross = nw.col("gross_minor")
    basis = basis_money(at.basis)
    windows = [(f"{w}", within(w)) for w in CHANGE_DAYS]
    windows += [(f"before_{w}", between(w, 2 * w)) for w in CHANGE_DAYS]
    return [
        basis.sum().alias("spend"),
        gross.sum().alias("gross"),
        *(sum_where(within(w), basis).alias(f"spend_{w}_minor") for w in WINDOWS_DAYS),
        *(sum_where(rows, "gross_minor").alias(f"gross_{name}") for name, rows in windows),
        *(sum_where(between(w, 2 * w), "order_count").alias(f"orders_before_{w}") for w in CHANGE_DAYS),
        *(_decayed(gross, w).alias(f"gross_decayed_{w}") for w in (30, 120)),
    ]


def _decayed(amount: nw.Expr, half_life_days: int) -> nw.Expr:
    return (amount * decay(half_life_days) + 0.5).floor().cast(nw.Int64).sum()


def days(at: Moment) -> list[nw.Expr]:
    """Measure the values of order days; `rank` 1 is the newest."""
    value, rank = nw.col("gross_minor"), nw.col("rank")
    # Squares of minor units would not fit into 64 bits: count in hundred-thousandths of what is usual here.
    scale = VALUE_SCALE / (at.shop.usual_order_value or VALUE_SCALE)
    scaled = (value * scale + 0.5).floor().clip(-SCALED_VALUE_MAX, SCALED_VALUE_MAX).cast(nw.Int64)
    return [
        value.sum().alias("value_sum"),
        value.max().alias("value_max"),
        nw.when(rank == 1).then(value).max().alias("value_last"),
        scaled.sum().alias("scaled_sum"),
        (scaled * scaled).sum().alias("scaled_squares"),
        (scaled * rank).sum().alias("scaled_by_rank"),
    ]


def columns(at: Moment) -> list[nw.Expr]:
    """Name the features."""
    count, total = nw.col("order_days"), nw.col("scaled_sum")
    mean = nw.col("value_sum") / count
    squares = nw.max_horizontal(nw.col("scaled_squares") - total * total / count, nw.lit(0.0))
    deviation = nw.when(count > 1).then(squares / (count - 1)).sqrt()
    # Ranks 1..n count back in time, so the slope forward in time has the opposite sign.
    moment = total * (count + 1) / 2 - nw.col("scaled_by_rank")
    slope = nw.when(count > 1).then(moment / ((count * count - 1) * count / 12))
    return [
        *(nw.col(f"spend_{w}_minor").alias(f"spend_{w}") for w in WINDOWS_DAYS),
        nw.col("value_max").alias("max_order_value"),
        nw.col("value_last").alias("last_order_value"),
        over_usual(mean, at.shop.usual_order_value).alias("order_value_over_usual"),
        ratio(nw.col("value_last"), mean).alias("last_order_value_over_mean"),
        ratio(deviation, total / count).alias("order_value_cv"),
        ratio(slope, total / count).alias("order_value_slope"),
        *(change(f"orders_{w}", f"orders_before_{w}").alias(f"order_count_change_{w}") for w in CHANGE_DAYS),
        *(change(f"gross_{w}", f"gross_before_{w}").alias(f"spend_change_{w}") for w in CHANGE_DAYS),
        *(nw.col(f"gross_decayed_{w}").alias(f"decayed_spend_{w}") for w in (30, 120)),
    ]


FAMILY = Family("Spend", FEATURES, columns, ledger=ledger, days=days)
