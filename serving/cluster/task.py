"""What a worker of the cluster does: the scores or the lists of one bucket after another, as files.

A worker is a Python process of Spark's. It loads the champions once and scores each bucket that it is given
exactly as one machine does, from the history's own files, so that a cluster's scores are those of a laptop.
"""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pyarrow as pa

from features.errors import UserError
from serving.cluster.order import Order, unpack_bundles
from serving.cluster.workers import Step, Worker

REPLY: Final = "bucket long, row_count long, error string"
DONE: Final = pa.schema([("bucket", pa.int64()), ("row_count", pa.int64()), ("error", pa.string())])
"""What is told of a bucket: how much was written, or what a user must mend; `REPLY` in SQL."""


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
        return _worker(order, archive).write_bucket(bucket, step), None
    except UserError as error:
        return 0, str(error)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        return 0, f"{error.strerror or error}{where}"


@lru_cache(maxsize=1)
def _worker(order: str, archive: str) -> Worker:
    import pyspark  # noqa: PLC0415 - an extra, which only workers and who asks them have

    with TemporaryDirectory() as folder:
        bundles = unpack_bundles(Path(pyspark.SparkFiles.get(archive)), Path(folder))
        return Worker.load(Order.model_validate_json(order), bundles)
