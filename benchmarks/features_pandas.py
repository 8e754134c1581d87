"""The straightforward pandas script: filter, group by, merge, once more for every window.

It is what a data scientist writes in an afternoon, without tricks that cost readability and without loops
over customers. Everything that comes from order lines and products is here; event and calendar columns, which
cost nothing in a shop without events, are not.
"""

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

WINDOWS = (7, 14, 30, 60, 90, 180, 365)
HALF_LIVES = (7, 15, 30, 60, 120, 240)
MONEY = 10_000
READ = ["customer_id", "order_id", "ordered_days", "product_id", "amount_minor", "quantity_minor"]
READ += ["discount_minor", "coupon", "is_return"]


def build(folder: Path, *, as_of: date, end_days: float) -> pd.DataFrame:
    """Return one row per customer with an order before the snapshot, index customer_id, sorted."""
    lines = pd.concat(
        [pd.read_parquet(path, columns=READ) for path in sorted(folder.glob("g*/order_lines/*.parquet"))]
    )
    products = pd.read_parquet(next(folder.glob("g*/products.parquet")), columns=["product_id", "category"])
    lines = lines[lines["ordered_days"] < end_days]
    lines["days_ago"] = np.ceil(end_days - lines["ordered_days"]).astype("int64")
    sold, returned = lines[~lines["is_return"]], lines[lines["is_return"]]
    orders = _orders(sold, end_days)
    table = orders.groupby("customer_id").agg(
        recency_days=("days", "min"),
        tenure_days=("days", "max"),
        order_count=("order_id", "count"),
        gross=("value", "sum"),
        discount=("discount", "sum"),
        quantity=("quantity", "sum"),
        line_count=("lines", "sum"),
        coupon_order_share=("has_coupon", "mean"),
        discounted_order_share=("has_discount", "mean"),
    )
    for part in (
        _windows(orders, returned),
        _decayed(orders),
        _rhythm(orders, as_of),
        _breadth(sold, products),
    ):
        table = table.join(part)
    return _features(table.join(_returns(returned)), orders)


def _orders(sold: pd.DataFrame, end_days: float) -> pd.DataFrame:
    sold = sold.assign(has_coupon=sold["coupon"].notna(), has_discount=sold["discount_minor"] > 0)
    orders = sold.groupby(["customer_id", "order_id"], as_index=False).agg(
        ordered_days=("ordered_days", "min"),
        days_ago=("days_ago", "max"),
        value=("amount_minor", "sum"),
        discount=("discount_minor", "sum"),
        quantity=("quantity_minor", "sum"),
        lines=("amount_minor", "size"),
        has_coupon=("has_coupon", "any"),
        has_discount=("has_discount", "any"),
    )
    return orders.assign(days=end_days - orders["ordered_days"])


def _windows(orders: pd.DataFrame, returned: pd.DataFrame) -> pd.DataFrame:
    columns = {}
    for window in WINDOWS:
        recent = orders[orders["days_ago"] <= window].groupby("customer_id")
        columns[f"order_count_{window}"] = recent["order_id"].count()
        columns[f"gross_{window}"] = recent["value"].sum()
        back = returned[returned["days_ago"] <= window].groupby("customer_id")["amount_minor"].sum()
        columns[f"spend_{window}"] = columns[f"gross_{window}"].add(back, fill_value=0) / MONEY
    for window in (30, 90, 180):
        older = orders[(orders["days_ago"] > window) & (orders["days_ago"] <= 2 * window)].groupby(
            "customer_id"
        )
        columns[f"orders_before_{window}"] = older["order_id"].count()
        columns[f"gross_before_{window}"] = older["value"].sum()
    recent_90 = orders[orders["days_ago"] <= 90].groupby("customer_id")
    columns["lines_90"] = recent_90["lines"].sum()
    columns["orders_with_discount_90"] = recent_90["has_discount"].sum()
    recent_180 = orders[orders["days_ago"] <= 180].groupby("customer_id")
    columns["orders_with_coupon_180"] = recent_180["has_coupon"].sum()
    for window in (30, 90):
        ago = orders[(orders["days_ago"] > 365 - window) & (orders["days_ago"] <= 365)].groupby("customer_id")
        columns[f"order_count_year_ago_{window}"] = ago["order_id"].count()
        columns[f"gross_year_ago_{window}"] = ago["value"].sum()
    old = orders[orders["days_ago"] > 335]
    in_season = old[(old["days_ago"] + 29) % 365 < 60]
    columns["old_orders"] = old.groupby("customer_id")["order_id"].count()
    columns["orders_in_season"] = (
        in_season[in_season["days_ago"] <= 1125].groupby("customer_id")["order_id"].count()
    )
    columns["discount_90"] = recent_90["discount"].sum()
    customers = pd.Index(orders["customer_id"].unique(), name="customer_id")
    return pd.DataFrame(columns).reindex(customers).fillna(0.0)


