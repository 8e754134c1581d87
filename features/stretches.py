"""How large an order file is, and its rows a stretch at a time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from features.readers import read_parquet
from features.text_files import is_packed

ROWS_AT_ONCE: Final = 2_000_000
_TEXT_BYTES_A_ROW: Final = 60
_PACKED_BYTES_A_ROW: Final = 10


def text_row_count(path: Path) -> int:
    """Guess by its size how many rows a text has, packed with gzip or not; 0 of what is no file."""
    try:
        if not path.is_file():
            return 0
        return path.stat().st_size // (_PACKED_BYTES_A_ROW if is_packed(path) else _TEXT_BYTES_A_ROW)
    except OSError:
        return 0


def parquet_row_count(path: Path) -> int:
    """Return how many rows a Parquet file has; 0 where it cannot be read: who reads it says why."""
    try:
        return int(pq.ParquetFile(path).metadata.num_rows)
    except (OSError, pa.ArrowException):
        return 0


def read_stretches(path: Path) -> Iterator[pl.DataFrame]:
    """Yield what `readers.read_parquet` returns, `ROWS_AT_ONCE` at a time, numbered as in the whole file."""
    start, height = 0, ROWS_AT_ONCE
    while height == ROWS_AT_ONCE:
        rows = read_parquet(path, start=start, count=ROWS_AT_ONCE)
        yield rows
        start, height = start + ROWS_AT_ONCE, rows.height
