"""The lines of a list's CSV, made when a run is published: a list of a million then streams as it is read."""

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl

from features.slots import item_number
from serving.exports.csv_lines import plain_lines
from serving.exports.member_csv import STORED_CELLS, MemberCells
from serving.present import RunView
from serving.rows import BY_NAME
from serving.scoring.run_scores import stored_expression
from serving.store.records import Item, RunMeta
from serving.wording import Wording

_TOP_KIND = "for_you"
_TOP = "top_item_no"
_STORED = [stored_expression(name, BY_NAME[name].kind) for name in STORED_CELLS]


def first_recommendations(lists: Iterable[tuple[str, str, bytes]]) -> pl.DataFrame:
    """Return `customer_id` and the number of the first recommendation of packed lists; without one, none."""
    found = [(customer, item_number(slots)) for customer, kind, slots in lists if kind == _TOP_KIND and slots]
    return pl.DataFrame(found, schema={"customer_id": pl.String, _TOP: pl.UInt32}, orient="row")


class LineMaker:
    """Makes the lines of a run's members; `meta` is the run as it will be."""

    def __init__(self, items: Mapping[int, Item], meta: RunMeta) -> None:
        self._items = items
        self._cells = MemberCells(RunView(meta, Wording()), meta)

    def of(self, rows: pl.DataFrame, tops: pl.DataFrame) -> Iterator[bytes]:
        """Yield the line of each completed row; `tops` are their `first_recommendations`."""
        known = rows.select(STORED_CELLS).join(tops, on="customer_id", how="left", maintain_order="left")
        pairs = zip(known.select(_STORED).iter_rows(), known[_TOP], strict=True)
        return plain_lines(self._cells.of(row, self._items.get(top)) for row, top in pairs)


class KeptLines:
    """The lines of all lists' members, each made once, in a file without a name that lists read by place.

    `places` says of each row of the run whether any list holds it.
    """

    def __init__(self, folder: Path, places: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed with the block
        self._wanted = places
        self._ends = np.zeros(len(places) + 1, dtype=np.int64)
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self._file.close()

    def add(self, rows: pl.DataFrame, tops: pl.DataFrame, maker: LineMaker) -> None:
        """Make the lines of the next rows of the run that are members."""
        begin, end = self._count, self._count + rows.height
        wanted = self._wanted[begin:end]
        lines = list(maker.of(rows.filter(pl.Series(wanted)), tops))
        sizes = np.zeros(rows.height, dtype=np.int64)
        sizes[wanted] = [len(line) for line in lines]
        self._ends[begin + 1 : end + 1] = self._ends[begin] + np.cumsum(sizes)
        self._file.write(b"".join(lines))
        self._count = end

    def of(self, places: pl.Series) -> Iterator[bytes]:
        """Yield the lines of rows by their places, from 0."""
        if not len(places):
            return  # of an empty file there is no map
        self._file.flush()
        with mmap(self._file.fileno(), 0, access=ACCESS_READ) as lines:
            for place in places:
                yield lines[self._ends[place] : self._ends[place + 1]]
