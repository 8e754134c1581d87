"""Taking in what was sent: read, kept on the disk, then acknowledged."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Final
from zoneinfo import ZoneInfo

from features.suppression import PepperError
from serving.inbound.people import People, Person
from serving.state.database import StateBusyError, StateError
from serving.state.inbox import Inbox, Incoming
from serving.state.suppressions import Suppressions
from serving.web.problems import ProblemError

_RETRY_SECONDS: Final = 5


class Receiver:
    """Keeps messages and who is behind them; what `keep` returned for is never lost."""

    def __init__(
        self,
        inbox: Inbox,
        people: People,
        *,
        suppressions: Suppressions,
        zone: ZoneInfo,
        executor: Executor,
    ) -> None:
        self.people = people
        self.zone = zone
        self._inbox = inbox
        self._suppressions = suppressions
        self._executor = executor

    async def keep(self, incoming: Sequence[Incoming], people: Sequence[Person]) -> list[bool | None]:
        """Keep messages and say of each whether it is new, None where its customer is suppressed.

        Of these nothing is kept. Raises a 503 problem where messages cannot be kept.
        """
        if not incoming:
            return []
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._executor, self._keep, incoming, people)
        except (StateError, PepperError, OSError) as error:
            raise _not_kept(is_busy=isinstance(error, StateBusyError)) from None

    def _keep(self, incoming: Sequence[Incoming], people: Sequence[Person]) -> list[bool | None]:
        # Addresses first: an order whose customer nobody can be reached at helps less than the reverse.
        self.people.keep(people, left_out=self._suppressions.among_now)
        return self._inbox.put(incoming)

    async def bought_since(self, customer_id: str, sequence: int) -> list[str]:
        """Return what a customer bought by messages after a number; nothing where none can be read."""
        try:
            return await asyncio.to_thread(self._inbox.bought_since, customer_id, sequence)
        except StateError:
            return []


def _not_kept(*, is_busy: bool) -> ProblemError:
    detail = "Another process writes at the moment." if is_busy else "The messages cannot be kept now."
    problem = ProblemError(503, "not-kept", f"{detail} Nothing was taken; send all of it again.")
    problem.headers["retry-after"] = str(_RETRY_SECONDS)
    return problem
