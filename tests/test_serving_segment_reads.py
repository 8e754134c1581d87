"""Answers about segments: read once for all who wait, kept while they are asked for, and not too long."""

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from serving.store import segment_reads
from serving.store.errors import BusyError
from serving.store.segment_reads import SegmentReader
from serving.store.turns import ASKER, WAITING_MAX


class Table:
    """Counts how often a query is read."""

    def __init__(self) -> None:
        self.read_count = 0

    def read(self, _query: str, _values: Sequence[object]) -> list[tuple[Any, ...]]:
        self.read_count += 1
        return [(self.read_count,)]


def test_whoever_asks_while_an_answer_is_read_waits_for_it() -> None:
    table = Table()
    reader = SegmentReader(table.read)

    async def crowd() -> list[Any]:
        first, *others = (asyncio.ensure_future(reader.ask("q", ())) for _ in range(20))
        await asyncio.sleep(0)
        first.cancel()
        return await asyncio.gather(*others)

    assert asyncio.run(crowd()) == [[(1,)]] * 19
    assert table.read_count == 1
    reader.close()


def test_a_reading_that_failed_is_tried_again() -> None:
    def broken(_query: str, _values: Sequence[object]) -> list[tuple[Any, ...]]:
        raise OSError("no disk")

    reader, table = SegmentReader(broken), Table()

    async def asked() -> Any:
        with pytest.raises(OSError, match="no disk"):
            await reader.ask("q", ())
        reader._read = table.read
        return await reader.ask("q", ())

    assert asyncio.run(asked()) == [(1,)]
    reader.close()


def test_what_is_asked_for_again_and_again_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever types one condition after another does not push out what every page shows."""
    monkeypatch.setattr(segment_reads, "_ANSWERS_KEPT", 2)
    table = Table()
    reader = SegmentReader(table.read)

    async def typed() -> Any:
        await reader.ask("every page", ())
        for number in range(5):
            await reader.ask("typed", (number,))
            found = await reader.ask("every page", ())
        return found

    assert asyncio.run(typed()) == [(1,)]
    reader.close()


def test_an_answer_is_read_anew_where_people_are_erased_in_place() -> None:
    table = Table()
    reader = SegmentReader(table.read, kept_seconds=-1.0)

    async def twice() -> list[Any]:
        return [await reader.ask("q", ()), await reader.ask("q", ())]

    assert asyncio.run(twice()) == [[(1,)], [(2,)]]
    reader.close()


def test_who_asks_much_waits_behind_themselves() -> None:
    read: list[str] = []

    def slow(query: str, _values: Sequence[object]) -> list[tuple[Any, ...]]:
        read.append(query)
        return []

    reader = SegmentReader(slow)

    async def as_key(key: str, *queries: str) -> None:
        ASKER.set(key)
        await asyncio.gather(*(reader.ask(query, ()) for query in queries))

    async def crowd() -> None:
        much = asyncio.create_task(as_key("k_much", *(f"much {number}" for number in range(WAITING_MAX))))
        await asyncio.sleep(0)
        await asyncio.gather(much, as_key("k_one", "one"))

    asyncio.run(crowd())
    # One of theirs may have been at the thread, and one before it.
    assert read.index("one") <= 2
    assert len(read) == WAITING_MAX + 1
    reader.close()


def test_one_reading_too_many_is_refused_and_the_others_are_answered() -> None:
    gate = threading.Event()

    def held(query: str, _values: Sequence[object]) -> list[tuple[Any, ...]]:
        gate.wait()
        return [(query,)]

    reader = SegmentReader(held)

    async def crowd() -> list[Any]:
        ASKER.set("k_much")
        asked = [asyncio.ensure_future(reader.ask(str(number), ())) for number in range(WAITING_MAX)]
        await asyncio.sleep(0)
        with pytest.raises(BusyError, match=f"{WAITING_MAX} readings of one caller are waiting"):
            await reader.traits(["1"])
        same = asyncio.ensure_future(reader.ask("3", ()))
        # Who goes away leaves the place taken: the thread still has that to read.
        asked[1].cancel()
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            await reader.ask("another", ())
        gate.set()
        answers = await asyncio.gather(*asked[2:], same)
        return [*answers, await reader.ask("another", ())]

    found = asyncio.run(crowd())
    assert found == [[(str(number),)] for number in (*range(2, WAITING_MAX), 3)] + [[("another",)]]
    reader.close()
