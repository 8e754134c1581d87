"""Long answers take turns, and a short one does not wait for all of them."""

import asyncio
from collections.abc import AsyncIterator

from serving.web.turns import Turns


async def parts(name: bytes, made: list[bytes], *, count: int = 3) -> AsyncIterator[bytes]:
    for number in range(count):
        made.append(name)
        yield name + b"%d" % number


async def read(turns: Turns, name: bytes, made: list[bytes]) -> bytes:
    return b" ".join([part async for part in turns.share(parts(name, made))])


def test_each_reads_its_own_parts_and_makes_one_at_a_time() -> None:
    made: list[bytes] = []

    async def all_of_them() -> list[bytes]:
        turns = Turns()
        return await asyncio.gather(*(read(turns, name, made) for name in (b"a", b"b", b"c")))

    assert asyncio.run(all_of_them()) == [b"a0 a1 a2", b"b0 b1 b2", b"c0 c1 c2"]
    assert made == [b"a", b"b", b"c"] * 3


def test_a_short_call_is_answered_between_two_parts() -> None:
    """Fifty long answers: a call of three steps is done when at most a few parts more were made."""
    made: list[bytes] = []
    parts_meanwhile: list[int] = []

    async def short() -> None:
        begun = len(made)
        for _ in range(3):
            await asyncio.sleep(0)
        parts_meanwhile.append(len(made) - begun)

    async def all_of_them() -> None:
        turns = Turns()
        long = [asyncio.create_task(read(turns, b"%d" % number, made)) for number in range(50)]
        for _ in range(20):
            await short()
        await asyncio.gather(*long)

    asyncio.run(all_of_them())
    assert len(made) == 150
    assert max(parts_meanwhile) <= 2


def test_a_reader_who_leaves_gives_the_turn_back() -> None:
    async def leave_and_read() -> bytes:
        turns, made = Turns(), list[bytes]()
        left = turns.share(parts(b"left", made))
        await anext(left)
        await left.aclose()  # type: ignore[attr-defined]
        return await read(turns, b"a", made)

    assert asyncio.run(leave_and_read()) == b"a0 a1 a2"
