"""From order lines to the ledger: the rows that every feature and label is computed from.

The ledger holds one row per customer and instant, and each row says only what that instant added:

    orders opened        an order opens at its first line that is no return, and never again
    sales and returns    money, units and lines; a return counts at its own, later instant
    first purchases      products and categories that the customer had never bought before

So the ledger depends on no snapshot: what was known at D is its rows before D, whatever happened later. Sums over its rows give distinct orders and products without counting distinct values anew for every snapshot.
"""

from typing import Any

import narwhals as nw

from features.snapshot import Snapshot

# An event is of the first kind of which its type holds a word; what fits none is still an act.
EVENT_WORDS = {
    "message": ("sent", "send", "deliver"),
    "redemption": ("redeem",),
    "open": ("open",),
    "click": ("click",),
    "cart": ("cart", "checkout", "wish"),
    "ticket": ("ticket", "support", "complain"),
    "feedback": ("feedback", "review", "rating", "survey"),
    "view": ("view", "visit", "session"),
}

LINE_COLUMNS = (
    "customer_id",
    "order_id",
    "ordered_days",
    "product_id",
    "amount_minor",
    "quantity_minor",
    "discount_minor",
    "coupon",
    "is_return",
)
COUNT_COLUMNS = (
    "order_count",
    "sale_count",
    "gross_minor",
    "discount_minor",
    "quantity_minor",
    "line_count",
    "product_line_count",
    "coupon_sale_count",
    "discounted_sale_count",
    "return_count",
    "return_minor",
    "new_product_count",
    "new_category_count",
)
_HALF_MICROSECOND_DAYS = 0.5e-6 / 86_400

Frame = nw.LazyFrame[Any]


def ledger_rows(lines: Frame, products: Frame | None) -> Frame:
    """Turn order lines into the ledger (columns `customer_id`, `ordered_days`, `COUNT_COLUMNS`).

    `products` (product_id, category) may be None; a category describes the line's product and counts as known
    with the line, whenever the product table was loaded. A sale is one order at one instant: nearly always
    the whole order.
    """
    sold = lines.filter(~nw.col("is_return"))
    parts = [_sales(sold), _returns(lines), _firsts(sold, products)]
    together = nw.concat([_filled(part) for part in parts], how="vertical")
    return together.group_by("customer_id", "ordered_days").agg(_sum(*COUNT_COLUMNS))


def event_rows(events: Frame) -> Frame:
    """Turn events into rows like the ledger's: customer, `ordered_days`, and a 0/1 count a kind of event."""
    words = nw.col("event_type").str.to_lowercase()
    kinds: dict[str, nw.Expr] = {}
    taken = nw.lit(False)
    for kind, parts in EVENT_WORDS.items():
        fits = words.str.contains("|".join(parts))
        kinds[f"{kind}_count"] = _one_where(fits & ~taken)
        taken = taken | fits
    acts = 1 - kinds["message_count"]
    return events.select(
        "customer_id",
        nw.col("occurred_days").alias("ordered_days"),
        acts.alias("act_count"),
        *(count.alias(name) for name, count in kinds.items()),
    )


def known_rows(rows: Frame, snapshot: Snapshot) -> Frame:
    """Keep the rows known at a snapshot and add `days_ago`: 24-hour days back from it, 1 = the last one."""
    days = nw.col("ordered_days")
    known = days < snapshot.end_days
    if snapshot.start_days is not None:
        known = known & (days >= snapshot.start_days)
    ago = (nw.lit(snapshot.end_days) - days - _HALF_MICROSECOND_DAYS).ceil()
    return rows.filter(known).with_columns(ago.cast(nw.Int64).alias("days_ago"))


