"""Long answers take turns: one of them makes its next part at a time, and others are answered between."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

# A call that asks for one customer is answered within so many rounds of the event loop.
_ROUNDS: Final = 4


class Turns:
    """Whose turn it is, among the long answers of one process.

    Fifty exports that start at once would else make fifty parts between two steps of a call that asks for one
    customer. One alone waits for nobody.
    """

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._count = 0

    async def share(self, parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield the parts of an answer, each made while no other holds the turn."""
        self._count += 1
        try:
            while (part := await self._next(parts)) is not None:
                yield part
        finally:
            self._count -= 1

    async def _next(self, parts: AsyncIterator[bytes]) -> bytes | None:
        async with self._turn:
            part = await anext(parts, None)
            for _ in range(_ROUNDS if self._count > 1 else 1):
                await asyncio.sleep(0)
            return part
