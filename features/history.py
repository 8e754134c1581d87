"""The canonical history on disk: generations of Parquet files behind one manifest.

    history/manifest.json                       the only entry; replaced atomically
    history/g000002/order_lines/b003.parquet    bucket 3: customers with crc32(id) mod bucket_count = 3
    history/g000002/products.parquet            shop-wide tables are one file

A write adds a generation and then swaps the manifest, so an interrupted write leaves the old history whole.
Files that did not change are referred to where they are; files that no manifest names are removed after it.
"""

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import narwhals as nw
import polars as pl
from pydantic import BaseModel, ConfigDict

from features.engines import scan_files
from features.errors import UserError
from features.settings import Engine

MONEY_SCALE = 10_000
QUANTITY_SCALE = 1_000
SCHEMA_VERSION = 1

_INSTANT = pl.Datetime("us", "UTC")
STORED_SCHEMAS: dict[str, dict[str, pl.DataType | type[pl.DataType]]] = {
    "order_lines": {
        "customer_id": pl.String,
        "order_id": pl.String,
        "line_id": pl.String,
        "ordered_at": _INSTANT,
        "ordered_days": pl.Float64,
        "product_id": pl.String,
        "amount_minor": pl.Int64,
        "quantity_minor": pl.Int64,
        "discount_minor": pl.Int64,
        "coupon": pl.String,
        "channel": pl.String,
        "is_return": pl.Boolean,
        "loaded_at": _INSTANT,
    },
    "events": {
        "customer_id": pl.String,
        "event_type": pl.String,
        "occurred_at": _INSTANT,
        "occurred_days": pl.Float64,
        "product_id": pl.String,
        "value": pl.Float64,
        "campaign_id": pl.String,
        "loaded_at": _INSTANT,
    },
    "products": {
        "product_id": pl.String,
        "name": pl.String,
        "category": pl.String,
        "subcategory": pl.String,
        "brand": pl.String,
        "list_price_minor": pl.Int64,
        "unit_cost_minor": pl.Int64,
        "in_stock": pl.Boolean,
        "url": pl.String,
        "image_url": pl.String,
        "launched_on": pl.Date,
        "loaded_at": _INSTANT,
    },
    "customers": {
        "customer_id": pl.String,
        "acquired_at": _INSTANT,
        "acquisition_channel": pl.String,
        "acquisition_cost_minor": pl.Int64,
        "country": pl.String,
        "email_consent": pl.Boolean,
        "loaded_at": _INSTANT,
    },
}
BUCKETED_TABLES = ("order_lines", "events")
SORT_KEYS = {
    "order_lines": ["customer_id", "ordered_days", "order_id", "line_id"],
    "events": ["customer_id", "occurred_days", "event_type", "product_id", "campaign_id", "value"],
    "products": ["product_id"],
    "customers": ["customer_id"],
}


class HistoryError(UserError):
    """There is no history, or it cannot be read."""


class Manifest(BaseModel):
    """What a history holds; paths are relative to the history's folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = SCHEMA_VERSION
    generation: int
    bucket_count: int
    money_scale: int = MONEY_SCALE
    quantity_scale: int = QUANTITY_SCALE
    currency: str
    files: dict[str, list[str]]
    row_counts: dict[str, int]
    filled_columns: dict[str, list[str]]
    first_order_days: float | None
    last_order_days: float | None
    data_hash: str
    file_hashes: dict[str, str]


def bucket_of(customer_id: str, bucket_count: int) -> int:
    """Return the bucket of a customer: crc32 of the UTF-8 bytes, modulo the number of buckets."""
    return zlib.crc32(customer_id.encode()) % bucket_count


def bucket_numbers(customers: pl.Series, bucket_count: int) -> pl.Series:
    """Return the bucket of the customer of every row; without a customer it is 0."""
    named = customers.fill_null("")
    if bucket_count == 1:
        return pl.zeros(len(named), dtype=pl.UInt32, eager=True)
    distinct = named.unique()
    numbers = [bucket_of(each, bucket_count) if each else 0 for each in distinct]
    return named.replace_strict(distinct, pl.Series(numbers, dtype=pl.UInt32), return_dtype=pl.UInt32)


class History:
    """A readable history; open one with `History.open(folder)`."""

    def __init__(self, root: Path, manifest: Manifest) -> None:
        self.root = root
        self.manifest = manifest

    @classmethod
    def open(cls, root: Path) -> Self:
        """Open the current generation; raises `HistoryError` where there is none or it is damaged."""
        path = root / "manifest.json"
        if not path.exists():
            raise HistoryError(f"no history in {root}; run `make data FILE=orders.csv` first")
        try:
            manifest = Manifest.model_validate_json(path.read_text(encoding="utf-8"))
        except ValueError:
            raise HistoryError(f"{path} is damaged; load the orders again with MODE=replace") from None
        missing = [name for names in manifest.files.values() for name in names if not (root / name).exists()]
        if missing:
            raise HistoryError(f"{root} lacks {missing[0]}; load the orders again with MODE=replace")
        return cls(root, manifest)

    def paths(self, table: str, *, buckets: Sequence[int] | None = None) -> list[Path]:
        """Return a table's files, all or those of some buckets."""
        names = self.manifest.files.get(table, [])
        if buckets is not None and table in BUCKETED_TABLES:
            names = [names[bucket] for bucket in buckets]
        return [self.root / name for name in names]

    def scan(
        self, table: str, *, engine: Engine = "polars", buckets: Sequence[int] | None = None
    ) -> nw.LazyFrame[Any]:
        """Return a lazy frame over a table (its stored schema); a table without files is an empty frame."""
        return scan_files(self.paths(table, buckets=buckets), STORED_SCHEMAS[table], engine=engine)

    def read(self, table: str, *, buckets: Sequence[int] | None = None) -> pl.DataFrame:
        """Read a table into memory, in stored order."""
        paths = self.paths(table, buckets=buckets)
        return pl.read_parquet(paths, glob=False) if paths else pl.DataFrame(schema=STORED_SCHEMAS[table])

    def has_column(self, table: str, column: str) -> bool:
        """Say whether any row of a table has a value in a column."""
        return column in self.manifest.filled_columns.get(table, [])
