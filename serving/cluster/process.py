"""A process that writes some buckets of an order, asked by `serving.cluster.processes`.

It reads its `Errand` as a line of JSON from standard input, and tells on standard output each bucket that is
written. It ends with whoever asked: when its standard input does.
"""

import os
import sys
from pathlib import Path
from threading import Thread

from pydantic import BaseModel, ConfigDict

from features.console import run_command
from models.registry_names import Task
from serving.cluster.order import Order
from serving.cluster.workers import Step, Worker


class Errand(BaseModel):
    """What a process has to do: a step of an order for some buckets, with the champions' bundles."""

    model_config = ConfigDict(frozen=True)

    order: Order
    bundles: dict[Task, Path]
    step: Step
    buckets: list[int]


def main() -> None:
    """Write the buckets of the errand that comes in."""
    errand = Errand.model_validate_json(sys.stdin.buffer.readline())
    Thread(target=_end_with_who_asked, daemon=True).start()
    worker = Worker.load(errand.order, errand.bundles)
    for bucket in errand.buckets:
        worker.write_bucket(bucket, errand.step)
        sys.stdout.write(f"{bucket}\n")
        sys.stdout.flush()


def _end_with_who_asked() -> None:
    """Leave nobody at work in a folder that is given up."""
    os.read(sys.stdin.fileno(), 1)  # nothing more is said; the buffer would not let this process end
    os._exit(1)


if __name__ == "__main__":
    run_command(main)
