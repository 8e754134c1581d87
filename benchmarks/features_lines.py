"""A made-up shop of any size, written as a canonical history: the load of the feature benchmark.

Customers differ as they do in shops: purchase rates follow a gamma distribution, lifetimes an exponential
one, basket sizes and prices are skewed and product popularity falls as 1 / rank. One bucket is made at a
time, so memory does not grow with the number of lines.
"""

from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from features.buckets import bucket_count_for
from features.generation import GenerationWriter
from features.history import STORED_SCHEMAS, History, bucket_of
from features.snapshot import days_since_epoch

FIRST_DAY = date(2024, 1, 1)
DAY_COUNT = 730
LINES_PER_CUSTOMER = 42
PRODUCT_COUNT = 20_000
CATEGORY_COUNT = 200
_Generator = np.random.Generator
_Ints = npt.NDArray[np.int64]


def write_history(root: Path, *, line_count: int, seed: int = 7) -> History:
    """Write a history of about `line_count` lines under `root`, or open the one that stands there already."""
    if (root / "manifest.json").exists():
        return History.open(root)
    bucket_count = bucket_count_for(line_count)
    customers = _customers_by_bucket(max(1, line_count // LINES_PER_CUSTOMER), bucket_count)
    random = np.random.default_rng(seed)
    with GenerationWriter(root, bucket_count=bucket_count, currency="EUR") as writer:
        writer.write("products", _products(random))
        for bucket, ids in enumerate(customers):
            writer.write("order_lines", _lines(ids, random), bucket=bucket)
        return writer.commit()


def _customers_by_bucket(customer_count: int, bucket_count: int) -> list[list[str]]:
    buckets: list[list[str]] = [[] for _ in range(bucket_count)]
    for number in range(customer_count):
        customer_id = f"c{number:08d}"
        buckets[bucket_of(customer_id, bucket_count)].append(customer_id)
    return buckets


def _products(random: _Generator) -> pl.DataFrame:
    numbers = np.arange(PRODUCT_COUNT)
    category = random.integers(0, CATEGORY_COUNT, PRODUCT_COUNT)
    rows = pl.DataFrame(
        {
            "product_id": _names("p", numbers, width=5),
            "category": _names("category ", category, width=3),
            "subcategory": _names("subcategory ", category * 7 + numbers % 7, width=4),
            "brand": _names("brand ", random.integers(0, 900, PRODUCT_COUNT), width=3),
        }
    )
    return _in_schema(rows, "products")


def _lines(customer_ids: list[str], random: _Generator) -> pl.DataFrame:
    owner, days = _orders(len(customer_ids), random)
    sizes = random.geometric(0.28, len(owner))
    order = np.repeat(np.arange(len(owner)), sizes)
    product = (PRODUCT_COUNT ** random.random(len(order)) - 1).astype(np.int64)
    amount = np.round(np.exp(random.normal(2.2, 0.9, len(order))) * 100).astype(np.int64) * 100
    discounted = random.random(len(order)) < 0.15
    discount = np.where(discounted, amount // 5, 0)
    rows = pl.DataFrame(
        {
            "customer_id": pl.Series(customer_ids).gather(owner[order]),
            "order_id": _names("o", order + owner[order] * 0, width=8),
            "line_id": (np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)).astype(str),
            "ordered_days": days[order],
            "product_id": _names("p", product, width=5),
            "amount_minor": amount - discount,
            "quantity_minor": random.geometric(0.6, len(order)) * 1000,
            "discount_minor": discount,
            "coupon": pl.Series(np.where(random.random(len(order)) < 0.03, "WELCOME", "")).replace("", None),
            "is_return": np.zeros(len(order), dtype=bool),
        }
    )
    return _in_schema(pl.concat([rows, _returns(rows, random)]), "order_lines")


def _orders(customer_count: int, random: _Generator) -> tuple[_Ints, npt.NDArray[np.float64]]:
    """Return the owner and the instant of every order: Poisson rates that differ, until a customer leaves."""
    start = random.integers(0, DAY_COUNT - 30, customer_count)
    stay = np.minimum(random.exponential(400, customer_count), DAY_COUNT - start - 1)
    rate = random.gamma(0.9, 0.052, customer_count)
    counts = 1 + random.poisson(rate * stay)
    owner = np.repeat(np.arange(customer_count), counts)
    share = random.random(len(owner))
    share[np.cumsum(counts) - counts] = 0.0
    seconds = random.integers(8 * 3600, 22 * 3600, len(owner))
    first = days_since_epoch(datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=UTC))
    days = np.floor(start[owner] + share * stay[owner])
    return owner, first + days + seconds / 86_400


def _returns(rows: pl.DataFrame, random: _Generator) -> pl.DataFrame:
    """Return 2 % of the lines a few days later, as lines of the same order."""
    chosen = rows.filter(pl.Series(random.random(len(rows)) < 0.02))
    later = pl.Series(random.integers(1, 21, len(chosen)))
    return chosen.with_columns(
        pl.col("ordered_days") + later,
        -pl.col("amount_minor"),
        -pl.col("quantity_minor"),
        pl.lit(0, dtype=pl.Int64).alias("discount_minor"),
        pl.lit(None, dtype=pl.String).alias("coupon"),
        pl.lit(value=True).alias("is_return"),
    )


def _names(prefix: str, numbers: _Ints, *, width: int) -> pl.Series:
    texts = pl.Series(numbers).cast(pl.String).str.zfill(width)
    return pl.select(pl.lit(prefix) + texts).to_series()


def _in_schema(rows: pl.DataFrame, table: str) -> pl.DataFrame:
    schema = STORED_SCHEMAS[table]
    loaded_at = datetime(FIRST_DAY.year + 2, 1, 1, tzinfo=UTC)
    known = rows.with_columns(pl.lit(loaded_at).alias("loaded_at"))
    if "ordered_days" in rows.columns:
        instant = (pl.col("ordered_days") * 86_400_000_000).round().cast(pl.Int64)
        known = known.with_columns(instant.cast(pl.Datetime("us", "UTC")).alias("ordered_at"))
    missing = [
        pl.lit(None, dtype=kind).alias(name) for name, kind in schema.items() if name not in known.columns
    ]
    return known.with_columns(*missing).select(schema.keys())
