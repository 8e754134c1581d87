"""The score store on PostgreSQL: a schema a run, and one small schema that points to the live run.

Runs are made by one session at a time, which holds an advisory lock, and go live by one update. A process
killed at any moment leaves the old run live; the next one removes what it left.
"""

from contextlib import AbstractContextManager

from serving.store.pg_address import PgAddress
from serving.store.pg_control import PgControl
from serving.store.pg_eraser import PgEraser, holding
from serving.store.pg_reader import PgReader
from serving.store.pg_run import PgRun
from serving.store.pg_writer import PgRunWriter
from serving.store.records import KEPT_RUNS, RunInfo


class PgStore:
    """Runs in one database; its reading connections belong to the event loop that reads."""

    is_networked = True

    def __init__(self, address: PgAddress, *, kept_runs: int = KEPT_RUNS) -> None:
        self._address = address
        self._kept_runs = kept_runs
        self._control = PgControl(address)
        self._reader = PgReader(address)

    def begin_run(self) -> PgRunWriter:
        """Start a run; raises `PublishError` while another process makes one."""
        return PgRunWriter(self._address, kept_runs=self._kept_runs)

    def live_run_id(self) -> str:
        """Return the live run's id; raises `NoRunError`."""
        return self._control.live_run_id()

    def open_run(self, score_run_id: str) -> PgRun:
        """Open a published run; raises `RunGoneError`."""
        return PgRun(score_run_id, control=self._control, reader=self._reader)

    def list_runs(self) -> list[RunInfo]:
        """Return the kept runs, newest first."""
        return self._control.list_runs()

    def hold(self) -> AbstractContextManager[PgEraser]:
        """Keep everybody from publishing, and erase people; raises `PublishError` while a run is made."""
        return holding(self._address)

    async def aclose(self) -> None:
        """Let go of all connections."""
        await self._reader.aclose()
        self._control.close()
