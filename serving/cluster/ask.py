"""Having a cluster score a shop: an order and what it needs are shipped, the workers write files."""

import secrets
import warnings
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from features.console import Announce
from features.errors import UserError
from features.history import History
from features.spark import spark_session
from features.suppression import Suppressed
from models.registry_names import Task
from serving.cluster.order import Order, pack_bundles, pack_code
from serving.cluster.task import REPLY, write_batches
from serving.cluster.workers import SHOWN, WRITTEN, Step
from serving.scoring.bucket_files import Table, bucket_path, bucket_paths

_LOOK_EVERY_SECONDS: Final = 1.0


class ClusterError(UserError):
    """The cluster could not score the shop."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Spark's workers, who have what they need to score one shop; `archive` is the name of the champions."""

    session: Any
    order: Order
    archive: str

    @classmethod
    def ship(cls, order: Order, bundles: Mapping[Task, Path]) -> "Cluster":
        """Ship our code and the champions to the workers; both lie in the order's folder meanwhile."""
        session = spark_session()
        # Spark takes two files of one name for one, however much they differ.
        token = secrets.token_hex(8)
        folder = order.folder / "shipped"
        folder.mkdir(exist_ok=True)
        archive, code = folder / f"champions-{token}.zip", folder / f"regulars-{token}.zip"
        pack_bundles(bundles, archive)
        pack_code(code)
        session.sparkContext.addPyFile(str(code))
        session.sparkContext.addFile(str(archive))
        return cls(session, order, archive.name)

    def write(self, step: Step, announce: Announce) -> None:
        """Take a step for every bucket; raises `ClusterError` where one cannot be written."""
        bucket_count = self.order.manifest.bucket_count
        work = partial(write_batches, self.order.model_dump_json(), self.archive, step)
        # One part a bucket: a worker that is lost costs its bucket alone.
        numbers = self.session.range(0, bucket_count, 1, bucket_count)
        with warnings.catch_warnings():
            # Of pandas 3, which takes no part in it.
            warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
            replies = numbers.mapInArrow(work, REPLY)
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(replies.collect)
            try:
                self._watch(asked, announce, step)
                self._check(asked.result(), WRITTEN[step])
            except BaseException:
                self.session.sparkContext.cancelAllJobs()
                raise

    def _watch(self, asked: Future[Any], announce: Announce, step: Step) -> None:
        """Announce each bucket as its file appears, until all is done."""
        bucket_count, seen = self.order.manifest.bucket_count, 0
        while not asked.done():
            wait([asked], timeout=_LOOK_EVERY_SECONDS)
            found = len(bucket_paths(self.order.folder, WRITTEN[step]))
            for number in range(seen, found):
                announce(f"{SHOWN[step]} {number + 1} of {bucket_count}")
            seen = max(seen, found)

    def _check(self, replies: list[Any], table: Table) -> None:
        folder = self.order.folder
        for bucket, row_count, error in replies:
            if error is not None:
                raise ClusterError(f"bucket {bucket} could not be scored on a worker: {error}")
            if row_count and not bucket_path(folder, table, bucket).exists():
                raise ClusterError(
                    f"a worker scored bucket {bucket}, but its file is not in {folder}: VAR must lie on "
                    "storage that every worker sees under the same path"
                )


def left_out(history: History, suppressed: Suppressed) -> dict[int, frozenset[str]]:
    """Return the suppressed customers of each bucket that has some: workers do not know the pepper."""
    found = {}
    for bucket in range(history.manifest.bucket_count if suppressed else 0):
        lines = history.scan("order_lines", buckets=[bucket]).select("customer_id").unique()
        gone = suppressed.among(lines.collect("polars")["customer_id"].to_list())
        if gone:
            found[bucket] = frozenset(gone)
    return found
