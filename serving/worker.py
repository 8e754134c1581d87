"""The worker: scores customers again as events come in, runs jobs and privacy requests, delivers webhooks.

    python -m serving.worker [--var var]

One a data set is enough; a second one waits until the first ends. Killed and started again it goes on where
it was.
"""

import fcntl
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

# MLflow imports it while other threads are at the database already, which SQLAlchemy does not stand.
import sqlalchemy.orm  # noqa: F401
import typer

from features.console import run_command
from features.errors import UserError
from features.layout import Layout
from features.settings import Settings, load_settings
from serving.audiences.kept_members import keep_members
from serving.audiences.outcomes import measure
from serving.changes.log import ChangeLog
from serving.databases import open_state, open_store
from serving.environment import Environment
from serving.jobs import Bench, run_next_job
from serving.outbound.courier import deliver_due
from serving.people.runner import Office, run_next_request
from serving.scoring.rescore_queue import RescoreQueue
from serving.state.database import State
from serving.state.inbox import Inbox
from serving.state.migrate import make
from serving.state.overlays import Overlays
from serving.store.contract import ScoreStore
from serving.store.errors import NoRunError
from serving.web.logs import json_logging

_POLL_SECONDS: Final = 0.2
_SIDE_SECONDS: Final = 1.0
_TIDY_SECONDS: Final = 3_600.0
_MEASURE_SECONDS: Final = 600.0
_TIDY_OVERLAYS_SECONDS: Final = 300.0
_PAUSE_SECONDS: Final = 5.0
_TOLD_SECONDS: Final = 10.0
_LOG = logging.getLogger("serving.worker")


class Tally:
    """Tells how many customers were scored again: once all are, or every few seconds of a stream."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._count = 0
        self._since = 0.0

    def add(self, count: int) -> None:
        """Take a step's count; 0 says that nothing waits."""
        now = self._clock()
        if self._count == 0:
            self._since = now
        self._count += count
        if self._count and (count == 0 or now - self._since >= _TOLD_SECONDS):
            _LOG.info("%s scored again", "1 customer" if self._count == 1 else f"{self._count:,} customers")
            self._count = 0


class Worker:
    """What the worker does beside waiting; every method does what is due now and returns."""

    def __init__(self, environment: Environment, settings: Settings) -> None:
        self._environment = environment
        self._layout: Layout = environment.layout
        self._settings = settings
        self._state: State = open_state(environment)
        self._store: ScoreStore = open_store(environment)
        self._queue: RescoreQueue | None = None
        self._tally = Tally()

    def rescore(self) -> int:
        """Score the customers of the next messages again, by the run that is live; return how many."""
        try:
            run_id = self._store.live_run_id()
        except NoRunError:
            return 0
        if self._queue is None or self._queue.score_run_id != run_id:
            self._queue = self._open_queue(run_id)
            self._queue.warm_up()
            _LOG.info("scores again by %s", run_id)
        count = self._queue.step()
        self._tally.add(count)
        return count

    def run_job(self) -> bool:
        """Run the next export job; say whether there was one."""
        bench = Bench(self._layout, self._state, self._store, self._settings)
        return run_next_job(bench) is not None

    def answer_privacy(self) -> bool:
        """Run the next privacy request that is due; say whether there was one."""
        office = Office(self._layout, self._state, self._store, self._settings)
        return run_next_request(office) is not None

    def deliver(self) -> bool:
        """Send the webhooks that are due; say whether any was sent."""
        return deliver_due(self._state, self._layout, self._settings.changes).sent > 0

    def tidy(self) -> None:
        """Forget what has had its time: old messages and changes."""
        oldest = datetime.now(UTC) - timedelta(days=self._settings.inbox.keep_days)
        Inbox(self._state).prune(received_before=oldest)
        ChangeLog(self._state, self._settings.changes).remove_old()

    def measure_exports(self) -> None:
        """Keep who was on the lists that left, and measure what came of them."""
        # A store of its own: what it lets go of, no other thread reads by.
        keep_members(self._layout, self._state, open_store(self._environment))
        measure(self._layout, self._state)

    def tidy_overlays(self) -> None:
        """Forget the overlays of runs that are gone, and those that newer ones took the place of."""
        Overlays(self._state).forget(kept_runs=[run.score_run_id for run in self._store.list_runs()])

    def _open_queue(self, run_id: str) -> RescoreQueue:
        run = self._store.open_run(run_id)
        try:
            return RescoreQueue(self._state, self._layout, self._settings, run.meta)
        finally:
            run.close()


def work(worker: Worker, stop: threading.Event) -> None:
    """Work until asked to stop; what fails is logged and tried again a little later."""
    sides = [
        threading.Thread(target=_repeat, args=(task, stop, pause), daemon=True)
        for task, pause in (
            (worker.run_job, _SIDE_SECONDS),
            (worker.answer_privacy, _SIDE_SECONDS),
            (worker.deliver, _SIDE_SECONDS),
            (worker.tidy, _TIDY_SECONDS),
            (worker.measure_exports, _MEASURE_SECONDS),
            (worker.tidy_overlays, _TIDY_OVERLAYS_SECONDS),
        )
    ]
    for side in sides:
        side.start()
    _repeat(worker.rescore, stop, _POLL_SECONDS)
    for side in sides:
        side.join(timeout=_PAUSE_SECONDS)


def _repeat(task: Callable[[], object], stop: threading.Event, pause_seconds: float) -> None:
    """Do a task again and again, at once after it did something."""
    while not stop.is_set():
        try:
            did_something = bool(task())
        except Exception as error:
            # The words of other errors could name somebody.
            words = str(error) if isinstance(error, UserError) else type(error).__name__
            _LOG.warning("%s failed: %s", task.__name__, words)
            stop.wait(_PAUSE_SECONDS)
            continue
        if not did_something:
            stop.wait(pause_seconds)


@contextmanager
def _alone(layout: Layout, stop: threading.Event) -> Iterator[None]:
    """Hold the worker's lock of a data set; wait for it as long as another one works."""
    folder = layout.root / "worker"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        while not stop.is_set():
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(_PAUSE_SECONDS)
        yield


def _command(
    *,
    var: Annotated[Path, typer.Option(envvar="VAR", help="where everything that is written lies")] = Path(
        "var"
    ),
) -> None:
    """Score again whose events came in, run export jobs, deliver webhooks, until stopped."""
    environment = Environment(var=var)
    state = open_state(environment)
    state.exists()  # raises where there was one and it is gone: that is no moment to begin anew
    make(state)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    sys.stderr.write(f"working for {var} (stop with Ctrl-C)\n")
    with json_logging(told=("serving",)), _alone(environment.layout, stop):
        if not stop.is_set():
            work(Worker(environment, load_settings()), stop)


if __name__ == "__main__":
    run_command(_command)
