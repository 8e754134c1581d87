"""The live run as a serving process sees it: swapped whole, never in the middle of a request."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from serving.state.overlays import Overlays
from serving.store.contract import ScoreStore
from serving.store.errors import NoRunError, StoreError
from serving.store.overlay_run import OverlaidRun
from serving.web.problems import no_scores

_PINNED_MAX = 2
_Found = TypeVar("_Found")


class LiveRuns:
    """Holds the live run open and follows the pointer; a request takes one run and keeps it to its end."""

    def __init__(self, store: ScoreStore, overlays: Overlays) -> None:
        self._store = store
        self._overlays = overlays
        self._current: OverlaidRun | None = None
        self._pinned: OrderedDict[str, OverlaidRun] = OrderedDict()
        self._refreshing = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, "runs")
        self.problem: str | None = "not started"

    def current(self) -> OverlaidRun:
        """Return the live run; raises a 503 problem where there is none."""
        if self._current is None:
            raise no_scores()
        return self._current

    async def pinned(self, score_run_id: str, overlay_sequence: int) -> OverlaidRun:
        """Return what a cursor is pinned to: a run, and what was laid over it up to a number.

        Raises `RunGoneError`.
        """
        run = await self._pinned_run(score_run_id)
        return await run.as_of(overlay_sequence)

    async def _pinned_run(self, score_run_id: str) -> OverlaidRun:
        if self._current is not None and self._current.meta.score_run_id == score_run_id:
            return self._current
        known = self._pinned.get(score_run_id)
        if known is None or known.is_replaced():
            self._pinned[score_run_id] = await self._open(score_run_id)
            while len(self._pinned) > _PINNED_MAX:
                # Not closed here: a request may still read it; the last reference closes it.
                self._pinned.popitem(last=False)
        self._pinned.move_to_end(score_run_id)
        return self._pinned[score_run_id]

    async def refresh(self) -> None:
        """Follow the pointer; a run that cannot be opened leaves the one before in place."""
        async with self._refreshing:
            await self._follow_pointer()

    async def _follow_pointer(self) -> None:
        try:
            run_id = await self._call(self._store.live_run_id)
            current = self._current
            if current is None or current.meta.score_run_id != run_id or current.is_replaced():
                self._current = await self._open(run_id)
            else:
                await current.follow()
            self.problem = None
        except NoRunError:
            self._current, self.problem = None, "no score run"
        except StoreError as error:
            self.problem = str(error)

    async def _open(self, score_run_id: str) -> OverlaidRun:
        run = OverlaidRun(await self._call(self._store.open_run, score_run_id), self._overlays)
        await run.follow()
        return run

    async def follow(self, *, poll_seconds: float) -> None:
        """Refresh for ever."""
        while True:
            await asyncio.sleep(poll_seconds)
            await self.refresh()

    async def _call(self, ask: Callable[..., _Found], *words: str) -> _Found:
        """Ask the store: in a thread, where it may wait; a file answers at once, to its own thread alone."""
        if not self._store.is_networked:
            return ask(*words)
        return await asyncio.get_running_loop().run_in_executor(self._thread, ask, *words)

    async def aclose(self) -> None:
        """Close every run, and let go of the store; what is being asked of it is waited for."""
        self._thread.shutdown()
        for run in (self._current, *self._pinned.values()):
            if run is not None:
                run.close()
        self._current = None
        self._pinned.clear()
        await self._store.aclose()
