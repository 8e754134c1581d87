"""Writing a history: a generation of files, and the one swap of the manifest that makes it current."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl

from features.history import (
    BUCKETED_TABLES,
    SORT_KEYS,
    STORED_SCHEMAS,
    History,
    HistoryError,
    Manifest,
    bucket_numbers,
)

HASH_PARTS = 256


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
    part = bucket_numbers(content["customer_id"], HASH_PARTS).alias("_part")
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
    # A file at a time: columns of a whole history are larger than what a write may hold.
    days = pl.col("ordered_days").filter(~pl.col("is_return"))
    spans = [
        pl.scan_parquet(p, glob=False).select(days.min().alias("first"), days.max().alias("last"))
        for p in paths
    ]
    span = pl.concat([each.collect() for each in spans]).select(pl.col("first").min(), pl.col("last").max())
    first, last = span.row(0)
    return first, last


def _row_count(paths: list[Path]) -> int:
    return int(pl.scan_parquet(paths, glob=False).select(pl.len()).collect().item())


def _filled(paths: list[Path]) -> list[str]:
    counts = pl.concat(
        [pl.scan_parquet(path, glob=False).select(pl.all().count()).collect() for path in paths]
    ).sum()
    return [name for name, count in counts.row(0, named=True).items() if count]


def remove_unnamed(history: History) -> None:
    """Remove the files that a manifest does not name: of older generations, and of loads that were killed."""
    named = {history.root / name for names in history.manifest.files.values() for name in names}
    for path in history.root.glob("g*/**/*.parquet"):
        if path not in named:
            path.unlink()
    for folder in sorted(history.root.glob("g*/**/"), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
