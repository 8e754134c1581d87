"""The live run as a serving process sees it: swapped whole, never in the middle of a request."""

import asyncio
from collections import OrderedDict

from serving.problems import no_scores
from serving.store import NoRunError, ScoreRun, ScoreStore, StoreError

_PINNED_MAX = 2


class LiveRuns:
    """Holds the live run open and follows the pointer; a request takes one run and keeps it to its end."""

    def __init__(self, store: ScoreStore) -> None:
        self._store = store
        self._current: ScoreRun | None = None
        self._pinned: OrderedDict[str, ScoreRun] = OrderedDict()
        self.problem: str | None = "not started"

    def current(self) -> ScoreRun:
        """Return the live run; raises a 503 problem where there is none."""
        if self._current is None:
            raise no_scores()
        return self._current

    def pinned(self, score_run_id: str) -> ScoreRun:
        """Return the run that a cursor is pinned to; raises `RunGoneError`."""
        if self._current is not None and self._current.meta.score_run_id == score_run_id:
            return self._current
        if score_run_id not in self._pinned:
            self._pinned[score_run_id] = self._store.open_run(score_run_id)
            while len(self._pinned) > _PINNED_MAX:
                # Not closed here: a request may still read it; the last reference closes it.
                self._pinned.popitem(last=False)
        self._pinned.move_to_end(score_run_id)
        return self._pinned[score_run_id]

    def refresh(self) -> None:
        """Follow the pointer; a run that cannot be opened leaves the one before in place."""
        try:
            run_id = self._store.live_run_id()
            if self._current is None or self._current.meta.score_run_id != run_id:
                self._current = self._store.open_run(run_id)
            self.problem = None
        except NoRunError:
            self._current, self.problem = None, "no score run"
        except StoreError as error:
            self.problem = str(error)

    async def follow(self, *, poll_seconds: float) -> None:
        """Refresh for ever."""
        while True:
            await asyncio.sleep(poll_seconds)
            self.refresh()

    def close(self) -> None:
        """Close every run."""
        for run in (self._current, *self._pinned.values()):
            if run is not None:
                run.close()
        self._current = None
        self._pinned.clear()
