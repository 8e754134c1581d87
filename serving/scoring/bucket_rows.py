"""The scores of a bucket as a file: made by one process, read by another."""

from pathlib import Path

import polars as pl


def rows_path(folder: Path, bucket: int) -> Path:
    """Return where a bucket's rows lie."""
    return folder / f"rows-{bucket:04d}.parquet"


def write_bucket_rows(folder: Path, bucket: int, rows: pl.DataFrame) -> None:
    """Write the rows of a bucket; the file appears whole."""
    path = rows_path(folder, bucket)
    partial = path.with_name(f"{path.name}.partial")
    rows.write_parquet(partial)
    partial.replace(path)
