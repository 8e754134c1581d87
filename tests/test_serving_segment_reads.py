"""Answers about segments: read once for all who wait, kept while they are asked for, and not too long."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from serving.store import segment_reads
from serving.store.segment_reads import SegmentReader


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
