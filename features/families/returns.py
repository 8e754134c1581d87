"""Returns and discounts: how much comes back, and how much is bought at a lower price.

Missing for everybody where the shop records no return, discount or coupon before the snapshot.
"""

import narwhals as nw

from features.declare import Family, Feature, Moment
from features.expressions import ratio, recorded, sum_where, within

FEATURES = (
    Feature(
        "return_count", "returns", "all", "Returns (the return lines of one order at one instant)", "returns"
    ),
    Feature("return_count_90", "returns", "90 days", "Returns in the last 90 days", "returns"),
    Feature("returns_per_order", "returns/order", "all", "return_count / order_count", "returns"),
    Feature("returned_spend_share", "share", "all", "Returned money / gross money", "returns"),
    Feature("returned_spend_share_180", "share", "180 days", "The same over the last 180 days", "returns"),
    Feature(
        "return_recency_days",
        "days",
        "all",
        "24-hour days since the last return; missing without one",
        "returns",
    ),
    Feature("discount_share", "share", "all", "Discounts / (gross money + discounts)", "discounts"),
    Feature("discount_share_90", "share", "90 days", "The same over the last 90 days", "discounts"),
    Feature("discounted_order_share", "share", "all", "Orders with a discount / orders", "discounts"),
    Feature("discounted_order_share_90", "share", "90 days", "The same over the last 90 days", "discounts"),
    Feature("coupon_order_share", "share", "all", "Orders with a coupon / orders", "discounts"),
    Feature("coupon_order_share_180", "share", "180 days", "The same over the last 180 days", "discounts"),
)


def ledger(_: Moment) -> list[nw.Expr]:
    """Sum returns, discounts and coupons."""
    return [
        nw.col("sale_count").sum().alias("sales"),
        sum_where(within(90), "sale_count").alias("sales_90"),
        sum_where(within(180), "sale_count").alias("sales_180"),
        nw.col("return_count").sum().alias("returns"),
        sum_where(within(90), "return_count").alias("returns_90"),
        nw.col("return_minor").sum().alias("returned"),
        sum_where(within(180), "return_minor").alias("returned_180"),
        nw.when(nw.col("return_count") > 0).then(nw.col("days_ago")).min().alias("return_recency"),
        nw.col("discount_minor").sum().alias("discount"),
        sum_where(within(90), "discount_minor").alias("discount_90"),
        nw.col("discounted_sale_count").sum().alias("discounted_sales"),
        sum_where(within(90), "discounted_sale_count").alias("discounted_sales_90"),
        nw.col("coupon_sale_count").sum().alias("coupon_sales"),
        sum_where(within(180), "coupon_sale_count").alias("coupon_sales_180"),
    ]


def columns(at: Moment) -> list[nw.Expr]:
    """Name the features; what the shop does not record is missing."""
    returns = {
        "return_count": nw.col("returns"),
        "return_count_90": nw.col("returns_90"),
        "returns_per_order": ratio("returns", "orders"),
        "returned_spend_share": ratio("returned", "gross"),
        "returned_spend_share_180": ratio("returned_180", "gross_180"),
        "return_recency_days": nw.col("return_recency"),
    }
    discounts = {
        "discount_share": ratio("discount", nw.col("gross") + nw.col("discount")),
        "discount_share_90": ratio("discount_90", nw.col("gross_90") + nw.col("discount_90")),
        "discounted_order_share": ratio("discounted_sales", "sales"),
        "discounted_order_share_90": ratio("discounted_sales_90", "sales_90"),
    }
    coupons = {
        "coupon_order_share": ratio("coupon_sales", "sales"),
        "coupon_order_share_180": ratio("coupon_sales_180", "sales_180"),
    }
    groups = ((returns, "return_count"), (discounts, "discount_minor"), (coupons, "coupon_sale_count"))
    return [
        recorded(column, is_recorded=at.shop.records(source)).alias(name)
        for group, source in groups
        for name, column in group.items()
    ]


FAMILY = Family("Returns and discounts", FEATURES, columns, ledger=ledger)
