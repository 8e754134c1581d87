"""What is counted of calls, for Prometheus: every process counts in files of its own, any of them adds up.

The labels are bounded: templates of paths, known methods, classes of status. `serving.server` names the
folder in `PROMETHEUS_MULTIPROC_DIR` before the processes start; without it each counts for itself.
"""

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.multiprocess import MultiProcessCollector

from serving.web.calls import Call

FOLDER_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
_REFUSED_FOR: Final = {401: "key", 403: "scope", 429: "limit"}
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_FILE_BYTES: Final = 1 << 18
_DEAD_KEPT: Final = 50
_LOG = logging.getLogger(__name__)


class Metrics:
    """Counts calls; made once a process."""

    def __init__(self) -> None:
        found = os.environ.get(FOLDER_VARIABLE)
        self._folder = Path(found) if found else None
        self._registry = CollectorRegistry()
        self.is_counting = self._folder is None or _reserve(self._folder)
        self._known: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        if not self.is_counting:
            return
        self._requests = Counter(
            "regulars_requests", "answered calls", ["route", "method", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "regulars_request_seconds",
            "from the first byte of a call to the last of its answer",
            ["route"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._refused = Counter(
            "regulars_refused_calls",
            "calls without a key that counts (key), without the scope, or over the limit",
            ["reason"],
            registry=self._registry,
        )
        for reason in _REFUSED_FOR.values():
            self._refused.labels(reason)

    def note(self, call: Call) -> None:
        """Count one call."""
        if not self.is_counting:
            return
        kind = (call.route, call.method, call.status)
        counters = self._known.get(kind)
        if counters is None:
            counters = self._known[kind] = self._counters(call)
        counters[0].inc()
        counters[1].observe(call.seconds)
        if call.status in _REFUSED_FOR:
            self._refused.labels(_REFUSED_FOR[call.status]).inc()

    def _counters(self, call: Call) -> tuple[Counter, Histogram]:
        requests = self._requests.labels(call.route, call.method, f"{call.status // 100}xx")
        return requests, self._seconds.labels(call.route)

    def registry(self) -> CollectorRegistry:
        """Return what all processes have counted, or this one where there is no folder."""
        if self._folder is None:
            return self._registry
        shared = CollectorRegistry()
        MultiProcessCollector(shared, path=str(self._folder))  # type: ignore[no-untyped-call]
        return shared

    def resident_bytes(self) -> Iterator[tuple[int, int]]:
        """Yield (process id, bytes of memory) of this process and of those beside it that still run."""
        pids = {os.getpid()}
        if self._folder is not None:
            pids |= {_pid_of(path) for path in self._folder.glob("counter_*.db")}
        parent = os.getppid()
        for pid in sorted(pids):
            pages = _resident_pages(pid, parent=parent)
            if pages is not None:
                yield pid, pages * os.sysconf("SC_PAGE_SIZE")


def _resident_pages(pid: int, *, parent: int) -> int | None:
    """Return the memory of a child of `parent` in pages; None where it is none, or is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[21]) if int(fields[1]) == parent else None


def _forget_oldest(folder: Path) -> None:
    """Keep the counts of the newest dead processes only: one that dies again and again fills no disk."""
    counted = sorted(folder.glob("*.db"), key=_changed_at, reverse=True)
    parent, newest = os.getppid(), 2 * _DEAD_KEPT
    for path in counted[newest:]:
        if _resident_pages(_pid_of(path), parent=parent) is None:
            path.unlink(missing_ok=True)


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0  # another process forgot it just now


def _pid_of(path: Path) -> int:
    return int(path.stem.rpartition("_")[2])


def _reserve(folder: Path) -> bool:
    """Set aside this process's files: a disk that is full later must not end who counts in them."""
    try:
        _forget_oldest(folder)
        for kind in ("counter", "histogram"):
            (folder / f"{kind}_{os.getpid()}.db").write_bytes(bytes(_FILE_BYTES))
    except OSError as error:
        _LOG.warning("calls are not counted: %s", error.strerror)
        return False
    return True
