"""Recency, frequency, money and age: the classic columns, and the inputs of buy-till-you-die models."""

import narwhals as nw

from features.declare import Family, Feature, Moment
from features.expressions import WEIGHT_SCALE, WINDOWS_DAYS, half_life_weight, ratio, sum_where, within

HALF_LIVES_DAYS = (7, 15, 30, 60, 120, 240)

FEATURES = (
    Feature("recency_days", "days", "all", "Last order to the snapshot", "gap_over_usual"),
    Feature("order_count", "orders", "all", "Orders (never lines; returns are no orders)", "order_count"),
    Feature(
        "spend_total",
        "money",
        "all",
        "All money, on the shop's basis (gross, net of returns or margin)",
        "spend_level",
    ),
    Feature("tenure_days", "days", "all", "First order to the snapshot", "tenure"),
    Feature("mean_order_value", "money", "all", "spend_total / order_count", "spend_level"),
    Feature("order_day_count", "days", "all", "Distinct 24-hour days that hold an order", "order_count"),
    Feature("first_to_last_days", "days", "all", "First order to last order; 0 after one order", "tenure"),
    Feature(
        "repeat_spend_mean",
        "money",
        "all",
        "Mean gross spend of an order day, the first order day left out; missing without a second",
        "spend_level",
    ),
    Feature(
        "orders_per_30_days",
        "orders/30 days",
        "all",
        "30 · order_count / tenure_days, tenure ≥ 1",
        "order_count",
    ),
    *(
        Feature(
            f"order_count_{days}", "orders", f"{days} days", f"Orders in the last {days} days", "order_count"
        )
        for days in WINDOWS_DAYS
    ),
    *(
        Feature(
            f"decayed_order_count_{days}",
            "weighted orders",
            "all",
            f"Orders, each halved for every {days} days of age",
            "order_count",
        )
        for days in HALF_LIVES_DAYS
    ),
)


def ledger(_: Moment) -> list[nw.Expr]:
    """Count orders in windows and with fading weights."""
    orders = nw.col("order_count")
    return [
        orders.sum().alias("orders"),
        *(sum_where(within(days), "order_count").alias(f"orders_{days}") for days in WINDOWS_DAYS),
        *(
            (half_life_weight(days) * orders).sum().alias(f"orders_decayed_{days}")
            for days in HALF_LIVES_DAYS
        ),
    ]


def days(_: Moment) -> list[nw.Expr]:
    """Measure order days: how many, the newest and the oldest, and money on repeat days."""
    oldest = nw.col("gap_days").is_null()
    return [
        nw.len().alias("order_days"),
        nw.col("recency").min().alias("newest_days"),
        nw.col("oldest_order").max().alias("oldest_days"),
        sum_where(~oldest, "gross_minor").alias("repeat_gross"),
        sum_where(~oldest, nw.lit(1)).alias("repeat_days"),
    ]


def columns(_: Moment) -> list[nw.Expr]:
    """Name the features."""
    tenure = nw.col("oldest_days")
    return [
        nw.col("newest_days").alias("recency_days"),
        nw.col("orders").alias("order_count"),
        nw.col("spend").alias("spend_total"),
        tenure.alias("tenure_days"),
        ratio("spend", "orders").alias("mean_order_value"),
        nw.col("order_days").alias("order_day_count"),
        (tenure - nw.col("newest_days")).alias("first_to_last_days"),
        ratio("repeat_gross", "repeat_days").alias("repeat_spend_mean"),
        (nw.col("orders") * 30 / nw.max_horizontal(tenure, nw.lit(1.0))).alias("orders_per_30_days"),
        *(nw.col(f"orders_{w}").alias(f"order_count_{w}") for w in WINDOWS_DAYS),
        *(
            (nw.col(f"orders_decayed_{w}") / WEIGHT_SCALE).alias(f"decayed_order_count_{w}")
            for w in HALF_LIVES_DAYS
        ),
    ]


FAMILY = Family("Recency, frequency, money", FEATURES, columns, ledger=ledger, days=days)
