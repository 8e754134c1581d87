"""Filters over a run's items: read in a thread, once for all that wait, and kept as long as they are new."""

import asyncio
from array import array
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from features.item_filter import Condition
from serving.store.records import MatchingItems, StoredRow

# A mailing asks the same few filters for every customer.
_CONDITIONS_KEPT = 32

Read = Callable[[Condition | None], MatchingItems]
"""Reads the items that pass a condition, and blocks meanwhile."""

EVERY_ITEM = Condition("TRUE", ())
SELECT_MATCHING = """
SELECT item_no, popular_rank, recent_customer_count FROM {items} WHERE {condition}
ORDER BY popular_rank IS NULL, popular_rank"""
"""Its rows are what `matching_items` reads."""


class Matcher:
    """Keeps the answers to the newest conditions of one run."""

    def __init__(self) -> None:
        self._kept: dict[Condition | None, MatchingItems] = {}
        self._being_read: dict[Condition | None, asyncio.Future[MatchingItems]] = {}
        self._thread = ThreadPoolExecutor(1, "filters")

    async def match(self, condition: Condition | None, read: Read) -> MatchingItems:
        """Return the items that pass a condition (None: all of them); `read` is called in a thread.

        It is handed over each time: a run that nobody uses any more is closed by its last reference.
        """
        found = self._kept.pop(condition, None)
        if found is None:
            # One request may be cancelled while another waits for the same answer.
            found = await asyncio.shield(self._read_once(condition, read))
        self._kept[condition] = found
        if len(self._kept) > _CONDITIONS_KEPT:
            del self._kept[next(iter(self._kept))]
        return found

    def close(self) -> None:
        """Let the thread go, once it has read what it is reading."""
        self._thread.shutdown(wait=False)

    def _read_once(self, condition: Condition | None, read: Read) -> "asyncio.Future[MatchingItems]":
        """Return the reading of a condition, begun now or by an earlier request."""
        task = self._being_read.get(condition)
        if task is None:
            task = asyncio.ensure_future(
                asyncio.get_running_loop().run_in_executor(self._thread, read, condition)
            )
            self._being_read[condition] = task
            task.add_done_callback(partial(self._was_read, condition))
        return task

    def _was_read(self, condition: Condition | None, task: "asyncio.Future[MatchingItems]") -> None:
        del self._being_read[condition]
        if not task.cancelled():
            task.exception()  # looked at, also where nobody waits for it any more


def matching_items(rows: Sequence[StoredRow]) -> MatchingItems:
    """Read (item_no, popular_rank, recent buyers), the popular first."""
    passes = bytearray(1 + max((row[0] for row in rows), default=-1))
    for row in rows:
        passes[row[0]] = 1
    popular = [row for row in rows if row[1] is not None]
    buyers = array("I", (row[2] for row in popular))
    return MatchingItems(bytes(passes), array("I", (row[0] for row in popular)), buyers)
