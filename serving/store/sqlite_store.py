"""The score store on SQLite: one read-only file a run, and one small file that points to the live run.

    scores/control.sqlite          the list of runs and the pointer
    scores/publish.lock            held while a run is made
    scores/runs/s_0042.sqlite      a published run; never changed

A run is written under another name, checked, flushed and renamed; then a new `control.sqlite` takes the old
one's place. A process killed at any moment leaves the old run live.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from features.layout import Layout
from serving.store.errors import RunGoneError
from serving.store.records import KEPT_RUNS, RunInfo
from serving.store.sqlite_control import Control
from serving.store.sqlite_eraser import SqliteEraser
from serving.store.sqlite_run import SqliteRun
from serving.store.sqlite_writer import SqliteRunWriter, take_lock


class SqliteStore:
    """Runs under one folder, `Layout.scores`."""

    is_networked = False

    def __init__(self, root: Path, *, kept_runs: int = KEPT_RUNS) -> None:
        self._runs = root / "runs"
        self._control = Control(root / "control.sqlite", kept_runs=kept_runs)

    @classmethod
    def of(cls, layout: Layout) -> "SqliteStore":
        """Return the store of a layout."""
        return cls(layout.scores)

    def begin_run(self) -> SqliteRunWriter:
        """Start a run; raises `PublishError` while another process makes one."""
        self._runs.mkdir(parents=True, exist_ok=True)
        return SqliteRunWriter(self._control, self._runs)

    def live_run_id(self) -> str:
        """Return the live run's id; raises `NoRunError`."""
        return self._control.live_run_id()

    def open_run(self, score_run_id: str) -> SqliteRun:
        """Open a published run; raises `RunGoneError`."""
        path = self._runs / f"{score_run_id}.sqlite"
        if not path.exists():
            raise RunGoneError(f"the score run {score_run_id} is no longer kept")
        return SqliteRun(path)

    def list_runs(self) -> list[RunInfo]:
        """Return the kept runs, newest first."""
        return self._control.list_runs()

    @contextmanager
    def hold(self) -> Iterator[SqliteEraser]:
        """Keep everybody from publishing, and erase people; raises `PublishError` while a run is made."""
        self._runs.mkdir(parents=True, exist_ok=True)
        with take_lock(self._runs.parent / "publish.lock"):
            yield SqliteEraser(self._control, self._runs)

    async def aclose(self) -> None:
        """Do nothing: every run has a file of its own to close."""
