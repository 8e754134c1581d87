"""Which engine computes: Polars, DuckDB for what is larger than memory, PySpark for a cluster.

Every feature is narwhals; this module alone turns files and frames into lazy frames of an engine, so one
setting (`[features] engine`) moves a shop from a laptop to a cluster.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import narwhals as nw
import polars as pl

from features.settings import Engine

Frame = nw.LazyFrame[Any]
Kept = pl.DataFrame | Frame


def scan_files(paths: Sequence[Path], schema: Mapping[str, Any], *, engine: Engine) -> Frame:
    """Return a lazy frame over Parquet files; without any it is an empty frame of the schema."""
    if not paths:
        return scan_table(pl.DataFrame(schema=dict(schema)), engine=engine)
    if engine == "duckdb":
        return nw.from_native(duckdb.read_parquet([str(path) for path in paths]))
    if engine == "pyspark":
        frame: Frame = nw.from_native(_spark().read.parquet(*(path.absolute().as_uri() for path in paths)))
        return frame
    return nw.from_native(pl.scan_parquet(list(paths)))


def keep(rows: Frame, *, engine: Engine) -> Kept:
    """Compute rows once and keep them: in memory, or on the cluster's machines where Spark computes."""
    if engine == "pyspark":
        kept: Frame = nw.from_native(rows.to_native().persist())
        return kept
    return rows.collect("polars").to_native()  # type: ignore[no-any-return]


def scan_table(table: Kept, *, engine: Engine) -> Frame:
    """Return a table in memory, or one that was kept, as a lazy frame of an engine."""
    if isinstance(table, nw.LazyFrame):
        return table
    if engine == "duckdb":
        return nw.from_native(duckdb.from_arrow(table.to_arrow()))
    if engine == "pyspark":
        arrow = table.to_arrow(compat_level=pl.CompatLevel.oldest())
        frame: Frame = nw.from_native(_spark().createDataFrame(arrow))
        return frame
    return nw.from_native(table.lazy())


def _spark() -> Any:  # noqa: ANN401 - a library that only some have
    from features.spark import spark_session  # noqa: PLC0415 - needs the extra

    return spark_session()
