"""How items sell lately, against what they and the whole shop sold in the weeks before."""

import narwhals as nw
import polars as pl

from features.build import bucket_groups
from features.history import History
from features.interactions import collected, known_product_lines, sum_by_order
from features.settings import Engine, Settings
from features.snapshot import Snapshot

TREND_SCHEMA = pl.Schema(
    {
        "product_id": pl.String,
        "recent_order_count": pl.Int64,
        "earlier_order_count": pl.Int64,
        "recent_shop_count": pl.Int64,
        "earlier_shop_count": pl.Int64,
    }
)
# What is usual is learnt from this many windows before the newest one.
_EARLIER_WINDOWS = 4


def build_trends(
    history: History,
    snapshot: Snapshot,
    *,
    items: pl.DataFrame,
    settings: Settings,
    engine: Engine = "polars",
) -> pl.DataFrame:
    """Build one row per item (`build_items`) sold lately that was there well before, sorted by product_id.

    The newest window are the last `popularity_days`, the earlier one the four times as many days before it;
    for an item first sold later the days since then, at least `popularity_days`.

    `recent_order_count`, `earlier_order_count`   orders with the item in either window
    `recent_shop_count`, `earlier_shop_count`     the same summed over all products, in the same days

    With the shop's trend and season, recent_order_count is expected to be earlier_order_count ×
    recent_shop_count ÷ earlier_shop_count.
    """
    window = settings.recommender.popularity_days
    days = (1 + _EARLIER_WINDOWS) * window
    sold = _sales_by_age(history, snapshot, days, engine=engine)
    shop = _shop_until(sold, days)
    is_recent = pl.col("age_days") <= window
    counts = sold.group_by("product_id").agg(
        pl.col("order_count").filter(is_recent).sum().alias("recent_order_count"),
        pl.col("order_count").filter(~is_recent).sum().alias("earlier_order_count"),
    )
    first_age = (snapshot.end_days - pl.col("first_days")).ceil().cast(pl.Int64).clip(0, days)
    known = items.select("product_id", first_age.alias("age_days")).filter(pl.col("age_days") >= 2 * window)
    recent_shop = pl.lit(shop["shop_count"][window - 1], pl.Int64)
    found = counts.filter(pl.col("recent_order_count") > 0).join(known, on="product_id")
    found = found.join(shop, on="age_days").with_columns(
        recent_shop.alias("recent_shop_count"),
        (pl.col("shop_count") - recent_shop).alias("earlier_shop_count"),
    )
    return found.select(TREND_SCHEMA.keys()).cast(TREND_SCHEMA).sort("product_id")


def _sales_by_age(history: History, snapshot: Snapshot, days: int, *, engine: Engine) -> pl.DataFrame:
    """Return (product_id, age_days, order_count) of the last days; the day before the snapshot has age 1."""
    age = (snapshot.end_days - nw.col("bought_days")).ceil().cast(nw.Int64).alias("age_days")
    parts: list[pl.DataFrame] = []
    for buckets in bucket_groups(history, engine=engine):
        lines = known_product_lines(history, snapshot, buckets=buckets, engine=engine)
        lines = lines.filter(nw.col("ordered_days") >= snapshot.shifted(-days).end_days)
        orders = sum_by_order(lines).filter(~nw.col("bought_days").is_null())
        sold = orders.with_columns(age).group_by("product_id", "age_days")
        parts.append(collected(sold.agg(nw.len().cast(nw.Int64).alias("order_count"))))
    return pl.concat(parts).group_by("product_id", "age_days").agg(pl.col("order_count").sum())


def _shop_until(sold: pl.DataFrame, days: int) -> pl.DataFrame:
    """Return for every age how much was sold from then until the snapshot."""
    by_day = sold.group_by("age_days").agg(pl.col("order_count").sum())
    ages = pl.DataFrame({"age_days": pl.int_range(1, days + 1, eager=True)})
    all_days = ages.join(by_day, on="age_days", how="left").sort("age_days")
    return all_days.select("age_days", pl.col("order_count").fill_null(0).cum_sum().alias("shop_count"))
