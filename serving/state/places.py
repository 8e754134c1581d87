"""What differs between the databases of the state: SQLite under `VAR`, or PostgreSQL."""

import json
import sqlite3
from collections.abc import Collection
from contextlib import closing
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

import psycopg
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.pool import NullPool

from serving.store.pg_address import PgAddress
from serving.store.pg_engine import LOCKS, STATE_LOCK, open_engine

WAIT_MS = "regulars_wait_ms"
_READS = "regulars_reads"
_SCHEMA = "regulars"
_WIPE_SECONDS = 30.0
_CHUNK_BYTES = 1 << 24


class Place(Protocol):
    """A database that may hold the state.

    `name` is how messages call it; other machines can use one that `is_shared`.
    """

    name: str
    is_shared: bool
    engine: sa.Engine
    reading: dict[str, object]
    """The options of a connection that only reads, one snapshot."""

    def holds(self) -> bool:
        """Say whether anything was made there."""
        ...

    def make(self) -> None:
        """Make room for the tables, where there is none."""
        ...

    def is_busy(self, error: BaseException) -> bool:
        """Say whether an error means that somebody else is writing."""
        ...

    def wipe(self, texts: Collection[str]) -> None:
        """Leave nothing of deleted rows behind where one of some texts still stands (none: in any case)."""
        ...


class SqlitePlace:
    """A file, readable for its owner alone; a connection is opened for every transaction.

    Without a write-ahead log: reading, which every serving process does again and again, writes nothing.
    """

    is_shared = False

    def __init__(self, path: Path) -> None:
        self.name, self.path = str(path), path
        self.reading: dict[str, object] = {_READS: True}
        address = f"file:{quote(str(path))}?mode=rw"
        self.engine = sa.create_engine(
            "sqlite://",
            creator=lambda: sqlite3.connect(address, uri=True),
            poolclass=NullPool,
            hide_parameters=True,
        )
        event.listen(self.engine, "connect", _set_up_sqlite)
        event.listen(self.engine, "begin", _begin_sqlite)

    def holds(self) -> bool:
        """Say whether there is a file with anything in it; raises `OSError` where nobody may look."""
        try:
            return self.path.stat().st_size > 0
        except FileNotFoundError:
            return False

    def make(self) -> None:
        """Make the file; raises `OSError`."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.touch(mode=0o600)

    def is_busy(self, error: BaseException) -> bool:
        """Say whether another process holds the file's lock."""
        return "locked" in str(getattr(error, "orig", error))

    def wipe(self, texts: Collection[str]) -> None:
        """Write the file anew if its free space holds one of the texts: rows that moved leave copies."""
        if texts and not holds_text(self.path, texts):
            return
        address = f"file:{quote(str(self.path))}?mode=rw"
        with closing(sqlite3.connect(address, uri=True, timeout=_WIPE_SECONDS)) as connection:
            _set_up_sqlite(connection, None)
            connection.execute("VACUUM")


class PgPlace:
    """The schema `regulars` of a PostgreSQL database; whoever writes holds one advisory lock."""

    is_shared = True

    def __init__(self, address: PgAddress) -> None:
        self.name = address.name
        self.reading: dict[str, object] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        self.engine = open_engine(self, address, schema=_SCHEMA)
        event.listen(self.engine, "begin", _begin_pg)

    def holds(self) -> bool:
        """Say whether the tables were ever made."""
        query = f"SELECT to_regclass('{_SCHEMA}.alembic_version') IS NOT NULL"
        with self.engine.connect() as connection:
            return bool(connection.exec_driver_sql(query).scalar())

    def make(self) -> None:
        """Make the schema, with the lock held: two commands at once would both make it."""
        with self.engine.connect().execution_options(**{WAIT_MS: 30_000}) as connection, connection.begin():
            connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {_SCHEMA}")

    def is_busy(self, error: BaseException) -> bool:
        """Say whether the lock could not be had in time."""
        return isinstance(getattr(error, "orig", error), psycopg.errors.LockNotAvailable)

    def wipe(self, texts: Collection[str]) -> None:
        """Let the server write over what deleted rows held; where is its own business."""
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for name in sa.inspect(connection).get_table_names(schema=_SCHEMA):
                connection.exec_driver_sql(f'VACUUM {_SCHEMA}."{name}"')


def holds_text(path: Path, texts: Collection[str]) -> bool:
    """Say whether a file holds one of some texts, as it is or as JSON writes it."""
    needles = sorted(form.encode() for form in text_forms(texts))
    overlap = max(map(len, needles))
    with path.open("rb") as stream:
        before = b""
        while chunk := stream.read(_CHUNK_BYTES):
            if any(needle in before + chunk for needle in needles):
                return True
            before = chunk[-overlap:]
    return False


def text_forms(texts: Collection[str]) -> set[str]:
    """Return texts as they are, and as JSON writes them between its quotes."""
    written = (json.dumps(text, ensure_ascii=ascii)[1:-1] for text in texts for ascii in (False, True))
    return {*texts, *written}


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun by `_begin_sqlite`
    connection.execute("PRAGMA synchronous = FULL")
    # What is deleted is written over: an erased person is not to be found in free pages.
    connection.execute("PRAGMA secure_delete = ON")


def _begin_sqlite(connection: sa.Connection) -> None:
    options = connection.get_execution_options()
    connection.exec_driver_sql(f"PRAGMA busy_timeout = {int(options.get(WAIT_MS, 5_000))}")
    # A writer takes its lock at once: one that began to read could not be made a writer while others read.
    connection.exec_driver_sql("BEGIN" if options.get(_READS) else "BEGIN IMMEDIATE")


def _begin_pg(connection: sa.Connection) -> None:
    wait_ms = connection.get_execution_options().get(WAIT_MS)
    if wait_ms is not None:
        # Released when the transaction has ended and can be seen: numbers are given out in order of commits.
        connection.exec_driver_sql(
            "SELECT set_config('lock_timeout', %s, true), pg_advisory_xact_lock(%s, %s)",
            (f"{max(1, int(wait_ms))}ms", LOCKS, STATE_LOCK),
        )