def _decayed(orders: pd.DataFrame) -> pd.DataFrame:
    columns = {}
    for half_life in HALF_LIVES:
        weight = 0.5 ** (orders["days_ago"] / half_life)
        columns[f"decayed_order_count_{half_life}"] = weight.groupby(orders["customer_id"]).sum()
    for half_life in (30, 120):
        fading = orders["value"] / MONEY * 0.5 ** (orders["days_ago"] / half_life)
        columns[f"decayed_spend_{half_life}"] = fading.groupby(orders["customer_id"]).sum()
    return pd.DataFrame(columns)


def _rhythm(orders: pd.DataFrame, as_of: date) -> pd.DataFrame:
    days = orders.groupby(["customer_id", "days_ago"], as_index=False).agg(
        value=("value", "sum"), days=("days", "min")
    )
    days = days.sort_values(["customer_id", "days_ago"])
    by_customer = days.groupby("customer_id")
    days["gap"] = by_customer["days_ago"].shift(-1) - days["days_ago"]
    days["rank"] = by_customer.cumcount() + 1
    days["is_weekend"] = (as_of.weekday() - days["days_ago"]) % 7 >= 5
    days["week"] = (days["days_ago"] - 1) // 7
    days["month"] = (days["days_ago"] - 1) // 30
    days["value_by_rank"] = days["rank"] * days["value"]
    days["is_shorter"] = (days["gap"] < by_customer["days"].transform("min")).where(days["gap"].notna())
    table = days.groupby("customer_id").agg(
        order_day_count=("days_ago", "size"),
        mean_gap_days=("gap", "mean"),
        median_gap_days=("gap", "median"),
        max_gap_days=("gap", "max"),
        gap_deviation_days=("gap", "std"),
        weekend_share=("is_weekend", "mean"),
        active_weeks=("week", "nunique"),
        active_months=("month", "nunique"),
        value_sum=("value", "sum"),
        value_by_rank=("value_by_rank", "sum"),
        value_deviation=("value", "std"),
        oldest=("days_ago", "max"),
        max_order_value=("value", "max"),
        day_value=("value", "mean"),
    )
    newest = days[days["rank"] == 1].set_index("customer_id")
    repeats = days[days["gap"].notna()].groupby("customer_id")
    recent = days[days["rank"] <= 3].groupby("customer_id")
    return table.assign(
        last_gap_days=newest["gap"],
        last_order_value=newest["value"] / MONEY,
        previous_gap_days=days[days["rank"] == 2].set_index("customer_id")["gap"],
        recent_gap_mean_days=recent["gap"].mean(),
        shorter_gap_share=repeats["is_shorter"].mean(),
        repeat_spend_mean=repeats["value"].mean() / MONEY,
        active_week_share=table["active_weeks"] / ((table["oldest"] - 1) // 7 + 1),
        active_month_share=table["active_months"] / ((table["oldest"] - 1) // 30 + 1),
        max_order_value=table["max_order_value"] / MONEY,
    )


def _breadth(sold: pd.DataFrame, products: pd.DataFrame) -> pd.DataFrame:
    described = sold[["customer_id", "product_id", "days_ago"]].merge(products, on="product_id", how="left")
    counts = described.groupby("customer_id").agg(
        product_count=("product_id", "nunique"), category_count=("category", "nunique")
    )
    for column, name in (("product_id", "product"), ("category", "category")):
        firsts = described.groupby(["customer_id", column], as_index=False)["days_ago"].max()
        new = firsts[firsts["days_ago"] <= 90].groupby("customer_id")[column].count()
        counts[f"new_{name}_count_90"] = new.reindex(counts.index).fillna(0)
    return counts


def _returns(returned: pd.DataFrame) -> pd.DataFrame:
    entries = returned.groupby(["customer_id", "order_id", "ordered_days"], as_index=False).agg(
        back=("amount_minor", "sum"), days_ago=("days_ago", "first")
    )
    table = entries.groupby("customer_id").agg(
        return_count=("back", "size"), returned=("back", "sum"), return_recency_days=("days_ago", "min")
    )
    table["return_count_90"] = entries[entries["days_ago"] <= 90].groupby("customer_id")["back"].count()
    table["returned_180"] = entries[entries["days_ago"] <= 180].groupby("customer_id")["back"].sum()
    return table


def _features(table: pd.DataFrame, orders: pd.DataFrame) -> pd.DataFrame:
    table = table.fillna({"return_count": 0, "returned": 0, "return_count_90": 0, "returned_180": 0})
    table["spend_total"] = (table["gross"] + table["returned"]) / MONEY
    table["mean_order_value"] = table["spend_total"] / table["order_count"]
    table["first_to_last_days"] = table["tenure_days"] - table["recency_days"]
    table["orders_per_30_days"] = table["order_count"] * 30 / table["tenure_days"].clip(lower=1)
    table["gap_cv"] = table["gap_deviation_days"] / table["mean_gap_days"]
    for name in ("mean", "median", "max"):
        table[f"recency_over_{name}_gap"] = table["recency_days"] / table[f"{name}_gap_days"]
    table["silence_share"] = table["recency_days"] / table["tenure_days"]
    for window in (30, 90, 180):
        for name, newer, older in (("order_count", "order_count", "orders"), ("spend", "gross", "gross")):
            a, b = table[f"{newer}_{window}"], table[f"{older}_before_{window}"]
            table[f"{name}_change_{window}"] = ((a - b) / (a + b)).where(a + b > 0, 0.0)
    table["lines_per_order"] = table["line_count"] / table["order_count"]
    table["line_value_mean"] = table["gross"] / MONEY / table["line_count"]
    table["quantity_per_order"] = table["quantity"] / 1000 / table["order_count"]
    table["repeat_line_share"] = 1 - table["product_count"] / table["line_count"]
    table["returned_spend_share"] = -table["returned"] / table["gross"]
    table["discount_share"] = table["discount"] / (table["gross"] + table["discount"])
    table["repeat_line_share_90"] = 1 - table["new_product_count_90"] / table["lines_90"]
    table["lines_per_order_90"] = table["lines_90"] / table["order_count_90"]
    table["new_products_per_order"] = table["product_count"] / table["order_count"]
    table["returns_per_order"] = table["return_count"] / table["order_count"]
    table["returned_spend_share_180"] = -table["returned_180"] / table["gross_180"]
    table["discount_share_90"] = table["discount_90"] / (table["gross_90"] + table["discount_90"])
    table["discounted_order_share_90"] = table["orders_with_discount_90"] / table["order_count_90"]
    table["coupon_order_share_180"] = table["orders_with_coupon_180"] / table["order_count_180"]
    return _comparisons(table, orders).sort_index()


def _comparisons(table: pd.DataFrame, orders: pd.DataFrame) -> pd.DataFrame:
    days = orders.groupby(["customer_id", "days_ago"])["value"].sum().reset_index()
    usual_gap = (days.groupby("customer_id")["days_ago"].shift(-1) - days["days_ago"]).median()
    table["order_value_over_usual"] = table["day_value"] / days["value"].median()
    table["recency_over_usual_gap"] = table["recency_days"] / usual_gap
    table["recency_over_recent_gap"] = table["recency_days"] / table["recent_gap_mean_days"]
    table["last_gap_over_mean_gap"] = table["last_gap_days"] / table["mean_gap_days"]
    table["recent_gap_over_mean_gap"] = table["recent_gap_mean_days"] / table["mean_gap_days"]
    late = table["recency_days"] - table["mean_gap_days"]
    table["recency_gap_score"] = late / table["gap_deviation_days"].clip(lower=1)
    table["last_order_value_over_mean"] = table["last_order_value"] * MONEY / table["day_value"]
    table["order_value_cv"] = table["value_deviation"] / table["day_value"]
    count = table["order_day_count"]
    slope = (table["value_sum"] * (count + 1) / 2 - table["value_by_rank"]) / ((count**2 - 1) * count / 12)
    table["order_value_slope"] = slope / table["day_value"]
    has_year = table["tenure_days"] >= 365
    for window in (30, 90):
        name = f"order_count_year_ago_{window}"
        table[name] = table[name].where(has_year)
    table["spend_year_ago_90"] = (table["gross_year_ago_90"] / MONEY).where(has_year)
    table["season_order_share"] = table["orders_in_season"] / table["old_orders"]
    return table
