"""One thread that reads for many callers by turns, so that whoever asks much waits behind themselves."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final

from serving.store.errors import BusyError
from serving.store.records import StoredRow

ASKER: Final[ContextVar[str]] = ContextVar("asker", default="")
"""Who asks: the id of a key, or nothing where the door is open."""
WAITING_MAX: Final = 20

Read = Callable[..., Sequence[StoredRow]]


@dataclass(slots=True)
class _Line:
    """The readings of one asker: one is at the thread, the others wait."""

    count: int = 0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Turns:
    """Reads in one thread; each asker has one reading at a time there, and `WAITING_MAX` at most in all."""

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(1, name)
        self._lines: dict[str, _Line] = {}

    def begin(self, read: Read, *values: object) -> "asyncio.Task[Sequence[StoredRow]]":
        """Queue a reading for the present asker; raises `BusyError` where they have too many.

        It goes on where nobody waits for it any more: a thread cannot be stopped, and until it has read
        the asker's next one has to wait.
        """
        asker = ASKER.get()
        line = self._lines.setdefault(asker, _Line())
        if line.count >= WAITING_MAX:
            raise BusyError(f"{line.count} readings of one caller are waiting")
        line.count += 1
        task = asyncio.ensure_future(self._read(asker, line, read, values))
        # Looked at also where nobody waits for it any more.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task

    def close(self) -> None:
        """Let the thread go, once it has read what it is reading."""
        self._thread.shutdown(wait=False)

    async def _read(
        self, asker: str, line: _Line, read: Read, values: tuple[Any, ...]
    ) -> Sequence[StoredRow]:
        try:
            async with line.turn:
                return await asyncio.get_running_loop().run_in_executor(self._thread, read, *values)
        finally:
            line.count -= 1
            if not line.count:
                del self._lines[asker]
