"""Connections of the blocking kind: a pool for what a thread or a command asks of PostgreSQL."""

import weakref
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy import event

from serving.store.pg_address import PgAddress

# Advisory locks of this program, within one database: (_LOCKS, STATE_LOCK) and so on.
LOCKS, STATE_LOCK, PUBLISH_LOCK = 0x5245_4755, 1, 2
READING = {"default_transaction_read_only": "on", "statement_timeout": "30s"}
"""Settings of a session that reads runs."""
_WAIT_SECONDS = 5
_RECYCLE_SECONDS = 600


def open_engine(
    owner: object, address: PgAddress, *, schema: str, settings: Mapping[str, str] = MappingProxyType({})
) -> sa.Engine:
    """Return an engine that finds its tables in a schema; it connects when it is first used.

    No connection of it outlives its owner.
    """
    conninfo = address.conninfo({"search_path": schema, **settings})
    opened: set[psycopg.Connection[Any]] = set()

    def connect() -> psycopg.Connection[Any]:
        connection = psycopg.connect(conninfo)
        opened.add(connection)
        return connection

    def forget(connection: psycopg.Connection[Any], _record: object) -> None:
        opened.discard(connection)

    engine = sa.create_engine(
        "postgresql+psycopg://",
        creator=connect,
        pool_size=2,
        max_overflow=6,
        pool_timeout=_WAIT_SECONDS,
        pool_recycle=_RECYCLE_SECONDS,
        # A connection that the server closed is noticed before it is used: a restart costs no answer.
        pool_pre_ping=True,
        hide_parameters=True,
    )
    event.listen(engine, "close", forget)
    weakref.finalize(owner, _close_all, engine, opened)
    return engine


def _close_all(engine: sa.Engine, opened: set[psycopg.Connection[Any]]) -> None:
    engine.dispose()
    # What was in use when the engine was last disposed of went back to a pool that nobody empties.
    while opened:
        opened.pop().close()


def first_line(error: BaseException) -> str:
    """Return what went wrong in one line: further lines may repeat what was sent."""
    reason = getattr(error, "orig", None) or error
    return (str(reason).strip().splitlines() or [type(reason).__name__])[0]
