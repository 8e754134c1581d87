"""Reads of the serving process: a pool of connections that belongs to its event loop."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool, PoolTimeout, TooManyRequests

from serving.store.errors import StoreError
from serving.store.pg_address import PgAddress
from serving.store.pg_control import reading_error
from serving.store.pg_engine import READING
from serving.store.records import StoredRow

_CONNECTIONS_MAX = 8
# How long a request may wait for a connection, and how many requests may.
_WAIT_SECONDS = 2.0
_WAITING_MAX = 2_000
# After it could not be reached, so long nobody waits: everybody is told at once.
_DOWN_SECONDS = 0.5


class _Connection(AsyncConnection[tuple[Any, ...]]):
    """A connection that only reads: nothing is lost where it is dropped, still open, with its event loop."""

    def __del__(self, _warn: object = None, /) -> None:
        """Keep silent; the driver closes what lies beneath."""


_Pool = AsyncConnectionPool[_Connection]


class PgReader:
    """Runs queries; a connection that the server closed is noticed, and another one asked."""

    def __init__(self, address: PgAddress) -> None:
        self.name = address.name
        # Rows of a run never change, so that no transaction is needed.
        self._conninfo = address.conninfo(READING)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pool: _Pool | None = None
        self._down_until = 0.0

    async def read(self, query: str, values: Sequence[object]) -> list[StoredRow]:
        """Return the rows of a query; raises `StoreError`, `RunGoneError` where its tables were removed."""
        if time.monotonic() < self._down_until:
            raise self._unreachable()
        pool = await self._own_pool()
        # One of them may be closed for each connection that the pool holds, and then a new one is made.
        for _ in range(_CONNECTIONS_MAX + 1):
            try:
                async with pool.connection() as connection:
                    rows = await self._ask(connection, query, values)
            except (PoolTimeout, TooManyRequests):
                break
            if rows is not None:
                return rows
        self._down_until = time.monotonic() + _DOWN_SECONDS
        raise self._unreachable()

    async def _ask(
        self, connection: _Connection, query: str, values: Sequence[object]
    ) -> list[StoredRow] | None:
        """Return the rows, or None where the server had closed the connection."""
        try:
            cursor = await connection.execute(query, values, binary=True)
            return await cursor.fetchall()
        except psycopg.Error as error:
            if connection.broken or isinstance(error, psycopg.errors.AdminShutdown):
                return None
            raise reading_error(error, self.name) from None

    async def aclose(self) -> None:
        """Close the connections of this event loop."""
        pool, loop, self._pool, self._loop = self._pool, self._loop, None, None
        if pool is not None and loop is asyncio.get_running_loop():
            await pool.close()

    async def _own_pool(self) -> _Pool:
        """Return the pool of the running event loop; a command may run several, one after another."""
        loop = asyncio.get_running_loop()
        if self._pool is None or self._loop is not loop:
            self._loop, self._pool = loop, self._new_pool()
        if self._pool.closed:
            await self._pool.open()
        return self._pool

    def _new_pool(self) -> _Pool:
        return AsyncConnectionPool(
            self._conninfo,
            connection_class=_Connection,
            kwargs={"autocommit": True},
            min_size=1,
            max_size=_CONNECTIONS_MAX,
            open=False,
            name="scores",
            timeout=_WAIT_SECONDS,
            max_waiting=_WAITING_MAX,
            # Given up soon, and begun again by the next request: the server may be back by then.
            reconnect_timeout=1.0,
        )

    def _unreachable(self) -> StoreError:
        return StoreError(f"the scores in {self.name} cannot be read (it does not answer)")
