"""Which engine computes: Polars, DuckDB for what is larger than memory, PySpark for a cluster.

Every feature is narwhals; this module alone turns files and frames into lazy frames of an engine, so one
setting (`[features] engine`) moves a shop from a laptop to a cluster.
"""

import re
import weakref
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import RLock
from typing import Any, Final

import duckdb
import narwhals as nw
import polars as pl

from features.settings import Engine

Frame = nw.LazyFrame[Any]
Kept = pl.DataFrame | Frame

# Some hundred megabytes for one core of a cluster to sort: it fits into the smallest executor.
ROWS_A_PART: Final = 1_000_000
_HOLDERS: Final[Counter[int]] = Counter()
_COUNTING: Final = RLock()


def scan_files(paths: Sequence[Path], schema: Mapping[str, Any], *, engine: Engine) -> Frame:
    """Return a lazy frame over Parquet files; without any it is an empty frame of the schema.

    What an engine would take for a pattern in a folder's name stands for itself.
    """
    if not paths:
        return scan_table(pl.DataFrame(schema=dict(schema)), engine=engine)
    if engine == "duckdb":
        names = [re.sub(r"[*?[]", r"[\g<0>]", str(path)) for path in paths]
        return nw.from_native(duckdb.read_parquet(names))
    if engine == "pyspark":
        names = [re.sub(r"[*?\[\]{}\\]", r"\\\g<0>", f"file://{path.absolute()}") for path in paths]
        frame: Frame = nw.from_native(_spark().read.parquet(*names))
        return frame
    return nw.from_native(pl.scan_parquet(list(paths), glob=False))


def keep(rows: Frame, *, engine: Engine) -> Kept:
    """Compute rows once and keep them: in memory, or on the cluster's machines where Spark computes.

    They are kept for as long as somebody holds what is returned, there as here.
    """
    if engine == "pyspark":
        return _keep_on_cluster(rows.to_native())
    return rows.collect("polars").to_native()  # type: ignore[no-any-return]


def scan_table(table: Kept, *, engine: Engine) -> Frame:
    """Return a table in memory, or one that was kept, as a lazy frame of an engine."""
    if isinstance(table, nw.LazyFrame):
        return table
    if engine == "duckdb":
        return nw.from_native(duckdb.from_arrow(table.to_arrow()))
    if engine == "pyspark":
        arrow = table.to_arrow(compat_level=pl.CompatLevel.oldest())
        # What was in this process' memory fits into that of each machine: no join needs to move the others.
        frame: Frame = nw.from_native(_spark().createDataFrame(arrow).hint("broadcast"))
        return frame
    return nw.from_native(table.lazy())


def gather(rows: Frame, *, engine: Engine, row_count: int) -> Frame:
    """Bring each customer's rows to one place, where Spark computes, so that what follows moves them no more.

    Spark would otherwise move all rows for each window and each group, and again for each of their keys.
    Tables of one `row_count` lie in equally many parts, so that joining them moves nothing either.
    """
    if engine != "pyspark":
        return rows
    part_count = max(_spark().sparkContext.defaultParallelism, -(-row_count // ROWS_A_PART))
    gathered: Frame = nw.from_native(rows.to_native().repartition(part_count, "customer_id"))
    return gathered


def _keep_on_cluster(native: Any) -> Frame:  # noqa: ANN401 - a library that only some have
    # Spark keeps what is computed alike once, for several who ask.
    plan: int = native.semanticHash()
    with _COUNTING:
        _HOLDERS[plan] += 1
        kept: Frame = nw.from_native(native.persist())
    weakref.finalize(kept, _forget, native, plan).atexit = False
    return kept


def _forget(native: Any, plan: int) -> None:  # noqa: ANN401
    # Where Spark has ended, nothing is kept there.
    with _COUNTING, suppress(Exception):
        _HOLDERS[plan] -= 1
        if not _HOLDERS[plan]:
            del _HOLDERS[plan]
            native.unpersist()


def _spark() -> Any:  # noqa: ANN401 - a library that only some have
    from features.spark import spark_session  # noqa: PLC0415 - needs the extra

    return spark_session()
