"""Who writes the buckets of an order: this process, several processes of this machine, or a Spark cluster.

All of them write the same files into the order's folder, from which the run is made.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from features.console import Announce
from features.families import FEATURE_NAMES
from features.suppression import LeftOut
from models.bundle import BundleError, read_bundle
from models.registry_names import Task
from serving.cluster.order import Order, digest_of
from serving.scoring.bucket_files import Table, read_customers, write_bucket
from serving.scoring.bucket_scores import Predictors
from serving.scoring.list_files import write_bucket_lists
from serving.scoring.lists import ListMaker, make_lists

Step = Literal["rows", "lists", "lists and tables"]
SHOWN: Final[dict[Step, str]] = {
    "rows": "bucket",
    "lists": "recommendations, bucket",
    "lists and tables": "recommendations, bucket",
}
WRITTEN: Final[dict[Step, Table]] = {"rows": "customers", "lists": "lists", "lists and tables": "lists"}
"""A table of which each bucket with customers has a file when the step is done."""


class Workers(Protocol):
    """Who writes the buckets of one order."""

    def write(self, step: Step, announce: Announce) -> None:
        """Take a step for every bucket; raises a `UserError` where a bucket cannot be written."""
        ...


@dataclass(frozen=True, slots=True)
class Worker:
    """Writes buckets of one order in this process, with champions that are loaded."""

    order: Order
    predictors: Predictors
    lists: ListMaker

    @classmethod
    def of(cls, order: Order, models: Mapping[Task, Any]) -> "Worker":
        """Return a worker with the fitted models of an order."""
        predictors = Predictors.of(
            models["churn"], models["clv"], headline_days=order.headline_days, settings=order.settings
        )
        lists = make_lists(order.history, order.snapshot, models.get("recommender"), settings=order.settings)
        return cls(order, predictors, lists)

    @classmethod
    def load(cls, order: Order, bundles: Mapping[Task, Path]) -> "Worker":
        """Load the champions of an order; raises `BundleError` unless they are those that it names."""
        for task, digest in order.digests.items():
            if digest_of(bundles[task]) != digest:
                raise BundleError(f"the {task} champion that reached a worker is not the one that was sent")
        read = {task: read_bundle(bundles[task], feature_names=FEATURE_NAMES) for task in order.digests}
        return cls.of(order, {task: bundle.model for task, bundle in read.items()})

    def write_bucket(self, bucket: int, step: Step) -> int:
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

    def write(self, step: Step, announce: Announce) -> None:
        """Take a step for every bucket, one after another."""
        bucket_count = self.order.manifest.bucket_count
        for bucket in range(bucket_count):
            announce(f"{SHOWN[step]} {bucket + 1} of {bucket_count}")
            self.write_bucket(bucket, step)
