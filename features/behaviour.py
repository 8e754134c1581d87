"""What a customer has done, in counts and last times: units, coupons, views, visits, clicks, tier.

The counts are sums over the rows that features are made of (`features.orders`), so that a count and a feature
of one name agree. What the shop records for nobody is missing for everybody.
"""

from collections.abc import Iterable, Sequence

import narwhals as nw
import polars as pl

from features.build import Part
from features.expressions import recorded, sum_where, within
from features.history import QUANTITY_SCALE, History
from features.orders import Frame, known_rows, product_views
from features.shop import ShopFacts
from features.snapshot import Snapshot

LEDGER_COUNTS = {
    "item_count": "quantity_minor",
    "coupon_order_count": "coupon_sale_count",
    "discounted_order_count": "discounted_sale_count",
}
EVENT_KINDS = ("view", "cart", "message", "open", "click")
LAST_KINDS = ("act", "view", "open", "click")
RECENT_DAYS = 90
_TIER_WORD = "tier"
_SOURCES = {"visit_count": "view_count", "viewed_again_product_count": "view_count"}


def read_behaviour(
    history: History, parts: Sequence[Part], snapshot: Snapshot, *, bucket: int, shop: ShopFacts
) -> pl.DataFrame:
    """Return one row per customer of a bucket with an order or event before the snapshot.

    `parts` are the rows of the same bucket (`features.build.read_parts`).

    `item_count`                     units bought (not less what was given back)
    `coupon_order_count`, `discounted_order_count`
    `view_count`, `view_count_90`, … events of a kind, ever and within 90 days
    `visit_count`                    24-hour days with a view or visit
    `viewed_again_product_count`     products viewed at least twice
    `last_act_days`, `last_view_days`, `last_open_days`, `last_click_days`   days since 1970
    `loyalty_tier`                   the value of the newest event whose type speaks of a tier
    """
    engine = parts[0].engine
    events = history.scan("events", engine=engine, buckets=[bucket])
    tables = [
        _gathered(_ledger_counts(known_rows(part.scan(part.ledger), snapshot), shop) for part in parts),
        _gathered(_event_counts(known_rows(part.scan(part.events), snapshot), shop) for part in parts),
        _gathered(_visits(known_rows(part.scan(part.events), snapshot)) for part in parts),
        _gathered([_viewed_again(known_rows(product_views(events), snapshot))]),
        _gathered([_tiers(events, snapshot)]),
    ]
    rows: pl.DataFrame = tables[0]
    for table in tables[1:]:
        rows = rows.join(table, on="customer_id", how="full", coalesce=True)
    return rows.with_columns(*_nobodys_nothing(rows, shop)).sort("customer_id")


def _gathered(frames: Iterable[Frame]) -> pl.DataFrame:
    tables: list[pl.DataFrame] = [frame.collect("polars").to_native() for frame in frames]
    return pl.concat(tables)


def _ledger_counts(ledger: Frame, shop: ShopFacts) -> Frame:
    sums = {name: nw.col(source).sum() for name, source in LEDGER_COUNTS.items()}
    totals = ledger.group_by("customer_id").agg(*(total.alias(name) for name, total in sums.items()))
    floats = totals.with_columns(nw.col(*sums).cast(nw.Float64))
    return floats.select(
        "customer_id",
        *(
            recorded(
                nw.col(name) / (QUANTITY_SCALE if source == "quantity_minor" else 1),
                is_recorded=shop.records(source),
            ).alias(name)
            for name, source in LEDGER_COUNTS.items()
        ),
    )


def _event_counts(events: Frame, shop: ShopFacts) -> Frame:
    counts = {f"{kind}_count": nw.col(f"{kind}_count").sum() for kind in EVENT_KINDS}
    counts |= {
        f"{kind}_count_{RECENT_DAYS}": sum_where(within(RECENT_DAYS), f"{kind}_count") for kind in EVENT_KINDS
    }
    lasts = {
        f"last_{kind}_days": nw.when(nw.col(f"{kind}_count") > 0).then(nw.col("ordered_days")).max()
        for kind in LAST_KINDS
    }
    totals = events.group_by("customer_id").agg(
        *(total.alias(f"{name}_sum") for name, total in counts.items()),
        *(last.alias(name) for name, last in lasts.items()),
    )
    return totals.select(
        "customer_id",
        *(nw.col(f"{name}_sum").cast(nw.Float64).alias(name) for name in counts),
        *lasts,
    )


def _visits(events: Frame) -> Frame:
    days = events.filter(nw.col("view_count") > 0).group_by("customer_id", "days_ago").agg(nw.len())
    return (
        days.group_by("customer_id")
        .agg(nw.len().alias("visits"))
        .select("customer_id", nw.col("visits").cast(nw.Float64).alias("visit_count"))
    )


def _viewed_again(views: Frame) -> Frame:
    times = views.group_by("customer_id", "product_id").agg(nw.len().alias("times"))
    again = times.filter(nw.col("times") > 1).group_by("customer_id").agg(nw.len().alias("products"))
    return again.select(
        "customer_id", nw.col("products").cast(nw.Float64).alias("viewed_again_product_count")
    )


def _tiers(events: Frame, snapshot: Snapshot) -> Frame:
    told = events.filter(
        nw.col("event_type").str.to_lowercase().str.contains(_TIER_WORD) & ~nw.col("value").is_null()
    ).select("customer_id", nw.col("occurred_days").alias("ordered_days"), "value")
    known = known_rows(told, snapshot)
    newest = known.with_columns(nw.col("ordered_days").max().over("customer_id").alias("newest"))
    # Two at one instant: the higher one.
    last = newest.filter(nw.col("ordered_days") == nw.col("newest"))
    return last.group_by("customer_id").agg(nw.col("value").max().alias("loyalty_tier"))


def _nobodys_nothing(rows: pl.DataFrame, shop: ShopFacts) -> list[pl.Expr]:
    """Count nothing as 0 of whoever did nothing, in a shop that records it of others."""
    filled: list[pl.Expr] = []
    for name in rows.columns:
        source = name.removesuffix(f"_{RECENT_DAYS}")
        if name in LEDGER_COUNTS:
            filled.append(pl.col(name).fill_nan(None))
        elif source.endswith("_count"):
            is_recorded = shop.records(_SOURCES.get(source, source))
            nothing = pl.lit(None, pl.Float64).alias(name)
            filled.append(pl.col(name).fill_null(0.0) if is_recorded else nothing)
    return filled
