"""Polars and DuckDB agree: on made-up rows, and on real order lines where they are at hand."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest
from features_shop import event, write_shop
from polars.testing import assert_frame_equal
from test_features_build import random_rows

from features.build import build_features
from features.generation import GenerationWriter
from features.history import MONEY_SCALE, QUANTITY_SCALE, STORED_SCHEMAS, History
from features.settings import Settings
from features.snapshot import Snapshot

ONLINE_RETAIL = Path(__file__).parents[2] / "shared" / "data" / "online_retail.parquet"


def assert_engines_agree(history: History, snapshot: Snapshot) -> None:
    tables = [build_features(history, snapshot, settings=Settings(), engine=e) for e in ("polars", "duckdb")]
    assert_frame_equal(*tables, check_exact=True)


@pytest.mark.parametrize(
    "snapshot", [Snapshot(date(2026, 3, 1), "Europe/London"), Snapshot(date(2026, 1, 1), "UTC", 90)]
)
def test_engines_agree_on_made_up_rows(tmp_path: Path, snapshot: Snapshot) -> None:
    events = [
        event("c01", "product_viewed", "2025-12-24T10:00"),
        event("c02", "Email CLICK", "2025-12-30T10:00"),
    ]
    categories = {f"p{number}": f"category {number % 3}" for number in range(10)}
    history = write_shop(tmp_path, random_rows(400, seed=5), events=events, categories=categories)
    assert_engines_agree(history, snapshot)


def test_engines_agree_on_online_retail(tmp_path: Path) -> None:
    if not ONLINE_RETAIL.exists():
        pytest.skip(f"{ONLINE_RETAIL.name} is not here; it lies beside the repository in ../shared/data")
    history = convert_online_retail(tmp_path)
    assert history.manifest.row_counts["order_lines"] > 90_000
    assert_engines_agree(history, Snapshot(date(2011, 9, 10), "Europe/London"))


def convert_online_retail(folder: Path) -> History:
    """Write every fourth customer's lines as a history: names and types only, no cleaning."""
    raw = pl.read_parquet(ONLINE_RETAIL)
    names = {name.lower().replace(" ", "").replace("_", ""): name for name in raw.columns}
    customer = pl.col(names.get("customerid", "")).cast(pl.Float64).cast(pl.Int64)
    price = pl.col(names.get("unitprice", names.get("price", ""))).cast(pl.Float64)
    instant = pl.col(names["invoicedate"]).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    invoice = pl.col(names.get("invoiceno", names.get("invoice", ""))).cast(pl.String)
    quantity = pl.col(names["quantity"]).cast(pl.Int64)
    lines = raw.filter(customer.is_not_null() & (customer % 4 == 0)).select(
        customer.cast(pl.String).alias("customer_id"),
        invoice.alias("order_id"),
        pl.int_range(pl.len()).cast(pl.String).alias("line_id"),
        instant.alias("ordered_at"),
        (instant.dt.epoch("us") / 86_400_000_000).alias("ordered_days"),
        pl.col(names["stockcode"]).cast(pl.String).alias("product_id"),
        (price * quantity * MONEY_SCALE).round().cast(pl.Int64).alias("amount_minor"),
        (quantity * QUANTITY_SCALE).alias("quantity_minor"),
        invoice.str.starts_with("C").alias("is_return"),
    )
    missing = [
        pl.lit(None).alias(name) for name in STORED_SCHEMAS["order_lines"] if name not in lines.columns
    ]
    with GenerationWriter(folder, bucket_count=1, currency="GBP") as writer:
        writer.write("order_lines", lines.with_columns(*missing))
        return writer.commit()
