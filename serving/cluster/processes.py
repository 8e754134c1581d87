"""Having several processes of this machine write the buckets of an order, as many as there are cores."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
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
_CGROUP_CPUS: Final = Path("/sys/fs/cgroup/cpu.max")


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
        if code == -signal.SIGKILL:
            raise ProcessError(
                "a process that scores was killed, as it happens where memory runs out; "
                "let fewer work at once: processes under [scoring]"
            )
        self.complaints.seek(0)
        said = self.complaints.read().strip()
        if code == 2 and said:
            raise ProcessError(said.splitlines()[-1].removeprefix("error: "))
        raise RuntimeError(f"a process that scores ended with code {code}:\n{said}")


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
            for errand in errands:
                stack.enter_context(_started(errand, told, process_count=len(errands)))
            written, ended = 0, 0
            while ended < len(errands):
                found = told.get()
                if isinstance(found, Started):
                    found.check()
                    ended += 1
                elif found.strip().isdigit():
                    written += 1
                    announce(f"{SHOWN[step]} {written} of {bucket_count}")
            if written != bucket_count:
                raise RuntimeError(f"the processes that score wrote {written} of {bucket_count} buckets")


@contextmanager
def _started(errand: Errand, told: "SimpleQueue[str | Started]", *, process_count: int) -> Iterator[None]:
    """Start a process on its errand; it is ended if it still runs when nobody wants it any more."""
    # Ids are written in all alphabets, whatever the user's locale writes.
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as complaints:
        process = subprocess.Popen(
            [sys.executable, "-m", "serving.cluster.process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            encoding="utf-8",
            errors="replace",
            env=_environment(process_count),
        )
        talk = Thread(target=_talk, args=(Started(process, complaints), errand, told), daemon=True)
        try:
            talk.start()
            yield
        finally:
            process.kill()
            process.wait()
            talk.join()


def _talk(started: Started, errand: Errand, told: "SimpleQueue[str | Started]") -> None:
    """Give a process its errand and pass on what it tells; its input stays open for as long as it works."""
    asked, answers = started.process.stdin, started.process.stdout
    assert asked is not None  # noqa: S101 - asked for above
    assert answers is not None  # noqa: S101
    with suppress(OSError), asked, answers:  # its end says why it no longer listens
        asked.write(f"{errand.model_dump_json()}\n")
        asked.flush()
        for line in answers:
            told.put(line)
    started.process.wait()
    told.put(started)


def _environment(process_count: int) -> dict[str, str]:
    """Return this environment, in which a process finds our code and takes its share of the cores."""
    threads = str(max(1, core_count() // process_count))
    paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    share = {name: os.environ.get(name, threads) for name in _THREADS}
    return os.environ | share | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONIOENCODING": "utf-8"}


def core_count() -> int:
    """Return how many cores this process may use; a container may be given fewer than its machine has."""
    counted = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = _CGROUP_CPUS.read_text(encoding="ascii").split()
        return max(1, min(counted, -(-int(quota) // int(period))))
    except (OSError, ValueError):  # there is no such file, or it says "max"
        return counted
