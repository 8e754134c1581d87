"""What a worker of the cluster does: the scores or the lists of one bucket after another, as files.

A worker is a Python process of Spark's. It loads the champions once and scores each bucket that it is given
exactly as one machine does, from the history's own files, so that a cluster's scores are those of a laptop.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Literal

import pyarrow as pa

from features.errors import UserError
from features.families import FEATURE_NAMES
from features.suppression import LeftOut
from models.bundle import read_bundle
from serving.cluster.order import Order, unpack_bundles
from serving.scoring.bucket_files import read_customers, write_bucket
from serving.scoring.bucket_scores import Predictors
from serving.scoring.list_files import write_bucket_lists
from serving.scoring.lists import ListMaker, make_lists

Step = Literal["rows", "lists", "lists and tables"]
REPLY: Final = "bucket long, row_count long, error string"
DONE: Final = pa.schema([("bucket", pa.int64()), ("row_count", pa.int64()), ("error", pa.string())])
"""What is told of a bucket: how much was written, or what a user must mend; `REPLY` in SQL."""


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

    def write(self, bucket: int, step: Step) -> int:
        """Write the rows of a bucket, or the lists of its customers; return how many there are."""
        order = self.order
        if step == "rows":
            return write_bucket(
                order.history,
                order.snapshot,
                self.predictors,
                bucket=bucket,
                settings=order.settings,
                shop=order.shop,
                folder=order.folder,
                suppressed=LeftOut(order.left_out.get(bucket, frozenset())),
            )
        customer_ids = read_customers(order.folder, bucket)
        as_tables = step == "lists and tables"
        return write_bucket_lists(
            self.lists, customer_ids, bucket=bucket, folder=order.folder, as_tables=as_tables
        )


def write_batches(
    order: str, archive: str, step: Step, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Take a step for the buckets whose numbers come in; yields a row of `DONE` for each.

    `order` is the JSON of an `Order`, `archive` the name under which Spark shipped its champions. What a user
    must mend is told in the row: an exception would reach them as a traceback of two languages.
    """
    for batch in batches:
        for bucket in batch.column(0).to_pylist():
            count, error = _write(order, archive, bucket=bucket, step=step)
            told = {"bucket": bucket, "row_count": count, "error": error}
            yield pa.RecordBatch.from_pylist([told], schema=DONE)


def _write(order: str, archive: str, *, bucket: int, step: Step) -> tuple[int, str | None]:
    """Return how much was written of a bucket, and what went wrong."""
    try:
        return _worker(order, archive).write(bucket, step), None
    except UserError as error:
        return 0, str(error)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        return 0, f"{error.strerror or error}{where}"


@lru_cache(maxsize=1)
def _worker(order: str, archive: str) -> Worker:
    import pyspark  # noqa: PLC0415 - an extra, which only workers and who asks them have

    return Worker.of(Order.model_validate_json(order), Path(pyspark.SparkFiles.get(archive)))
