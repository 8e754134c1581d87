"""The same columns as a person would write them in Polars for one snapshot: the yardstick for our overhead.

Everything that comes from order lines and products is here; event and calendar columns, which cost nothing
in a shop without events, are not.
"""

from datetime import date
from pathlib import Path

import polars as pl

WINDOWS = (7, 14, 30, 60, 90, 180, 365)
HALF_LIVES = (7, 15, 30, 60, 120, 240)
CHANGES = (30, 90, 180)
MONEY, UNITS = 10_000, 1_000


def build(folder: Path, *, as_of: date, end_days: float) -> pl.DataFrame:
    """Return one row per customer with an order before the snapshot, sorted by customer."""
    known = pl.scan_parquet(folder / "g*/order_lines/*.parquet").filter(pl.col("ordered_days") < end_days)
    products = pl.scan_parquet(folder / "g*/products.parquet").select("product_id", "category")
    ago = (end_days - pl.col("ordered_days")).ceil().cast(pl.Int32).alias("ago")
    sold = known.filter(~pl.col("is_return")).with_columns(ago)
    orders = _orders(sold, end_days)
    customers = (
        orders.group_by("customer_id")
        .agg(*_order_aggregates())
        .join(_days(orders, as_of), on="customer_id", how="left")
        .join(_breadth(sold, products), on="customer_id", how="left")
        .join(_returns(known.filter("is_return").with_columns(ago)), on="customer_id", how="left")
        .with_columns(pl.col("return_count", "return_count_90", "^new_.*$").fill_null(0))
    )
    table = customers.collect()
    gaps = orders.select("customer_id", "ago").unique().sort("customer_id", "ago").collect()
    step = gaps.select(gap=pl.col("ago").shift(-1).over("customer_id") - pl.col("ago"))
    day_value = (
        orders.group_by("customer_id", "ago").agg(pl.col("value").sum()).select(pl.col("value").median())
    )
    return _features(table, as_of, step["gap"].median(), day_value.collect().item()).sort("customer_id")


def _orders(sold: pl.LazyFrame, end_days: float) -> pl.LazyFrame:
    return sold.group_by("customer_id", "order_id").agg(
        days=end_days - pl.col("ordered_days").min(),
        ago=pl.col("ago").max(),
        value=pl.col("amount_minor").sum(),
        discount=pl.col("discount_minor").sum(),
        quantity=pl.col("quantity_minor").sum(),
        lines=pl.len(),
        has_coupon=pl.col("coupon").is_not_null().any(),
        has_discount=(pl.col("discount_minor") > 0).any(),
    )


def _order_aggregates() -> list[pl.Expr]:
    ago, value = pl.col("ago"), pl.col("value")
    old = ago > 335
    season = pl.any_horizontal(*(ago.is_between(365 * y - 29, 365 * y + 30) for y in (1, 2, 3)))
    return [
        pl.col("days").min().alias("recency_days"),
        pl.col("days").max().alias("tenure_days"),
        pl.len().alias("order_count"),
        value.sum().alias("gross"),
        *((ago <= w).sum().alias(f"order_count_{w}") for w in WINDOWS),
        *(value.filter(ago <= w).sum().alias(f"gross_{w}") for w in WINDOWS),
        *(ago.is_between(w + 1, 2 * w).sum().alias(f"orders_before_{w}") for w in CHANGES),
        *(value.filter(ago.is_between(w + 1, 2 * w)).sum().alias(f"gross_before_{w}") for w in CHANGES),
        *((0.5 ** (ago / w)).sum().alias(f"decayed_order_count_{w}") for w in HALF_LIVES),
        *((value * 0.5 ** (ago / w)).sum().alias(f"decayed_{w}") for w in (30, 120)),
        pl.col("lines").sum().alias("line_count"),
        pl.col("lines").filter(ago <= 90).sum().alias("lines_90"),
        pl.col("quantity").sum(),
        pl.col("discount").sum(),
        pl.col("discount").filter(ago <= 90).sum().alias("discount_90"),
        pl.col("has_discount").mean().alias("discounted_order_share"),
        pl.col("has_discount").filter(ago <= 90).mean().alias("discounted_order_share_90"),
        pl.col("has_coupon").mean().alias("coupon_order_share"),
        pl.col("has_coupon").filter(ago <= 180).mean().alias("coupon_order_share_180"),
        *(ago.is_between(366 - w, 365).sum().alias(f"order_count_year_ago_{w}") for w in (30, 90)),
        value.filter(ago.is_between(276, 365)).sum().alias("gross_year_ago"),
        (season & old).sum().alias("in_season"),
        old.sum().alias("old"),
    ]


