"""Having several processes of this machine write the buckets of an order, as many as there are cores."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import IO, Final

from features.console import Announce
from features.errors import UserError
from models.registry_names import Task
from serving.cluster.order import Order
from serving.cluster.process import Errand
from serving.cluster.workers import SHOWN, Step

_ROOT: Final = Path(__file__).resolve().parent.parent.parent
_THREADS: Final = ("OMP_NUM_THREADS", "POLARS_MAX_THREADS")


class ProcessError(UserError):
    """A process could not write its buckets."""


@dataclass(frozen=True, slots=True)
class Started:
    """A process that runs, and what it complains of."""

    process: subprocess.Popen[str]
    complaints: IO[str]

    def check(self) -> None:
        """Raise where it ended otherwise than well."""
        code = self.process.returncode
        if code == 0:
            return
        if code < 0:
            raise ProcessError(
                f"a process that scores was ended by signal {-code}, as it happens where memory runs out; "
                "let fewer work at once: processes under [scoring]"
            )
        self.complaints.seek(0)
        said = self.complaints.read().strip()
        if code == 2:
            raise ProcessError(said.splitlines()[-1].removeprefix("error: "))
        raise RuntimeError(f"a process that scores failed:\n{said}")


@dataclass(frozen=True, slots=True)
class Processes:
    """`count` processes, each with its share of the buckets and its own copy of the champions."""

    order: Order
    bundles: Mapping[Task, Path]
    count: int

    def write(self, step: Step, announce: Announce) -> None:
        """Take a step for every bucket; raises `ProcessError` where one cannot be written."""
        bucket_count = self.order.manifest.bucket_count
        told: SimpleQueue[str | Started] = SimpleQueue()
        with ExitStack() as stack:
            # Neighbours go to different ones: where a history is uneven, its beginning is.
            shares = [list(range(first, bucket_count, self.count)) for first in range(self.count)]
            errands = [
                Errand(order=self.order, bundles=dict(self.bundles), step=step, buckets=share)
                for share in shares
                if share
            ]
            running = [stack.enter_context(_started(errand, len(errands))) for errand in errands]
            for each in running:
                Thread(target=_listen, args=(each, told), daemon=True).start()
            written, ended = 0, 0
            while ended < len(running):
                found = told.get()
                if isinstance(found, Started):
                    found.check()
                    ended += 1
                else:
                    written += 1
                    announce(f"{SHOWN[step]} {written} of {bucket_count}")


@contextmanager
def _started(errand: Errand, process_count: int) -> Iterator[Started]:
    """Start a process on its errand; it is ended if it still runs when nobody wants it any more."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as asked, tempfile.TemporaryFile("w+") as complaints:
        asked.write(errand.model_dump_json())
        asked.seek(0)
        process = subprocess.Popen(
            [sys.executable, "-m", "serving.cluster.process"],
            stdin=asked,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            env=_environment(process_count),
        )
        try:
            yield Started(process, complaints)
        finally:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def _listen(started: Started, told: "SimpleQueue[str | Started]") -> None:
    assert started.process.stdout is not None  # noqa: S101 - asked for above
    for line in started.process.stdout:
        told.put(line)
    started.process.wait()
    told.put(started)


def _environment(process_count: int) -> dict[str, str]:
    """Return this environment, in which a process finds our code and takes its share of the cores."""
    threads = str(max(1, core_count() // process_count))
    paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    share = {name: os.environ.get(name, threads) for name in _THREADS}
    return os.environ | share | {"PYTHONPATH": os.pathsep.join(paths)}


def core_count() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
