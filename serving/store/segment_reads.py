"""Segments of a run: counted and listed in a thread of their own, by turns; what was asked last is kept."""

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from features.item_filter import Condition
from serving.segments.traits import ATTRIBUTES, TRAIT_NAMES
from serving.store.parts import in_parts
from serving.store.records import SegmentOrder, SegmentPlace, StoredRow
from serving.store.turns import Turns

_ANSWERS_KEPT: Final = 256
_VALUES_MAX: Final = 50
_IDS_AT_ONCE: Final = 500
_ATTRIBUTES: Final = {column.name: column.kind for column in ATTRIBUTES}
_CATEGORY: Final = "category"

Read = Callable[[str, Sequence[object]], Sequence[StoredRow]]
"""Reads the rows of a query (tables as `@name`, values as `?`), and blocks meanwhile."""

Asked = tuple[str, tuple[Any, ...]]


class SegmentReader:
    """Reads the segments of one run.

    The rows of a run never change, but that somebody is erased: where that happens in place, nothing is kept
    longer than `kept_seconds`.
    """

    def __init__(self, read: Read, *, kept_seconds: float = math.inf) -> None:
        self._read = read
        self._kept_seconds = kept_seconds
        self._kept: OrderedDict[Asked, tuple[float, Sequence[StoredRow]]] = OrderedDict()
        self._being_read: dict[Asked, asyncio.Future[Sequence[StoredRow]]] = {}
        self._turns = Turns("segments")

    async def count(self, condition: Condition) -> int:
        """Return how many customers pass."""
        ((count,),) = await self._ask_once(*count_query(condition))
        return int(count)

    async def page(
        self, condition: Condition, *, after: SegmentPlace | None, limit: int, order: SegmentOrder | None
    ) -> Sequence[SegmentPlace]:
        """Return the next customers who pass, after a place."""
        rows = await self._ask(*page_query(condition, after=after, limit=limit, order=order))
        return [SegmentPlace(*row) for row in rows]

    async def values(self, name: str) -> Sequence[str]:
        """Return up to 50 values of a text attribute or of `category`, the most frequent first."""
        return [row[0] for row in await self._ask_once(values_query(name), ())]

    async def traits(self, customer_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the traits of customers by id; unknown ids are left out."""
        found: dict[str, dict[str, Any]] = {}
        for part in in_parts(customer_ids, _IDS_AT_ONCE):
            for customer_id, *values in await self._ask(traits_query(len(part)), part):
                found[customer_id] = dict(zip(TRAIT_NAMES, values, strict=True))
        return found

    async def ask(self, query: str, values: tuple[object, ...]) -> Sequence[StoredRow]:
        """Return the rows of any query over the run's tables; the newest answers are kept."""
        return await self._ask_once(query, values)

    def close(self) -> None:
        """Let the thread go, once it has read what it is reading."""
        self._turns.close()

    async def _ask_once(self, query: str, values: tuple[Any, ...]) -> Sequence[StoredRow]:
        """Return what was read a while ago, else read it: once for all who wait for it."""
        asked = query, values
        read_at, rows = self._kept.get(asked, (-math.inf, ()))
        if asked in self._kept and time.monotonic() - read_at <= self._kept_seconds:
            self._kept.move_to_end(asked)
            return rows
        # One request may be cancelled while another waits for the same answer.
        return await asyncio.shield(self._being_read.get(asked) or self._begin(asked))

    def _begin(self, asked: Asked) -> "asyncio.Future[Sequence[StoredRow]]":
        task = self._turns.begin(self._read, *asked)
        self._being_read[asked] = task
        task.add_done_callback(partial(self._was_read, asked, time.monotonic()))
        return task

    def _was_read(self, asked: Asked, begun: float, task: "asyncio.Future[Sequence[StoredRow]]") -> None:
        """Keep an answer, as old as its reading is."""
        del self._being_read[asked]
        if task.cancelled() or task.exception() is not None:
            return
        self._kept[asked] = begun, task.result()
        self._kept.move_to_end(asked)
        if len(self._kept) > _ANSWERS_KEPT:
            self._kept.popitem(last=False)

    async def _ask(self, query: str, values: Sequence[object]) -> Sequence[StoredRow]:
        return await asyncio.shield(self._turns.begin(self._read, query, values))


def traits_query(count: int) -> str:
    """Return the query of the traits of so many customers."""
    return (
        f"SELECT customer_id, {', '.join(TRAIT_NAMES)} FROM @traits WHERE row_number IN "  # noqa: S608 - our own names
        f"(SELECT row_number FROM @scores WHERE customer_id IN ({','.join('?' * count)}))"
    )


def count_query(condition: Condition) -> tuple[str, tuple[Any, ...]]:
    """Return the query that counts who passes."""
    return f"SELECT count(*) FROM @traits WHERE {condition.sql}", condition.values  # noqa: S608 - values are bound


def page_query(
    condition: Condition, *, after: SegmentPlace | None, limit: int, order: SegmentOrder | None
) -> tuple[str, Sequence[Any]]:
    """Return the query of the next members; raises `ValueError` for an order by what is no attribute."""
    value, sorting, direction = "NULL", "row_number", ">"
    if order is not None:
        if order.name not in _ATTRIBUTES:
            raise ValueError("a segment is sorted by one of its attributes")
        value, direction = f'"{order.name}"', "<" if order.is_falling else ">"
        sorting = f"({value} IS NULL), {value} {'DESC' if order.is_falling else 'ASC'}, row_number"
    begin, values = _after(after, value, direction) if after is not None else ("TRUE", ())
    query = (
        f"SELECT row_number, customer_id, {value} FROM @traits WHERE {condition.sql} AND {begin} "  # noqa: S608 - values are bound
        f"ORDER BY {sorting} LIMIT ?"
    )
    return query, (*condition.values, *values, limit)


def values_query(name: str) -> str:
    """Return the query of a text attribute's values; raises `ValueError` for anything else."""
    if name != _CATEGORY and _ATTRIBUTES.get(name) != "string":
        raise ValueError("only texts have values to choose from")
    table = "sold_products" if name == _CATEGORY else "traits"
    return (
        f"SELECT {name} FROM @{table} WHERE {name} IS NOT NULL "  # noqa: S608 - one of our own names
        f"GROUP BY {name} ORDER BY count(*) DESC, {name} LIMIT {_VALUES_MAX}"
    )


def _after(after: SegmentPlace, value: str, direction: str) -> tuple[str, tuple[Any, ...]]:
    if value == "NULL":
        return "row_number > ?", (after.row_number,)
    if after.value is None:
        return f"({value} IS NULL AND row_number > ?)", (after.row_number,)
    same = f"({value} = ? AND row_number > ?)"
    return f"({value} {direction} ? OR {value} IS NULL OR {same})", (
        after.value,
        after.value,
        after.row_number,
    )
