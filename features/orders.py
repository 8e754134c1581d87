"""From order lines to the ledger: the rows that every feature and label is computed from.

The ledger holds one row per customer and instant, and each row says only what that instant added:

    orders opened        an order opens at its first line that is no return, and never again
    sales and returns    money, units and lines; a return counts at its own, later instant
    cost                 what the instant's goods cost the shop (`cost_minor`, returns subtract), and the net
                         money of goods of which nobody knows it (`uncosted_minor`); see `features.margin`
    first purchases      products and categories that the customer had never bought before

So the ledger depends on no snapshot: what was known at D is its rows before D, whatever happened later. Sums
over its rows give distinct orders and products without counting distinct values anew for every snapshot.
"""

from typing import Any

import narwhals as nw

from features.expressions import one_where, sum_where
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
    "cost_minor",
    "uncosted_minor",
    "new_product_count",
    "new_category_count",
)
_HALF_MICROSECOND_DAYS = 0.5e-6 / 86_400

Frame = nw.LazyFrame[Any]
Lines = nw.LazyFrame[Any] | nw.DataFrame[Any]


def ledger_rows(lines: Lines) -> Frame:
    """Turn order lines (`LINE_COLUMNS` and `category`) into the ledger (customer, instant, `COUNT_COLUMNS`).

    Where any cost is known, lines have `cost_minor` (`features.margin.line_cost`).
    The lines of an eager frame must stand in stored order, which spares sorting them. A category describes
    the line's product and counts as known with the line, whenever the product table was loaded. A sale is
    what a customer bought at one instant: nearly always one order.
    """
    sold = ~nw.col("is_return")
    marked = lines.with_columns(
        one_where(_is_first("order_id", lines)).alias("order_count"),
        one_where(_is_first("product_id", lines)).alias("new_product_count"),
        one_where(_is_first("category", lines)).alias("new_category_count"),
    )
    totals = (
        marked.lazy()
        .group_by("customer_id", "ordered_days")
        .agg(
            *(
                nw.col(name).sum().cast(nw.Int64)
                for name in ("order_count", "new_product_count", "new_category_count")
            ),
            _total(sold, "amount_minor").alias("gross_minor"),
            _total(sold, "discount_minor"),
            _total(sold, "quantity_minor"),
            _total(sold, nw.lit(1)).alias("line_count"),
            _total(sold & ~nw.col("product_id").is_null(), nw.lit(1)).alias("product_line_count"),
            _total(sold & ~nw.col("coupon").is_null(), nw.lit(1)).alias("coupon_line_count"),
            _total(~sold, nw.lit(1)).alias("return_line_count"),
            _total(~sold, nw.col("amount_minor") * -1).alias("return_minor"),
            *_cost_totals(lines),
        )
    )
    once = {"sale": "line_count", "coupon_sale": "coupon_line_count", "discounted_sale": "discount_minor"}
    once["return"] = "return_line_count"
    counted = _with_costs(totals).with_columns(
        one_where(nw.col(what) > 0).alias(f"{name}_count") for name, what in once.items()
    )
    return counted.select("customer_id", "ordered_days", *COUNT_COLUMNS)


def event_rows(events: Frame) -> Frame:
    """Turn events into rows like the ledger's: customer, `ordered_days`, and a 0/1 count a kind of event."""
    kinds = _event_kinds()
    acts = 1 - kinds["message_count"]
    return events.select(
        "customer_id",
        nw.col("occurred_days").alias("ordered_days"),
        acts.alias("act_count"),
        *(count.alias(name) for name, count in kinds.items()),
    )


def product_views(events: Frame) -> Frame:
    """Return the views of events that name a product: customer, `ordered_days` and `product_id`."""
    viewed = events.with_columns(_event_kinds()["view_count"].alias("view_count"))
    return viewed.filter((nw.col("view_count") > 0) & ~nw.col("product_id").is_null()).select(
        "customer_id", nw.col("occurred_days").alias("ordered_days"), "product_id"
    )


def _event_kinds() -> dict[str, nw.Expr]:
    """Return a 0/1 count of each kind of event; an event is of the first kind that fits."""
    words = nw.col("event_type").str.to_lowercase()
    kinds: dict[str, nw.Expr] = {}
    taken = nw.lit(False)
    for kind, parts in EVENT_WORDS.items():
        fits = words.str.contains("|".join(parts))
        kinds[f"{kind}_count"] = one_where(fits & ~taken)
        taken = taken | fits
    return kinds


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


def _is_first(column: str, lines: Lines) -> nw.Expr:
    """Say whether a sold line is the customer's first one with its value, in time."""
    value = nw.when(~nw.col("is_return")).then(nw.col(column))
    seen = value.is_first_distinct()
    if isinstance(lines, nw.LazyFrame):
        # Within one instant it does not matter which line is marked: their sum is the same.
        return seen.over("customer_id", order_by="ordered_days") & ~value.is_null()
    return seen.over("customer_id") & ~value.is_null()


def _cost_totals(lines: Lines) -> list[nw.Expr]:
    """Sum the costs of lines, and the money of those without one; nothing where no cost is known at all."""
    if "cost_minor" not in lines.collect_schema().names():
        return []
    unknown = nw.col("cost_minor").is_null()
    return [_total(~unknown, "cost_minor"), _total(unknown, "amount_minor").alias("uncosted_minor")]


def _with_costs(totals: Frame) -> Frame:
    if "cost_minor" in totals.collect_schema().names():
        return totals
    nothing = nw.lit(0).cast(nw.Int64).alias("cost_minor")
    return totals.with_columns(
        nothing, (nw.col("gross_minor") - nw.col("return_minor")).alias("uncosted_minor")
    )


def _total(rows: nw.Expr, value: str | nw.Expr) -> nw.Expr:
    return sum_where(rows, value).cast(nw.Int64)
