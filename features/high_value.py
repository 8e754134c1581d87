"""Who is of high value, in both usual definitions.

`makes_most_revenue`  the fewest customers who together make 80 % of all revenue
`is_in_top_share`     the 20 % of customers with the highest values

**Ties.** Customers with equal values are in or out together, and in where the line runs through them, so
either set can be larger than its share. A customer is in as long as those with strictly higher values do not
make 80 % of the revenue, or 20 % of the customers, by themselves. Whoever brought nothing is in neither set.
"""

from typing import Any, Final, Literal

import narwhals as nw

from features.history import MONEY_SCALE

Frame = nw.LazyFrame[Any]
Definition = Literal["makes_most_revenue", "is_in_top_share"]

REVENUE_SHARE: Final = 0.8
CUSTOMER_SHARE: Final = 0.2
_COUNTED = ("_count", "_earned")


def flag_high_value(
    customers: Frame, *, revenue_share: float = REVENUE_SHARE, customer_share: float = CUSTOMER_SHARE
) -> Frame:
    """Return `customer_id`, `value` and the two flags, one row per row given; row order is not kept.

    `customers` has `customer_id` and `value`: money in major units, spent or predicted, counted to 1/10,000.
    Missing values count as 0. Revenue is the sum of the values above 0; customers are all rows.
    """
    value = nw.col("value").cast(nw.Float64)
    known = nw.when(~value.is_null() & ~value.is_nan()).then(value).otherwise(nw.lit(0.0))
    # Whole numbers: their sums are exact, whatever the order in which an engine adds.
    minor = (known * MONEY_SCALE + 0.5).floor().cast(nw.Int64)
    rows = customers.select("customer_id", "value", minor.alias("_minor"))
    earned = nw.when(nw.col("_minor") > 0).then(nw.col("_minor")).otherwise(nw.lit(0)) * nw.col("_count")
    counts = rows.group_by("_minor").agg(nw.len().cast(nw.Int64).alias("_count"))
    counts = counts.with_columns(earned.alias("_earned"), (-nw.col("_minor")).alias("_order"))
    totals = counts.select(
        nw.col("_count").sum().cast(nw.Float64).alias("_customers"),
        nw.col("_earned").sum().cast(nw.Float64).alias("_revenue"),
    )
    # From the highest value down: what was counted before a row is strictly higher.
    ahead = {name: nw.col(name).cum_sum().over(order_by="_order") - nw.col(name) for name in _COUNTED}
    standing = counts.with_columns(
        sums.cast(nw.Float64).alias(f"{name}_ahead") for name, sums in ahead.items()
    ).join(totals, how="cross")
    brought = nw.col("_minor") > 0
    flags = standing.select(
        "_minor",
        (brought & (nw.col("_earned_ahead") < revenue_share * nw.col("_revenue"))).alias(
            "makes_most_revenue"
        ),
        (brought & (nw.col("_count_ahead") < customer_share * nw.col("_customers"))).alias("is_in_top_share"),
    )
    return rows.join(flags, on="_minor", how="left").select(
        "customer_id", "value", "makes_most_revenue", "is_in_top_share"
    )
