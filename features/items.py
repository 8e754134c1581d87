"""The shop's items as of a snapshot: how often bought, how often again, at which price, still sold or not.

One pass over the history; every figure holds only what was known before the snapshot. A customer's
interactions and this table together are all that a recommender reads.
"""

import polars as pl

from features.history import History
from features.interactions import ORDER_WEIGHTS
from features.products import read_known_products
from features.sales import build_sales
from features.settings import Engine, Settings
from features.snapshot import Snapshot

ITEM_SCHEMA = pl.Schema(
    {
        "item_no": pl.Int64,
        "product_id": pl.String,
        "name": pl.String,
        "category": pl.String,
        "subcategory": pl.String,
        "brand": pl.String,
        "order_count": pl.Int64,
        "customer_count": pl.Int64,
        "recent_order_count": pl.Int64,
        "recent_customer_count": pl.Int64,
        "repeat_customer_count": pl.Int64,
        "order_weight_7": pl.Float64,
        "order_weight_30": pl.Float64,
        "order_weight_90": pl.Float64,
        "repurchase_rate": pl.Float64,
        "repurchase_gap_days": pl.Float64,
        "gap_error_share": pl.Float64,
        "unit_price_minor": pl.Float64,
        "price_tier": pl.Int64,
        "first_days": pl.Float64,
        "last_days": pl.Float64,
        "launched_days": pl.Float64,
        "is_active": pl.Boolean,
        "in_stock": pl.Boolean,
    }
)
PRICE_TIER_COUNT = 3

# Prior strengths, in customers: a rate or a gap moves half-way to its own value with this many of its own.
_RATE_PRIOR_CUSTOMERS = 20
_GAP_PRIOR_CUSTOMERS = 10
# Silence of four average gaps happens by chance to one item in e^4 = 55: longer means no longer sold.
_SILENT_GAPS_MAX = 4
_NEED = ("category", "subcategory")
_NEVER = (
    "order_count",
    "customer_count",
    "recent_order_count",
    "recent_customer_count",
    "repeat_customer_count",
)


