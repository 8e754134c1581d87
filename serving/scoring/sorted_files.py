"""Tables that lie in files, a file a bucket, read as one table that is sorted by customer.

Customers are spread over buckets by chance, and a run holds them in the order of their ids. So every file is
sorted, and all are read side by side, a range of ids at a time: `edges` are the first ids of all ranges but
the first, the same for every table of a run. Memory holds one range, and a batch of each file.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, Self

import polars as pl
import pyarrow.parquet as pq

CUSTOMER: Final = "customer_id"
RANGE_ROWS: Final = 50_000
"""So many customers are in a range: what is written at a time."""

_ROW_GROUP_ROWS: Final = 4_000


def write_whole(table: pl.DataFrame, path: Path) -> None:
    """Write a table as one file, all of it or nothing, in groups of rows that are small enough to merge."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    table.write_parquet(partial, compression="lz4", row_group_size=_ROW_GROUP_ROWS, statistics=False)
    partial.replace(path)


class GrowingFile:
    """A file of sorted rows that come some at a time; it is there, whole, once the block is over."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = path
        self._partial = path.with_name(f"{path.name}.partial")
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *details: object) -> None:
        if self._writer is None:
            return
        self._writer.close()
        if kind is None:
            self._partial.replace(self._path)
        else:
            self._partial.unlink(missing_ok=True)

    def add(self, rows: pl.DataFrame) -> None:
        """Add rows that come after all others."""
        table = rows.to_arrow(compat_level=pl.CompatLevel.oldest())
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._partial, table.schema, compression="lz4")
        self._writer.write_table(table, row_group_size=_ROW_GROUP_ROWS)


def range_edges(paths: Sequence[Path], *, rows: int) -> list[str]:
    """Return the first ids of all ranges but the first, where each holds so many of the files' customers."""
    if not paths:
        return []
    ids = pl.scan_parquet(list(paths), glob=False).select(CUSTOMER).collect()[CUSTOMER].sort()
    return ids.gather_every(rows)[1:].to_list()


def merge_sorted(
    paths: Iterable[Path], edges: Sequence[str], *, columns: Sequence[str] | None = None
) -> Iterator[pl.DataFrame]:
    """Yield the rows of sorted files a range at a time, sorted; rows of one customer keep their order.

    There is a frame for every range, also an empty one; without any file they have no columns.
    """
    return merge_streams([_batches(path, columns) for path in paths], edges)


def merge_streams(streams: Sequence[Iterator[pl.DataFrame]], edges: Sequence[str]) -> Iterator[pl.DataFrame]:
    """Yield what `merge_sorted` does, of frames that come one after another, each stream sorted."""
    sources = [_Source(stream) for stream in streams]
    for edge in (*edges, None):
        parts = [source.below(edge) for source in sources]
        yield pl.concat(parts).sort(CUSTOMER, maintain_order=True) if parts else pl.DataFrame()


def _batches(path: Path, columns: Sequence[str] | None) -> Iterator[pl.DataFrame]:
    with pq.ParquetFile(path) as file:
        names = list(columns) if columns else None
        empty = file.schema_arrow.empty_table()
        yield pl.DataFrame(empty.select(names) if names else empty)
        for batch in file.iter_batches(_ROW_GROUP_ROWS, columns=names, use_threads=False):
            yield pl.DataFrame(batch)


class _Source:
    """One stream of sorted frames, of which rows are taken from the beginning."""

    def __init__(self, frames: Iterator[pl.DataFrame]) -> None:
        self._frames = frames
        self._rows = next(frames)

    def below(self, edge: str | None) -> pl.DataFrame:
        """Take the rows of all ids below one, or all that are left."""
        taken = []
        while True:
            ids = self._rows[CUSTOMER]
            count = len(ids) if edge is None else _count_below(ids, edge)
            taken.append(self._rows.head(count))
            self._rows = self._rows.slice(count)
            if self._rows.height:
                break
            following = next(self._frames, None)
            if following is None:
                break
            self._rows = following
        return pl.concat(taken)


def _count_below(ids: pl.Series, edge: str) -> int:
    return int(ids.search_sorted(edge, side="left"))
