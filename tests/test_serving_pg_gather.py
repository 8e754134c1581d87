"""Single reads, gathered: who waits together is answered by one query, and errors reach whom they concern."""

import asyncio
from collections.abc import Sequence

import pytest

from serving.store.errors import StoreError
from serving.store.pg_gather import Gatherer
from serving.store.records import StoredRow


class Source:
    """Answers ids with themselves, all but "nobody"; fails for a batch that holds "bad"."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    async def read(self, ids: Sequence[str]) -> dict[str, StoredRow]:
        self.asked.append(list(ids))
        await asyncio.sleep(0)
        if "bad" in ids:
            raise StoreError("no answer")
        return {each: (each,) for each in ids if each != "nobody"}


def test_who_waits_together_is_answered_by_one_query() -> None:
    async def ask() -> None:
        source = Source()
        gatherer = Gatherer(source.read)
        rows = await asyncio.gather(*(gatherer.get(each) for each in ("a", "b", "a", "nobody")))
        assert rows == [("a",), ("b",), ("a",), None]
        assert source.asked == [["a", "b", "nobody"]]
        assert await gatherer.get("c") == ("c",)
        assert source.asked[1:] == [["c"]]

    asyncio.run(ask())


def test_a_failure_is_that_of_its_own_query() -> None:
    async def ask() -> None:
        gatherer = Gatherer(Source().read)
        first = asyncio.gather(gatherer.get("a"), gatherer.get("bad"), return_exceptions=True)
        assert [type(found) for found in await first] == [StoreError, StoreError]
        assert await gatherer.get("a") == ("a",)

    asyncio.run(ask())


def test_one_who_leaves_takes_nothing_from_the_others() -> None:
    async def ask() -> None:
        gatherer = Gatherer(Source().read)
        leaver = asyncio.ensure_future(gatherer.get("a"))
        other = asyncio.ensure_future(gatherer.get("a"))
        await asyncio.sleep(0)
        leaver.cancel()
        assert await other == ("a",)
        with pytest.raises(asyncio.CancelledError):
            await leaver

    asyncio.run(ask())


def test_it_may_be_used_by_one_event_loop_after_another() -> None:
    gatherer = Gatherer(Source().read)
    assert asyncio.run(gatherer.get("a")) == ("a",)
    assert asyncio.run(gatherer.get("b")) == ("b",)