def build_items(
    history: History,
    snapshot: Snapshot,
    *,
    settings: Settings,
    engine: Engine = "polars",
    interactions: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Build one row per product of the shop, sorted by product_id, at most `item_count_max`.

    These are the products sold before the snapshot and, where there are any, those of the catalogue that it
    knows and nobody has bought: their counts are 0, what orders would tell is null. The most ordered of the
    last `popularity_days` are kept (then by all orders, then by id), those never sold after all others, the
    latest launched first. `interactions` of all customers at this snapshot, where they are at hand, are
    counted instead of the lines.

    `item_no`                row number: dense, and the same for the same set of products
    `recent_*_count`         within the last `popularity_days`
    `repeat_customer_count`  buyers who bought it again on a later day
    `order_weight_*`         orders, each counting half for every 7, 30, 90 days of its age
    `repurchase_rate`        their share of the buyers, shrunk to the category's, that to the shop's
    `repurchase_gap_days`    median over these buyers of their mean gap, shrunk alike; null if nobody did
    `gap_error_share`        null: `features.replenishment` knows it
    `unit_price_minor`       median amount per unit, minor units of the currency; null where nothing was paid;
                             of a product never sold the list price
    `price_tier`             1 to 3 by price among those sold of the subcategory, else the category, else the
                             shop
    `launched_days`          days since 1970-01-01 of `launched_on`, null where unknown as `in_stock` is
    `is_active`              false once it was silent for longer than four of its average gaps; never sold:
                             launched within `popularity_days`, or in stock where the launch is unknown
    `in_stock`               null where unknown: an undated attribute counts only if it was loaded before the
                             snapshot, or if the snapshot is the present (no later order is known)
    """
    sold = build_sales(
        history,
        snapshot,
        recent_days=settings.recommender.popularity_days,
        engine=engine,
        interactions=interactions,
    )
    items = _with_unsold(sold, read_known_products(history, snapshot)).with_columns(
        _repurchase_rate(),
        _repurchase_gap(),
        _is_active(snapshot, settings),
        pl.lit(None, pl.Float64).alias("gap_error_share"),
    )
    kept = _most_ordered(_with_price_tiers(items), settings.recommender.item_count_max)
    return kept.sort("product_id").with_row_index("item_no").select(ITEM_SCHEMA.keys()).cast(ITEM_SCHEMA)


def _most_ordered(items: pl.DataFrame, count: int) -> pl.DataFrame:
    is_sold = pl.col("order_count") > 0
    newest = pl.when(~is_sold).then("launched_days").alias("newest")
    keys = [is_sold.alias("is_sold"), "is_active", "recent_order_count", "order_count", newest, "product_id"]
    falling = [True, True, True, True, True, False]
    return items.sort(keys, descending=falling, nulls_last=True).head(count)


def _with_unsold(sold: pl.DataFrame, products: pl.DataFrame) -> pl.DataFrame:
    """Join the catalogue to what was sold, and add what never was; without any sale there is no item."""
    items = sold.join(products, on="product_id", how="left")
    if sold.is_empty():
        return items.drop("list_price_minor", "is_known")
    unsold = products.filter("is_known").join(sold, on="product_id", how="anti")
    unsold = unsold.with_columns(
        *(pl.lit(0, pl.Int64).alias(name) for name in _NEVER),
        *(pl.lit(0.0).alias(name) for name in ORDER_WEIGHTS),
        pl.when(pl.col("list_price_minor") > 0).then("list_price_minor").alias("unit_price_minor"),
    )
    return pl.concat([items, unsold], how="diagonal").drop("list_price_minor", "is_known")


def _repurchase_rate() -> pl.Expr:
    repeats, buyers = pl.col("repeat_customer_count"), pl.col("customer_count")
    shop = repeats.sum() / buyers.sum()
    prior = _RATE_PRIOR_CUSTOMERS
    category = (repeats.sum().over("category") + prior * shop) / (buyers.sum().over("category") + prior)
    return ((repeats + prior * category) / (buyers + prior)).round_sig_figs(9).alias("repurchase_rate")


def _repurchase_gap() -> pl.Expr:
    repeats, gap = pl.col("repeat_customer_count"), pl.col("own_gap")
    total = (repeats * gap).fill_null(0.0)
    prior = _GAP_PRIOR_CUSTOMERS
    shop = total.sum() / repeats.sum()
    category = (total.sum().over("category") + prior * shop) / (repeats.sum().over("category") + prior)
    shrunk = (total + prior * category) / (repeats + prior)
    return shrunk.fill_nan(None).round_sig_figs(9).alias("repurchase_gap_days")


def _with_price_tiers(items: pl.DataFrame) -> pl.DataFrame:
    """Cut the prices of what was sold by mid-rank: equal prices share a tier, a single one is the middle.

    A product never sold moves nobody's tier; it takes the one its price would have.
    """
    prices = items.group_by(*_NEED, "unit_price_minor").agg((pl.col("order_count") > 0).sum().alias("here"))
    prices = prices.filter(pl.col("unit_price_minor").is_not_null()).sort("unit_price_minor")
    until = pl.col("here").cum_sum().over(_NEED)
    place = (until - pl.col("here") / 2) / pl.col("here").sum().over(_NEED)
    tier = (1 + (place * PRICE_TIER_COUNT).floor()).clip(1, PRICE_TIER_COUNT)
    tiers = prices.select(*_NEED, "unit_price_minor", tier.fill_nan(None).cast(pl.Int64).alias("price_tier"))
    return items.join(tiers, on=[*_NEED, "unit_price_minor"], how="left", nulls_equal=True)


def _is_active(snapshot: Snapshot, settings: Settings) -> pl.Expr:
    recent_days = float(settings.recommender.popularity_days)
    silent = snapshot.end_days - pl.col("last_days")
    average_gap = (snapshot.end_days - pl.col("first_days")) / pl.col("order_count")
    sells = silent <= pl.max_horizontal(pl.lit(recent_days), _SILENT_GAPS_MAX * average_gap)
    since_launch = snapshot.end_days - pl.col("launched_days")
    is_new = since_launch.is_between(0.0, recent_days)
    is_offered = is_new.fill_null(pl.col("in_stock").fill_null(value=False))
    return pl.when(pl.col("order_count") > 0).then(sells).otherwise(is_offered).alias("is_active")
