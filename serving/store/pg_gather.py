"""Reads of one row each, gathered: those that wait at one moment are answered by one query.

A round trip costs more processor time than the row that it brings. While one query is under way the next ones
gather, so that a busy service asks seldom and for many, and a quiet one at once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from serving.store.records import StoredRow

_AT_ONCE: Final = 500
Rows = Mapping[str, StoredRow]


class Gatherer:
    """Answers single ids by a function that reads many; belongs to one event loop at a time."""

    def __init__(self, read: Callable[[Sequence[str]], Awaitable[Rows]]) -> None:
        self._read = read
        self._waiting: dict[str, list[asyncio.Future[StoredRow | None]]] = {}
        self._task: asyncio.Task[None] | None = None

    async def get(self, wanted: str) -> StoredRow | None:
        """Return the row of an id, None where there is none; raises what the reading raises."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[StoredRow | None] = loop.create_future()
        self._waiting.setdefault(wanted, []).append(answer)
        if self._task is None or self._task.done() or self._task.get_loop() is not loop:
            self._task = loop.create_task(self._work())
        return await answer

    async def _work(self) -> None:
        while self._waiting:
            ids = list(self._waiting)[:_AT_ONCE]
            batch = {each: self._waiting.pop(each) for each in ids}
            try:
                rows = await self._read(ids)
            except Exception as error:
                _settle(batch, error=error)
            except BaseException:
                _settle(batch, error=asyncio.CancelledError())
                raise
            else:
                _settle(batch, rows)


def _settle(
    batch: Mapping[str, Sequence["asyncio.Future[StoredRow | None]"]],
    rows: Rows | None = None,
    *,
    error: BaseException | None = None,
) -> None:
    for wanted, answers in batch.items():
        for answer in answers:
            if answer.done():
                continue  # whoever asked has gone
            if error is None:
                answer.set_result((rows or {}).get(wanted))
            elif isinstance(error, asyncio.CancelledError):
                answer.cancel()
            else:
                answer.set_exception(error)
