"""Who is suppressed, as a serving process knows it: in memory, followed as keys are, asked at every read."""

import asyncio
import logging
from collections.abc import Collection
from concurrent.futures import Executor

from features.errors import UserError
from features.suppression import NOBODY, Marker, Suppressed
from serving.state.database import StateBusyError
from serving.state.suppressions import Suppressions, Version
from serving.web.problems import no_suppressions

_UNREAD = "who is suppressed was not read yet"
_LOG = logging.getLogger(__name__)


class SuppressedPeople:
    """Follows the suppressions of a state. Where they cannot be read, those that are known stay.

    Until they were read once nobody knows who may be shown: every reading is refused.
    """

    def __init__(self, suppressions: Suppressions, *, executor: Executor | None = None) -> None:
        self._suppressions = suppressions
        self._executor = executor
        self._version = Version(-1, -1)
        self._people = NOBODY
        self._is_known = False
        self.problem: str | None = _UNREAD

    @property
    def people(self) -> Suppressed:
        """Who is suppressed; raises a 503 problem where nobody could read that yet."""
        if not self._is_known:
            raise no_suppressions()
        return self._people

    def add(self, marker: Marker, marks: Collection[str]) -> None:
        """Suppress people in this process at once; the others hear of it from the state."""
        self._people = Suppressed(self._people.marks | frozenset(marks), marker)

    def refresh(self) -> None:
        """Read them again if there is anything new."""
        try:
            version = self._suppressions.current_version()
            if version != self._version:
                self._people = self._suppressions.read()
                self._version = version
        except StateBusyError:
            return  # It is asked again soon.
        except UserError as error:
            self._note(str(error))
            return
        self._is_known = True
        self._note(None)

    async def follow(self, *, poll_seconds: float) -> None:
        """Read them again and again, in a thread."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(poll_seconds)
            await loop.run_in_executor(self._executor, self.refresh)

    def _note(self, problem: str | None) -> None:
        if problem is not None and problem != self.problem:
            _LOG.warning("suppressions: %s", problem)
        self.problem = problem
