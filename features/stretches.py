"""How large an order file is, and its rows a stretch at a time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from features.readers import read_parquet

ROWS_AT_ONCE: Final = 2_000_000
_TEXT_BYTES_A_ROW: Final = 60
_PACKED_BYTES_A_ROW: Final = 10
_TEXT_SUFFIXES: Final = {".csv", ".tsv", ".txt"}


def expected_rows(path: Path) -> int:
    """Return about how many rows a file has: Parquet says so, text is guessed by its size, others are small.

    A file that cannot be read counts 0: who reads it says what is wrong with it.
    """
    try:
        suffixes = [suffix.lower() for suffix in path.suffixes[-2:]]
        if _TEXT_SUFFIXES & set(suffixes):
            is_packed = suffixes[-1] == ".gz"
            return path.stat().st_size // (_PACKED_BYTES_A_ROW if is_packed else _TEXT_BYTES_A_ROW)
        return int(pq.ParquetFile(path).metadata.num_rows)
    except (OSError, pa.ArrowException):
        return 0


def read_stretches(path: Path) -> Iterator[pl.DataFrame]:
    """Yield what `readers.read_parquet` returns, `ROWS_AT_ONCE` at a time, numbered as in the whole file."""
    count = expected_rows(path)
    for start in range(0, max(count, 1), ROWS_AT_ONCE):
        yield read_parquet(path, start=start, count=ROWS_AT_ONCE)
