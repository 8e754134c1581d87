"""A scoring run as files: `scores.parquet` with the flat names, `recommendations.parquet` and `.csv`.

`bundles.parquet` holds the pairs of items that go together.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, Self

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from features.slots import PackedSlots
from serving.exports.csv_lines import csv_lines
from serving.offers.slot_columns import item_cells, item_header
from serving.present import RunView, run_constants
from serving.rows import BY_NAME, NAMES, RUN_NAMES
from serving.store.records import Item, RunMeta
from serving.store.sqlite_run import FALLBACK_CUSTOMER

MAIL_KIND: Final = "for_you"
MAIL_ITEMS: Final = 4

RECOMMENDATIONS = pa.schema(
    [
        ("customer_id", pa.string()),
        ("kind", pa.string()),
        ("rank", pa.int32()),
        ("product_id", pa.string()),
        ("score", pa.float64()),
        ("reason", pa.string()),
        ("source", pa.string()),
        ("evidence_product_id", pa.string()),
        ("value", pa.float64()),
        ("spread", pa.float64()),
    ]
)
_BUNDLES = pa.schema(
    [
        ("product_id", pa.string()),
        ("partner_product_id", pa.string()),
        ("joint_count", pa.int64()),
        ("support_share", pa.float64()),
        ("basket_share", pa.float64()),
        ("lift", pa.float64()),
        ("lift_low", pa.float64()),
        ("lift_high", pa.float64()),
    ]
)
_TYPES: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "string": pl.String,
    "integer": pl.Int64,
    "number": pl.Float64,
    "date": pl.Date,
    "boolean": pl.Boolean,
    "reasons": pl.String,
    "null_reasons": pl.String,
    "quality": pl.String,
    "datetime": pl.Datetime("us", "UTC"),
}
_FLAT: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    name: _TYPES[BY_NAME[name].kind] for name in NAMES
}


def write_scores(parts: Iterable[pl.DataFrame], meta: RunMeta, folder: Path) -> Path:
    """Write `scores.parquet`: one row a customer, the flat names in order, typed; replaces an older one.

    `parts` are the run's completed rows, some at a time; each is a group of rows of the file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / ".scores.parquet.partial"
    schema = pl.DataFrame(schema=_FLAT).to_arrow(compat_level=pl.CompatLevel.oldest()).schema
    with pq.ParquetWriter(partial, schema, compression="zstd") as writer:
        for rows in parts:
            writer.write_table(_flat(rows, meta).to_arrow(compat_level=pl.CompatLevel.oldest()).cast(schema))
    return partial.replace(folder / "scores.parquet")


def _flat(rows: pl.DataFrame, meta: RunMeta) -> pl.DataFrame:
    constants = dict(zip(RUN_NAMES, run_constants(meta), strict=True))
    columns = [pl.lit(constants[name]).alias(name) if name in constants else pl.col(name) for name in NAMES]
    flat = rows.select(columns)
    instants = [name for name in NAMES if BY_NAME[name].kind == "datetime" and flat.schema[name] == pl.String]
    return flat.with_columns(
        pl.col(instants).str.to_datetime(time_unit="us", time_zone="UTC"),
        *(pl.col(name).cast(_FLAT[name]) for name in NAMES if name not in instants),
    )


def write_bundles(pairs: pd.DataFrame, folder: Path) -> Path:
    """Write `bundles.parquet`: one row an item and partner, with lift and bounds; replaces an older one."""
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / ".bundles.parquet.partial"
    rows = pairs.reindex(columns=_BUNDLES.names)
    pq.write_table(
        pa.Table.from_pandas(rows, schema=_BUNDLES, preserve_index=False), partial, compression="zstd"
    )
    return partial.replace(folder / "bundles.parquet")


class RecommendationFile:
    """Writes `recommendations.parquet` a table at a time; an older file is replaced at the end."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "recommendations.parquet"
        self._partial = folder / ".recommendations.parquet.partial"
        self._writer = pq.ParquetWriter(self._partial, RECOMMENDATIONS, compression="zstd")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *details: object) -> None:
        self._writer.close()
        if kind is None:
            self._partial.replace(self._path)
        else:
            self._partial.unlink(missing_ok=True)

    def write(self, rows: pl.DataFrame) -> None:
        """Add the lists of some customers (the columns of `RECOMMENDATIONS`)."""
        table = rows.select(RECOMMENDATIONS.names).to_arrow(compat_level=pl.CompatLevel.oldest())
        self._writer.write_table(table.cast(RECOMMENDATIONS))


class MailFile:
    """Writes `recommendations.csv`: a wide row a customer with the first items of `for_you`.

    `items` are the products by their number; an older file is replaced at the end.
    """

    def __init__(self, folder: Path, *, view: RunView, items: Mapping[int, Item]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._view = view
        self._items = items
        self._path = folder / "recommendations.csv"
        self._partial = folder / ".recommendations.csv.partial"
        self._stream = self._partial.open("wb")
        self._stream.write(csv_lines([("customer_id", *item_header(MAIL_ITEMS))], excel=False))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *details: object) -> None:
        self._stream.close()
        if kind is None:
            self._partial.replace(self._path)
        else:
            self._partial.unlink(missing_ok=True)

    def write(self, lists: Iterable[tuple[str, str, bytes]]) -> None:
        """Add the lists of some customers: (customer_id, kind, packed slots)."""
        rows = [
            (
                customer_id,
                *item_cells(PackedSlots(packed)[:MAIL_ITEMS], self._items, self._view, count=MAIL_ITEMS),
            )
            for customer_id, kind, packed in lists
            if kind == MAIL_KIND and customer_id != FALLBACK_CUSTOMER
        ]
        self._stream.write(csv_lines(rows, excel=False))