def _days(orders: pl.LazyFrame, as_of: date) -> pl.LazyFrame:
    """Return rhythm and order-day values, from order days sorted by time."""
    days = (
        orders.group_by("customer_id", "ago")
        .agg(pl.col("value").sum(), pl.col("days").min())
        .sort("customer_id", "ago")
        .with_columns(
            gap=pl.col("ago").shift(-1).over("customer_id") - pl.col("ago"),
            rank=pl.col("ago").cum_count().over("customer_id").cast(pl.Int64),
            recency=pl.col("days").min().over("customer_id"),
        )
    )
    gap, value, rank, ago = pl.col("gap"), pl.col("value"), pl.col("rank"), pl.col("ago")
    return days.group_by("customer_id").agg(
        pl.len().alias("order_day_count"),
        gap.mean().alias("mean_gap_days"),
        gap.median().alias("median_gap_days"),
        gap.max().alias("max_gap_days"),
        gap.filter(rank == 1).first().alias("last_gap_days"),
        gap.filter(rank == 2).first().alias("previous_gap_days"),
        gap.filter(rank <= 3).mean().alias("recent_gap_mean_days"),
        gap.std().alias("gap_deviation_days"),
        (gap < pl.col("recency")).mean().alias("shorter_gap_share"),
        value.filter(gap.is_not_null()).mean().alias("repeat_spend_mean"),
        ((as_of.weekday() - ago) % 7 >= 5).mean().alias("weekend_share"),
        (((ago - 1) // 7).n_unique() / ((ago.max() - 1) // 7 + 1)).alias("active_week_share"),
        (((ago - 1) // 30).n_unique() / ((ago.max() - 1) // 30 + 1)).alias("active_month_share"),
        value.max().alias("max_order_value"),
        value.mean().alias("day_value"),
        value.filter(rank == 1).first().alias("last_order_value"),
        value.std().alias("day_value_deviation"),
        (pl.cov(-rank, value) / rank.var()).alias("slope"),
    )


def _breadth(sold: pl.LazyFrame, products: pl.LazyFrame) -> pl.LazyFrame:
    parts = []
    described = sold.select("customer_id", "ago", "product_id").join(products, on="product_id", how="left")
    for name, column in (("product", "product_id"), ("category", "category")):
        firsts = described.group_by("customer_id", column).agg(pl.col("ago").max())
        parts.append(
            firsts.group_by("customer_id").agg(
                pl.len().alias(f"{name}_count"), (pl.col("ago") <= 90).sum().alias(f"new_{name}_count_90")
            )
        )
    return parts[0].join(parts[1], on="customer_id", how="left")


def _returns(returned: pl.LazyFrame) -> pl.LazyFrame:
    back, ago = -pl.col("amount_minor"), pl.col("ago")
    entries = returned.group_by("customer_id", "order_id", "ordered_days").agg(
        back.sum().alias("back"), ago.first()
    )
    return entries.group_by("customer_id").agg(
        pl.len().alias("return_count"),
        (ago <= 90).sum().alias("return_count_90"),
        pl.col("back").sum().alias("returned"),
        *(pl.col("back").filter(ago <= w).sum().alias(f"returned_{w}") for w in WINDOWS),
        ago.min().alias("return_recency_days"),
    )


def _features(table: pl.DataFrame, as_of: date, usual_gap: object, usual_value: float) -> pl.DataFrame:
    c = pl.col
    mean, recency, deviation = c("mean_gap_days"), c("recency_days"), c("gap_deviation_days")
    year = c("tenure_days") >= 365
    base = table.with_columns(
        spend_total=(c("gross") - c("returned").fill_null(0)) / MONEY,
        **{f"spend_{w}": (c(f"gross_{w}") - c(f"returned_{w}").fill_null(0)) / MONEY for w in WINDOWS},
        **{f"decayed_spend_{w}": c(f"decayed_{w}") / MONEY for w in (30, 120)},
        **{name: c(name) / MONEY for name in ("repeat_spend_mean", "max_order_value", "last_order_value")},
        first_to_last_days=c("tenure_days") - recency,
        orders_per_30_days=c("order_count") * 30 / c("tenure_days").clip(1),
        gap_cv=deviation / mean,
        last_gap_over_mean_gap=c("last_gap_days") / mean,
        recent_gap_over_mean_gap=c("recent_gap_mean_days") / mean,
        recency_over_mean_gap=recency / mean,
        recency_over_median_gap=recency / c("median_gap_days"),
        recency_over_max_gap=recency / c("max_gap_days"),
        recency_over_recent_gap=recency / c("recent_gap_mean_days"),
        recency_gap_score=(recency - mean) / deviation.clip(1),
        recency_over_usual_gap=recency / pl.lit(usual_gap),
        silence_share=recency / c("tenure_days"),
        order_value_over_usual=c("day_value") / usual_value,
        last_order_value_over_mean=c("last_order_value") / c("day_value"),
        order_value_cv=c("day_value_deviation") / c("day_value"),
        order_value_slope=c("slope") / c("day_value"),
        lines_per_order=c("line_count") / c("order_count"),
        lines_per_order_90=c("lines_90") / c("order_count_90"),
        quantity_per_order=c("quantity") / UNITS / c("order_count"),
        line_value_mean=c("gross") / MONEY / c("line_count"),
        new_products_per_order=c("product_count") / c("order_count"),
        repeat_line_share=1 - c("product_count") / c("line_count"),
        repeat_line_share_90=1 - c("new_product_count_90") / c("lines_90"),
        returns_per_order=c("return_count") / c("order_count"),
        returned_spend_share=c("returned").fill_null(0) / c("gross"),
        returned_spend_share_180=c("returned_180").fill_null(0) / c("gross_180"),
        discount_share=c("discount") / (c("gross") + c("discount")),
        discount_share_90=c("discount_90") / (c("gross_90") + c("discount_90")),
        **{
            name: pl.when(year).then(c(name))
            for name in ("order_count_year_ago_30", "order_count_year_ago_90")
        },
        spend_year_ago_90=pl.when(year).then(c("gross_year_ago")) / MONEY,
        season_order_share=c("in_season") / c("old"),
    )
    return base.with_columns(
        mean_order_value=c("spend_total") / c("order_count"),
        last_order_value_over_mean=c("last_order_value") * MONEY / c("day_value"),
        **{f"order_count_change_{w}": _change(f"order_count_{w}", f"orders_before_{w}") for w in CHANGES},
        **{f"spend_change_{w}": _change(f"gross_{w}", f"gross_before_{w}") for w in CHANGES},
        as_of=pl.lit(as_of),
    )


def _change(newer: str, older: str) -> pl.Expr:
    total = pl.col(newer) + pl.col(older)
    return pl.when(total > 0).then(2 * pl.col(newer) / total - 1).otherwise(0.0)
