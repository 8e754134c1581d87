"""A bucket's own rows as a file: what can be computed of its customers alone, by whatever process.

Everything here is told by its arguments, and a file is written whole or not at all. So buckets can be
computed in any order, beside each other, and again where a machine was lost.
"""

from pathlib import Path
from typing import Final, Literal

import polars as pl

from features.history import History
from features.settings import Settings
from features.shop import ShopFacts
from features.snapshot import Snapshot
from features.suppression import NOBODY, LeftOut, Suppressed
from serving.scoring.bucket_scores import Predictors
from serving.scoring.customer_rows import score_customers
from serving.scoring.sorted_files import CUSTOMER, write_whole

Table = Literal["rows", "customers", "orders", "lists", "recommendations", "owned", "due", "nearest"]
SHOP: Final = "shop"
"""Stands in the place of a bucket for what belongs to nobody."""


def write_bucket(
    history: History,
    snapshot: Snapshot,
    predictors: Predictors,
    *,
    bucket: int,
    settings: Settings,
    shop: ShopFacts,
    folder: Path,
    suppressed: Suppressed | LeftOut = NOBODY,
) -> int:
    """Score the customers of a bucket and write their rows, sorted; return how many there are.

    The rows are those of `customer_rows.score_customers`. A bucket in which nobody ordered has no file.
    """
    rows = score_customers(
        history, snapshot, predictors, bucket=bucket, settings=settings, shop=shop, suppressed=suppressed
    )
    if rows is None:
        return 0
    rows = rows.sort(CUSTOMER)
    write_whole(rows.select(CUSTOMER), bucket_path(folder, "customers", bucket))
    write_whole(rows, bucket_path(folder, "rows", bucket))
    return rows.height


def read_customers(folder: Path, bucket: int) -> list[str]:
    """Return the ids of a bucket's customers, sorted; none where it has no file."""
    path = bucket_path(folder, "customers", bucket)
    return pl.read_parquet(path, glob=False)[CUSTOMER].to_list() if path.exists() else []


def bucket_path(folder: Path, table: Table, bucket: int | str) -> Path:
    """Return where a bucket's file of a table lies."""
    name = f"b{bucket:05d}" if isinstance(bucket, int) else bucket
    return folder / table / f"{name}.parquet"


def bucket_paths(folder: Path, table: Table) -> list[Path]:
    """Return the files of a table, of all buckets that have one, in the order of buckets."""
    return sorted((folder / table).glob("*.parquet"))
