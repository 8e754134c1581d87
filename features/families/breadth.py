"""Breadth: how many different things a customer buys, and how much of it is bought again.

Distinct counts are sums of first purchases (`features.orders`), so a product counts once, on the day it was
first bought. Categories come from the product table; without one they are missing for everybody.
"""

import narwhals as nw

from features.declare import Family, Feature, Moment
from features.expressions import ratio, recorded, sum_where, within
from features.history import QUANTITY_SCALE

PLURALS = {"product": "products", "category": "categories"}

FEATURES = (
    Feature("line_count", "lines", "all", "Order lines (returns left out)", "breadth"),
    Feature("lines_per_order", "lines/order", "all", "line_count / order_count", "breadth"),
    Feature("lines_per_order_90", "lines/order", "90 days", "The same over the last 90 days", "breadth"),
    Feature("quantity_per_order", "units/order", "all", "Units per order", "breadth"),
    Feature("line_value_mean", "money", "all", "Gross money per order line", "spend_level"),
    *(
        Feature(f"{name}_count", PLURALS[name], "all", f"Distinct {PLURALS[name]} bought", "breadth")
        for name in PLURALS
    ),
    *(
        Feature(
            f"new_{name}_count_90",
            PLURALS[name],
            "90 days",
            f"{PLURALS[name].capitalize()} first bought then",
            "breadth",
        )
        for name in PLURALS
    ),
    Feature("new_products_per_order", "products/order", "all", "product_count / order_count", "breadth"),
    Feature(
        "repeat_line_share", "share", "all", "Lines whose product had been bought before / lines", "breadth"
    ),
    Feature("repeat_line_share_90", "share", "90 days", "The same over the last 90 days", "breadth"),
)


def ledger(_: Moment) -> list[nw.Expr]:
    """Count lines, units and first purchases."""
    return [
        nw.col("line_count").sum().alias("lines"),
        nw.col("product_line_count").sum().alias("product_lines"),
        nw.col("quantity_minor").sum().alias("quantity"),
        sum_where(within(90), "line_count").alias("lines_90"),
        sum_where(within(90), "product_line_count").alias("product_lines_90"),
        *(nw.col(f"new_{name}_count").sum().alias(f"{name}_firsts") for name in PLURALS),
        *(sum_where(within(90), f"new_{name}_count").alias(f"{name}_firsts_90") for name in PLURALS),
    ]


def columns(at: Moment) -> list[nw.Expr]:
    """Name the features; what the shop does not record is missing."""
    seen = {name: at.shop.records(f"new_{name}_count") for name in PLURALS}
    units_per_order = ratio("quantity", nw.col("orders") * QUANTITY_SCALE)
    return [
        nw.col("lines").alias("line_count"),
        ratio("lines", "orders").alias("lines_per_order"),
        ratio("lines_90", "orders_90").alias("lines_per_order_90"),
        recorded(units_per_order, is_recorded=at.shop.records("quantity_minor")).alias("quantity_per_order"),
        ratio("gross", "lines").alias("line_value_mean"),
        *(
            recorded(nw.col(f"{name}_firsts"), is_recorded=seen[name]).alias(f"{name}_count")
            for name in PLURALS
        ),
        *(
            recorded(nw.col(f"{name}_firsts_90"), is_recorded=seen[name]).alias(f"new_{name}_count_90")
            for name in PLURALS
        ),
        recorded(ratio("product_firsts", "orders"), is_recorded=seen["product"]).alias(
            "new_products_per_order"
        ),
        (1 - ratio("product_firsts", "product_lines")).alias("repeat_line_share"),
        (1 - ratio("product_firsts_90", "product_lines_90")).alias("repeat_line_share_90"),
    ]


FAMILY = Family("Breadth", FEATURES, columns, ledger=ledger)
