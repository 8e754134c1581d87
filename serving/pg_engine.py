"""Connections of the blocking kind: a pool for what a thread or a command asks of PostgreSQL."""

from collections.abc import Mapping
from types import MappingProxyType

import psycopg
import sqlalchemy as sa

from serving.pg_address import PgAddress

# Advisory locks of this program, within one database: (_LOCKS, STATE_LOCK) and so on.
LOCKS, STATE_LOCK, PUBLISH_LOCK = 0x5245_4755, 1, 2
READING = {"default_transaction_read_only": "on", "statement_timeout": "30s"}
"""Settings of a session that reads runs."""
_WAIT_SECONDS = 5
_RECYCLE_SECONDS = 600


def open_engine(
    address: PgAddress, *, schema: str, settings: Mapping[str, str] = MappingProxyType({})
) -> sa.Engine:
    """Return an engine that finds its tables in a schema; it connects when it is first used."""
    conninfo = address.conninfo({"search_path": schema, **settings})
    return sa.create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(conninfo),
        pool_size=2,
        max_overflow=6,
        pool_timeout=_WAIT_SECONDS,
        pool_recycle=_RECYCLE_SECONDS,
        # A connection that the server closed is noticed before it is used: a restart costs no answer.
        pool_pre_ping=True,
        hide_parameters=True,
    )


def first_line(error: BaseException) -> str:
    """Return what went wrong in one line: further lines may repeat what was sent."""
    reason = getattr(error, "orig", None) or error
    return (str(reason).strip().splitlines() or [type(reason).__name__])[0]
