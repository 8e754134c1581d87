"""From order lines to the ledger: the rows that every feature and label is computed from.

The ledger holds one row per customer, instant and kind of entry, and each row says only what that instant
added:

    sale     the non-return lines of one order at one instant; `order_count` is 1 on the order's first
    instant, else 0 return   the return lines of one order at one instant (a return carries its own, later
    date) first    products, categories … that the customer had never bought before that instant

So the ledger does not depend on a snapshot: what was known at D is its rows before D, whatever happened
later. Sums over its rows give distinct products and orders without counting distinct values anew for every
snapshot.
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
    "gross_minor",
    "return_minor",
    "return_count",
    "discount_minor",
    "quantity_minor",
    "line_count",
    "product_line_count",
    "coupon_order_count",
    "discounted_order_count",
    "new_product_count",
    "new_category_count",
    "new_subcategory_count",
    "new_brand_count",
)
_HALF_MICROSECOND_DAYS = 0.5e-6 / 86_400

Frame = nw.LazyFrame[Any]


def ledger_rows(lines: Frame, products: Frame | None) -> Frame:
    """Turn order lines into the ledger (columns `customer_id`, `ordered_days`, `COUNT_COLUMNS`).

    `products` (product_id, category, subcategory, brand) may be None; its attributes describe the line's
    product and count as known with the line.
    """
    parts = [_sales(lines), _returns(lines), *_firsts(lines, products)]
    return nw.concat([_filled(part) for part in parts], how="vertical")


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
        known.filter(nw.col("line_count") > 0)
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


def _sales(lines: Frame) -> Frame:
    instants = (
        lines.filter(~nw.col("is_return"))
        .group_by("customer_id", "order_id", "ordered_days")
        .agg(
            _sum("amount_minor").alias("gross_minor"),
            _sum("discount_minor"),
            _sum("quantity_minor"),
            nw.len().cast(nw.Int64).alias("line_count"),
            nw.col("product_id").count().cast(nw.Int64).alias("product_line_count"),
            nw.col("coupon").count().cast(nw.Int64).alias("coupon_line_count"),
        )
    )
    opens = nw.col("ordered_days") == nw.col("ordered_days").min().over("customer_id", "order_id")
    return instants.with_columns(_one_where(opens).alias("order_count")).with_columns(
        (_one_where(nw.col("coupon_line_count") > 0) * nw.col("order_count")).alias("coupon_order_count"),
        (_one_where(nw.col("discount_minor") > 0) * nw.col("order_count")).alias("discounted_order_count"),
    )


def _returns(lines: Frame) -> Frame:
    return (
        lines.filter(nw.col("is_return"))
        .group_by("customer_id", "order_id", "ordered_days")
        .agg((-nw.col("amount_minor")).sum().cast(nw.Int64).alias("return_minor"))
        .with_columns(nw.lit(1).cast(nw.Int64).alias("return_count"))
    )


def _firsts(lines: Frame, products: Frame | None) -> list[Frame]:
    bought = (
        lines.filter(~nw.col("is_return") & ~nw.col("product_id").is_null())
        .group_by("customer_id", "product_id")
        .agg(nw.col("ordered_days").min())
    )
    parts = [_count_firsts(bought, "new_product_count")]
    if products is None:
        return parts
    described = bought.join(
        products.select("product_id", "category", "subcategory", "brand"), on="product_id"
    )
    for attribute in ("category", "subcategory", "brand"):
        firsts = (
            described.filter(~nw.col(attribute).is_null())
            .group_by("customer_id", attribute)
            .agg(nw.col("ordered_days").min())
        )
        parts.append(_count_firsts(firsts, f"new_{attribute}_count"))
    return parts


def _count_firsts(firsts: Frame, name: str) -> Frame:
    return firsts.group_by("customer_id", "ordered_days").agg(nw.len().cast(nw.Int64).alias(name))


def _filled(part: Frame) -> Frame:
    present = set(part.collect_schema().names())
    counts = [
        nw.col(name) if name in present else nw.lit(0).cast(nw.Int64).alias(name) for name in COUNT_COLUMNS
    ]
    return part.select("customer_id", "ordered_days", *counts)


def _sum(column: str) -> nw.Expr:
    return nw.col(column).sum().cast(nw.Int64).fill_null(0)


def _one_where(condition: nw.Expr) -> nw.Expr:
    return nw.when(condition).then(nw.lit(1)).otherwise(nw.lit(0)).cast(nw.Int64)
