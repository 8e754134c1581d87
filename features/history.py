"""The canonical history on disk: generations of Parquet files behind one manifest.

    history/manifest.json                       the only entry; replaced atomically
    history/g000002/order_lines/b003.parquet    bucket 3: customers with crc32(id) mod bucket_count = 3
    history/g000002/products.parquet            shop-wide tables are one file

A write adds a generation and then swaps the manifest, so an interrupted write leaves the old history whole.
Files that did not change are referred to where they are; files that no manifest names are removed after it.
"""

import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb
import narwhals as nw
import polars as pl
from pydantic import BaseModel, ConfigDict

from features.errors import UserError

MONEY_SCALE = 10_000
QUANTITY_SCALE = 1_000
SCHEMA_VERSION = 1
HASH_PARTS = 256

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
        self, table: str, *, engine: str = "polars", buckets: Sequence[int] | None = None
    ) -> nw.LazyFrame[Any]:
        """Return a lazy frame over a table (its stored schema); a table without files is an empty frame."""
        paths = self.paths(table, buckets=buckets)
        if engine == "duckdb" and paths:
            return nw.from_native(duckdb.read_parquet([str(path) for path in paths]))
        if not paths:
            native = pl.LazyFrame(schema=STORED_SCHEMAS[table])
            if engine == "duckdb":
                return nw.from_native(duckdb.from_arrow(native.collect().to_arrow()))
        else:
            native = pl.scan_parquet(paths)
        return nw.from_native(native)

    def read(self, table: str, *, buckets: Sequence[int] | None = None) -> pl.DataFrame:
        """Read a table into memory, in stored order."""
        paths = self.paths(table, buckets=buckets)
        return pl.read_parquet(paths) if paths else pl.DataFrame(schema=STORED_SCHEMAS[table])

    def has_column(self, table: str, column: str) -> bool:
        """Say whether any row of a table has a value in a column."""
        return column in self.manifest.filled_columns.get(table, [])


class GenerationWriter:
    """Write the next generation, a table or a bucket at a time; leaving the block without `commit` drops it.

    >>> with GenerationWriter(folder, bucket_count=4, currency="EUR") as writer:   # doctest: +SKIP
    ...     writer.write("order_lines", frame, bucket=0)
    ...     history = writer.commit()
    """

    def __init__(
        self, root: Path, *, bucket_count: int, currency: str, previous: History | None = None
    ) -> None:
        self._root = root
        self._bucket_count = bucket_count
        self._currency = currency
        self._previous = previous
        self._generation = previous.manifest.generation + 1 if previous else 1
        self._folder = f"g{self._generation:06d}"
        self._files: dict[str, dict[int, str]] = {}
        self._hashes: dict[str, str] = {}

    def __enter__(self) -> Self:
        self._root.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self._root / self._folder, ignore_errors=True)
        (self._root / self._folder).mkdir()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._is_live():
            shutil.rmtree(self._root / self._folder, ignore_errors=True)

    def write(self, table: str, rows: pl.DataFrame, *, bucket: int = 0) -> None:
        """Write one bucket of a bucketed table, or the whole of another; sorts, checks the schema."""
        name = (
            f"{self._folder}/{table}/b{bucket:03d}.parquet"
            if table in BUCKETED_TABLES
            else f"{self._folder}/{table}.parquet"
        )
        schema = pl.Schema(STORED_SCHEMAS[table])
        ordered = rows.select(schema.names()).cast(schema).sort(SORT_KEYS[table])
        path = self._root / name
        path.parent.mkdir(exist_ok=True)
        with path.open("wb") as stream:
            try:
                ordered.write_parquet(stream, compression="zstd", row_group_size=100_000)
            except pl.exceptions.ComputeError as error:  # what Polars makes of a full disk
                raise HistoryError(f"{path} cannot be written ({error})") from None
            stream.flush()
            os.fsync(stream.fileno())
        self._files.setdefault(table, {})[bucket] = name
        self._hashes[name] = _content_hash(ordered, table)

    def keep(self, table: str, *, bucket: int = 0) -> None:
        """Carry an unchanged file over from the previous generation."""
        assert self._previous is not None, "keep() needs a previous generation"  # noqa: S101
        name = self._previous.manifest.files[table][bucket]
        self._files.setdefault(table, {})[bucket] = name
        self._hashes[name] = self._previous.manifest.file_hashes[name]

    def commit(self) -> History:
        """Make this generation the current one, then remove files that nothing names any more."""
        self._fill_missing_buckets()
        manifest = self._build_manifest()
        temporary = self._root / "manifest.json.partial"
        with temporary.open("w", encoding="utf-8") as stream:
            stream.write(manifest.model_dump_json(indent=1))
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(self._root / "manifest.json")
        history = History(self._root, manifest)
        remove_unnamed(history)
        return history

    def _fill_missing_buckets(self) -> None:
        for table in BUCKETED_TABLES:
            for bucket in range(self._bucket_count):
                if bucket not in self._files.get(table, {}):
                    self.write(table, pl.DataFrame(schema=STORED_SCHEMAS[table]), bucket=bucket)

    def _build_manifest(self) -> Manifest:
        files = {table: [names[key] for key in sorted(names)] for table, names in sorted(self._files.items())}
        sums = {table: _hash_sum(self._hashes[name] for name in names) for table, names in files.items()}
        combined = hashlib.sha256(json.dumps([pair for pair in sums.items() if int(pair[1], 16)]).encode())
        first, last = _order_span([self._root / name for name in files["order_lines"]])
        return Manifest(
            generation=self._generation,
            bucket_count=self._bucket_count,
            currency=self._currency,
            files=files,
            row_counts={t: _row_count([self._root / n for n in names]) for t, names in files.items()},
            filled_columns={t: _filled([self._root / n for n in names]) for t, names in files.items()},
            first_order_days=first,
            last_order_days=last,
            data_hash=combined.hexdigest(),
            file_hashes=self._hashes,
        )

    def _is_live(self) -> bool:
        path = self._root / "manifest.json"
        try:
            return Manifest.model_validate_json(path.read_text()).generation == self._generation
        except (OSError, ValueError):
            return False


