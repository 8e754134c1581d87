"""What a worker of the cluster does: the scores and the lists of one bucket after another, as files.

A worker is a Python process of Spark's. It loads the champions once and scores each bucket that it is given
exactly as one machine does, from the history's own files, so that a cluster's scores are those of a laptop.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pyarrow as pa

from features.errors import UserError
from features.families import FEATURE_NAMES
from features.suppression import LeftOut
from models.bundle import read_bundle
from serving.cluster.order import Order, unpack_bundles
from serving.scoring.bucket_lists import write_bucket_lists
from serving.scoring.bucket_rows import write_bucket_rows
from serving.scoring.bucket_scores import Predictors
from serving.scoring.lists import ListMaker, make_lists
from serving.scoring.shop import score_customers

REPLY: Final = "bucket long, customer_count long, error string"
DONE: Final = pa.schema([("bucket", pa.int64()), ("customer_count", pa.int64()), ("error", pa.string())])
"""What is told of a bucket: how many customers were scored, or what a user must mend; `REPLY` in SQL."""


@dataclass(frozen=True, slots=True)
class Worker:
    """Scores buckets of one order with the champions that it loaded."""

    order: Order
    predictors: Predictors
    lists: ListMaker

    @classmethod
    def of(cls, order: Order, archive: Path) -> "Worker":
        """Load the champions of an order from the zip that was shipped with it."""
        with TemporaryDirectory() as folder:
            found = unpack_bundles(archive, Path(folder), order.digests)
            models = {
                task: read_bundle(path, feature_names=FEATURE_NAMES).model for task, path in found.items()
            }
        lists = make_lists(order.history, order.snapshot, models.get("recommender"), settings=order.settings)
        predictors = Predictors.of(
            models["churn"], models["clv"], headline_days=order.headline_days, settings=order.settings
        )
        return cls(order, predictors, lists)

    def score(self, bucket: int) -> int:
        """Write the scores and lists of a bucket; return the number of its customers."""
        order = self.order
        rows = score_customers(
            order.history,
            order.snapshot,
            self.predictors,
            bucket=bucket,
            settings=order.settings,
            shop=order.shop,
            suppressed=LeftOut(order.left_out.get(bucket, frozenset())),
        )
        if rows is None:
            return 0
        made = self.lists.of_customers(rows["customer_id"].to_list(), bucket=bucket)
        write_bucket_lists(order.folder, bucket, made)
        write_bucket_rows(order.folder, bucket, rows)
        return rows.height


def score_batches(order: str, archive: str, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Score the buckets whose numbers come in; yields a row of `DONE` for each.

    `order` is the JSON of an `Order`, `archive` the name under which Spark shipped its champions. What a user
    must mend is told in the row: an exception would reach them as a traceback of two languages.
    """
    for batch in batches:
        for bucket in batch.column(0).to_pylist():
            yield pa.RecordBatch.from_pylist([_told(order, archive, bucket)], schema=DONE)


def _told(order: str, archive: str, bucket: int) -> dict[str, int | str | None]:
    try:
        count = _worker(order, archive).score(bucket)
    except UserError as error:
        return {"bucket": bucket, "customer_count": 0, "error": str(error)}
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        return {"bucket": bucket, "customer_count": 0, "error": f"{error.strerror or error}{where}"}
    return {"bucket": bucket, "customer_count": count, "error": None}


@lru_cache(maxsize=1)
def _worker(order: str, archive: str) -> Worker:
    import pyspark  # noqa: PLC0415 - an extra, which only workers and who asks them have

    return Worker.of(Order.model_validate_json(order), Path(pyspark.SparkFiles.get(archive)))