def order_days(known: Frame, snapshot: Snapshot) -> Frame:
    """Return one row per customer and day that holds an order, with gaps between order days.

    `rank` is 1 on the newest order day; `gap_days` leads from the order day before to this one and is missing
    on the first; `oldest_order` and `newest_order` are the day's first and last order in exact days before
    the snapshot;
    `recency` repeats the customer's newest one.
    """
    opened = nw.when(nw.col("order_count") > 0).then(nw.lit(snapshot.end_days) - nw.col("ordered_days"))
    by_day = (
        known.filter(nw.col("sale_count") > 0)
        .with_columns(opened.alias("opened"))
        .group_by("customer_id", "days_ago")
        .agg(
            nw.col("order_count").sum().cast(nw.Int64),
            nw.col("gross_minor").sum().cast(nw.Int64),
            nw.col("opened").max().alias("oldest_order"),
            nw.col("opened").min().alias("newest_order"),
        )
        .filter(nw.col("order_count") > 0)
    )
    older = nw.col("days_ago").shift(-1).over("customer_id", order_by="days_ago")
    return by_day.with_columns(
        (older - nw.col("days_ago")).alias("gap_days"),
        nw.col("days_ago").cum_count().over("customer_id", order_by="days_ago").cast(nw.Int64).alias("rank"),
        nw.col("newest_order").min().over("customer_id").alias("recency"),
    )


def _sales(sold: Frame) -> Frame:
    sales = sold.group_by("customer_id", "order_id", "ordered_days").agg(
        _sum("amount_minor").alias("gross_minor"),
        _sum("discount_minor", "quantity_minor"),
        nw.len().cast(nw.Int64).alias("line_count"),
        nw.col("product_id").count().cast(nw.Int64).alias("product_line_count"),
        nw.col("coupon").count().alias("coupon_line_count"),
    )
    return sales.with_columns(
        _one_where(nw.col("line_count") > 0).alias("sale_count"),
        _one_where(nw.col("coupon_line_count") > 0).alias("coupon_sale_count"),
        _one_where(nw.col("discount_minor") > 0).alias("discounted_sale_count"),
    )


def _returns(lines: Frame) -> Frame:
    returns = lines.filter(nw.col("is_return")).group_by("customer_id", "order_id", "ordered_days")
    returned = returns.agg(_sum("amount_minor").alias("amount"))
    return returned.with_columns(
        (nw.col("amount") * -1).alias("return_minor"), (nw.col("amount") * 0 + 1).alias("return_count")
    )


def _firsts(sold: Frame, products: Frame | None) -> Frame:
    """Count by customer and instant what was opened or bought there for the first time."""
    first = nw.col("ordered_days").min()
    bought = sold.filter(~nw.col("product_id").is_null()).group_by("customer_id", "product_id").agg(first)
    parts = {
        "order_count": sold.group_by("customer_id", "order_id").agg(first),
        "new_product_count": bought,
    }
    if products is not None:
        described = bought.join(products.select("product_id", "category"), on="product_id")
        sorted_by_category = described.filter(~nw.col("category").is_null())
        parts["new_category_count"] = sorted_by_category.group_by("customer_id", "category").agg(first)
    marked = [_marked(rows, name, tuple(parts)) for name, rows in parts.items()]
    return nw.concat(marked, how="vertical").group_by("customer_id", "ordered_days").agg(_sum(*parts))


def _marked(rows: Frame, name: str, names: tuple[str, ...]) -> Frame:
    marks = [nw.lit(int(other == name)).cast(nw.Int64).alias(other) for other in names]
    return rows.select("customer_id", "ordered_days", *marks)


def _filled(part: Frame) -> Frame:
    present = set(part.collect_schema().names())
    counts = [
        nw.col(name) if name in present else nw.lit(0).cast(nw.Int64).alias(name) for name in COUNT_COLUMNS
    ]
    return part.select("customer_id", "ordered_days", *counts)


def _sum(*columns: str) -> nw.Expr:
    return nw.col(*columns).sum().cast(nw.Int64).fill_null(0)


def _one_where(condition: nw.Expr) -> nw.Expr:
    return nw.when(condition).then(nw.lit(1)).otherwise(nw.lit(0)).cast(nw.Int64)