def _content_hash(rows: pl.DataFrame, table: str) -> str:
    """Hash what sorted rows say: not when they were loaded, nor into how many buckets.

    Rows fall into 256 parts by customer, of which every bucket holds whole ones; the hash is the sum of
    theirs.
    """
    content = rows.drop("loaded_at")
    if table not in BUCKETED_TABLES:
        return _hash_sum([_part_hash(content)])
    customers = content["customer_id"].unique()
    numbers = pl.Series([bucket_of(customer, HASH_PARTS) for customer in customers], dtype=pl.UInt32)
    part = content["customer_id"].replace_strict(customers, numbers, return_dtype=pl.UInt32).alias("_part")
    parts = content.with_columns(part).partition_by("_part", maintain_order=True, include_key=False)
    return _hash_sum(_part_hash(rows) for rows in parts)


def _part_hash(rows: pl.DataFrame) -> str:
    if rows.is_empty():
        return "0"
    digest = hashlib.sha256()
    for column in rows.rechunk():
        digest.update(column.is_null().cast(pl.UInt8).to_numpy().tobytes())
        if column.dtype == pl.String:
            digest.update(column.str.len_bytes().fill_null(0).to_numpy().tobytes())
            packed = column.fill_null("").to_arrow(compat_level=pl.CompatLevel.oldest())
            digest.update(packed.buffers()[2] or b"")
        else:
            kind = pl.Float64 if column.dtype.is_float() else pl.Int64
            digest.update(column.to_physical().cast(kind).fill_null(0).to_numpy().tobytes())
    return digest.hexdigest()


def _hash_sum(hashes: Iterable[str]) -> str:
    """Add hexadecimal hashes modulo 2^256, so that their order does not matter."""
    return f"{sum(int(each, 16) for each in hashes) % (1 << 256):064x}"


def _order_span(paths: list[Path]) -> tuple[float | None, float | None]:
    days = pl.col("ordered_days").filter(~pl.col("is_return"))
    span = pl.scan_parquet(paths).select(days.min().alias("first"), days.max().alias("last")).collect()
    first, last = span.row(0)
    return first, last


def _row_count(paths: list[Path]) -> int:
    return int(pl.scan_parquet(paths).select(pl.len()).collect().item())


def _filled(paths: list[Path]) -> list[str]:
    counts = pl.scan_parquet(paths).select(pl.all().count()).collect().row(0, named=True)
    return [name for name, count in counts.items() if count]


def remove_unnamed(history: History) -> None:
    """Remove the files that a manifest does not name: of older generations, and of loads that were killed."""
    named = {history.root / name for names in history.manifest.files.values() for name in names}
    for path in history.root.glob("g*/**/*.parquet"):
        if path not in named:
            path.unlink()
    for folder in sorted(history.root.glob("g*/**/"), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
