"""Erase people from files: the history, the identities, and any Parquet table that names customers."""

import os
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.generation import GenerationWriter, remove_unnamed
from features.history import BUCKETED_TABLES, History, bucket_of
from features.identity import read_identities, replace_identities

_CUSTOMER = "customer_id"


class Erased(NamedTuple):
    """How many rows went, and how many files were written anew for it."""

    row_count: int = 0
    file_count: int = 0

    def plus(self, other: "Erased") -> "Erased":
        """Return the sum."""
        return Erased(self.row_count + other.row_count, self.file_count + other.file_count)


def forget_in_history(root: Path, customer_ids: Collection[str]) -> Erased:
    """Write the buckets and tables that hold people anew, without them, and remove the old files.

    Under the lock of the data set (`features.loading.only_one`). What killed loads left half-written goes.
    """
    if not (root / "manifest.json").exists():
        _remove_leftovers(root)
        return Erased()
    history = History.open(root)
    erased = _rewritten(history, customer_ids)
    remove_unnamed(History.open(root))
    _remove_leftovers(root)
    return erased


def _rewritten(history: History, customer_ids: Collection[str]) -> Erased:
    manifest = history.manifest
    ids = list(customer_ids)
    touched = {bucket_of(each, manifest.bucket_count) for each in ids}
    changed: dict[tuple[str, int], pl.DataFrame] = {}
    row_count = 0
    for table, names in manifest.files.items():
        for bucket in range(len(names)):
            if table not in BUCKETED_TABLES or bucket in touched:
                rows = history.read(table, buckets=[bucket])
                left = rows.filter(~pl.col(_CUSTOMER).is_in(ids)) if _CUSTOMER in rows.columns else rows
                if left.height < rows.height:
                    changed[table, bucket] = left
                    row_count += rows.height - left.height
    if not changed:
        return Erased()
    with GenerationWriter(
        history.root, bucket_count=manifest.bucket_count, currency=manifest.currency, previous=history
    ) as writer:
        for table, names in manifest.files.items():
            for bucket in range(len(names)):
                if (table, bucket) in changed:
                    writer.write(table, changed[table, bucket], bucket=bucket)
                else:
                    writer.keep(table, bucket=bucket)
        writer.commit()
    return Erased(row_count, len(changed))


def _remove_leftovers(root: Path) -> None:
    (root / "manifest.json.partial").unlink(missing_ok=True)


def forget_identities(private: Path, customer_ids: Collection[str]) -> Erased:
    """Write the identities anew without some people."""
    (private / "identities.parquet.partial").unlink(missing_ok=True)
    known = read_identities(private)
    left = known.filter(~pl.col(_CUSTOMER).is_in(list(customer_ids)))
    if left.height == known.height:
        return Erased()
    replace_identities(private, left)
    return Erased(known.height - left.height, 1)


def forget_in_tables(paths: Iterable[Path], customer_ids: Collection[str]) -> Erased:
    """Write Parquet files that name some people in a column `customer_id` anew, without these rows."""
    erased = Erased()
    for path in paths:
        erased = erased.plus(forget_in_table(path, customer_ids))
    return erased


def forget_in_table(path: Path, customer_ids: Collection[str]) -> Erased:
    """Do so with one file, a row group at a time; what the file says of itself stays."""
    gone = pa.array(list(customer_ids), pa.string())
    with pq.ParquetFile(path) as source:
        schema = source.schema_arrow
        if _CUSTOMER not in schema.names or not _holds(source, gone):
            return Erased()
        partial = path.with_name(f".{path.name}.partial")
        removed = 0
        with partial.open("wb") as stream:
            with pq.ParquetWriter(stream, schema, compression="zstd") as writer:
                for number in range(source.num_row_groups):
                    rows = source.read_row_group(number)
                    left = rows.filter(pc.invert(_is_in(rows[_CUSTOMER], gone)))
                    removed += rows.num_rows - left.num_rows
                    writer.write_table(left)
            stream.flush()
            os.fsync(stream.fileno())
    partial.chmod(path.stat().st_mode & 0o777)
    partial.replace(path)
    return Erased(removed, 1)


def _holds(source: pq.ParquetFile, gone: pa.Array) -> bool:
    return any(
        pc.any(_is_in(source.read_row_group(number, columns=[_CUSTOMER])[_CUSTOMER], gone)).as_py()
        for number in range(source.num_row_groups)
    )


def _is_in(ids: pa.ChunkedArray, gone: pa.Array) -> pa.ChunkedArray:
    return pc.fill_null(pc.is_in(ids.cast(pa.string()), value_set=gone), False)
