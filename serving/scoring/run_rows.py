"""The completed rows of a run: files in the order of customers, read whole only a few columns at a time."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import polars as pl

from serving.scoring.sorted_files import write_whole


@dataclass(frozen=True, slots=True)
class RunRows:
    """Every customer of a run, sorted by `customer_id` over all files: the scores and the traits.

    Columns: `rows.STORED_NAMES`, then those of `traits.TRAIT_NAMES` that are known before lists are made.
    """

    paths: tuple[Path, ...]
    height: int

    @classmethod
    def write(cls, parts: Iterable[pl.DataFrame], folder: Path) -> Self:
        """Write rows that come a range at a time, in the order of customers; empty ranges are left out."""
        paths, height = list[Path](), 0
        for part in parts:
            if part.height:
                paths.append(folder / f"{len(paths):05d}.parquet")
                write_whole(part, paths[-1])
                height += part.height
        return cls(tuple(paths), height)

    def read(self, *columns: str) -> pl.DataFrame:
        """Return some columns of everybody; a few numbers or short texts of millions are little."""
        return pl.scan_parquet(list(self.paths), glob=False).select(columns).collect().rechunk()

    def parts(self, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """Yield columns, all unless given, a range of customers at a time."""
        for path in self.paths:
            yield pl.read_parquet(path, columns=list(columns) if columns else None, glob=False)
