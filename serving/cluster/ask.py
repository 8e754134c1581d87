"""Having a cluster score a shop: an order and what it needs are shipped, the workers write files."""

import secrets
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from features.console import Announce
from features.errors import UserError
from features.history import History
from features.settings import Settings
from features.shop import ShopFacts
from features.snapshot import Snapshot
from features.spark import spark_session
from features.suppression import Suppressed
from models.registry_names import Task
from serving.cluster.order import Order, digest_of, pack_bundles, pack_code
from serving.cluster.task import REPLY, score_batches
from serving.registry import Champion
from serving.scoring.bucket_rows import rows_path

_LOOK_EVERY_SECONDS: Final = 1.0


class ClusterError(UserError):
    """The cluster could not score the shop."""


def make_order(
    history: History,
    snapshot: Snapshot,
    champions: Mapping[Task, Champion],
    *,
    settings: Settings,
    shop: ShopFacts,
    folder: Path,
) -> Order:
    """Return the order to score a shop with its champions; the folder must be one that workers see."""
    return Order(
        root=history.root.resolve(),
        manifest=history.manifest,
        snapshot=snapshot,
        # A worker has one bucket in its hands, and no cluster of its own.
        settings=settings.model_copy(
            update={"features": settings.features.model_copy(update={"engine": "polars"})}
        ),
        shop=shop,
        headline_days=champions["churn"].headline_days,
        folder=folder.resolve(),
        digests={task: digest_of(champion.folder) for task, champion in champions.items()},
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


def score_on_cluster(order: Order, champions: Mapping[Task, Champion], announce: Announce) -> None:
    """Have Spark's workers score every bucket of a shop: afterwards the order's folder holds the files.

    Raises `ClusterError`, naming the first bucket that could not be scored.
    """
    session, bucket_count = spark_session(), order.manifest.bucket_count
    with _shipped(session, champions) as archive, ThreadPoolExecutor(1) as pool:
        work = partial(score_batches, order.model_dump_json(), archive)
        # One part a bucket: a worker that is lost costs its bucket alone.
        numbers = session.range(0, bucket_count, 1, bucket_count)
        with warnings.catch_warnings():
            # Of pandas 3, which takes no part in it.
            warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
            replies = numbers.mapInArrow(work, REPLY)
        asked = pool.submit(replies.collect)
        try:
            _watch(asked, order, announce)
            _check(asked.result(), order)
        except BaseException:
            session.sparkContext.cancelAllJobs()
            raise


@contextmanager
def _shipped(session: Any, champions: Mapping[Task, Champion]) -> Iterator[str]:  # noqa: ANN401 - an extra
    """Ship our code and the champions' bundles; yields the name by which workers find the bundles."""
    with TemporaryDirectory() as folder:
        # Spark takes two files of one name for one, however much they differ.
        token = secrets.token_hex(8)
        archive, code = Path(folder) / f"champions-{token}.zip", Path(folder) / f"regulars-{token}.zip"
        pack_bundles({task: champion.folder for task, champion in champions.items()}, archive)
        pack_code(code)
        session.sparkContext.addPyFile(str(code))
        session.sparkContext.addFile(str(archive))
        yield archive.name


def _watch(asked: Future[Any], order: Order, announce: Announce) -> None:
    """Announce each bucket as its file appears, until all is done."""
    bucket_count, seen = order.manifest.bucket_count, 0
    while not asked.done():
        wait([asked], timeout=_LOOK_EVERY_SECONDS)
        found = sum(rows_path(order.folder, bucket).exists() for bucket in range(bucket_count))
        for number in range(seen, found):
            announce(f"bucket {number + 1} of {bucket_count}")
        seen = max(seen, found)


def _check(told: list[Any], order: Order) -> None:
    for reply in told:
        if reply["error"] is not None:
            raise ClusterError(f"bucket {reply['bucket']} could not be scored on a worker: {reply['error']}")
        if reply["customer_count"] and not rows_path(order.folder, reply["bucket"]).exists():
            raise ClusterError(
                f"bucket {reply['bucket']} was scored, but its file is not in {order.folder}: VAR must lie "
                "on storage that every worker sees under the same path"
            )
