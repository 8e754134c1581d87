"""The state's database, opened for reading or writing; `serving.state.migrate` makes it.

StateError            the database cannot be read or written
├── StateGoneError    it was there once and is not any more
└── StateBusyError    another process writes; to be tried again
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from features.errors import UserError
from features.settings import Layout

_FILE = "state.sqlite"
_MARK = "keys-were-made"
_BUSY_MS = 5_000
_READS, _WAIT_MS = "regulars_reads", "regulars_wait_ms"


class StateError(UserError):
    """The state's database cannot be read or written."""


class StateGoneError(StateError):
    """The state's database was there once, and is not any more, or is empty."""


class StateBusyError(StateError):
    """Another process is writing to the state's database."""


class State:
    """One database; every block is one transaction on a connection of its own.

    Without a write-ahead log: reading, which every serving process does again and again, writes nothing. That
    there ever was a key is also marked outside the database, so that its loss does not open the door.
    """

    def __init__(self, path: Path, *, mark: Path) -> None:
        self.path = path
        self._mark = mark
        address = f"file:{quote(str(path))}?mode=rw"
        self._engine = sa.create_engine(
            "sqlite://", creator=lambda: sqlite3.connect(address, uri=True), poolclass=NullPool
        )
        event.listen(self._engine, "connect", _set_up)
        event.listen(self._engine, "begin", _begin)

    @classmethod
    def of(cls, layout: Layout) -> "State":
        """Return the state of a layout; nothing is made before `migrate`."""
        return cls(layout.state.resolve() / _FILE, mark=layout.private / _MARK)

    def exists(self) -> bool:
        """Say whether there is a database; before the first key there is none.

        Raises `StateGoneError` where there was one, and `StateError` where nobody may look.
        """
        try:
            found, was_made = bool(_size_of(self.path)), _size_of(self._mark) is not None
        except OSError as error:
            raise StateError(f"{self.path} cannot be looked at: {error.strerror or error}") from None
        if was_made and not found:
            raise StateGoneError(
                f"{self.path} is gone or empty, and there were keys: put the back-up back, or make a new key "
                "(make key NAME=… SCOPES=…)"
            )
        return found

    def check_unmarked(self) -> None:
        """Raise `StateGoneError` where keys were made: for a database that holds none."""
        if _size_of(self._mark) is not None:
            raise StateGoneError(f"{self.path} holds no key, and there were some: put the back-up back")

    def mark_made(self) -> None:
        """Note for ever that there are keys."""
        self._mark.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._mark.touch(mode=0o600)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Read one consistent state; raises `StateError` where there is no database."""
        with self._guarded(), self._engine.connect().execution_options(**{_READS: True}) as connection:
            yield connection

    @contextmanager
    def writing(self, *, wait_ms: int = _BUSY_MS) -> Iterator[sa.Connection]:
        """Change the state; what was written is on the disk when the block ends, or none of it is.

        Raises `StateBusyError` where another process still writes after `wait_ms`.
        """
        options = {_WAIT_MS: wait_ms}
        with (
            self._guarded(),
            self._engine.connect().execution_options(**options) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except (OperationalError, sqlite3.OperationalError) as error:
            reason = error.orig if isinstance(error, OperationalError) else error
            if "locked" in str(reason):
                raise StateBusyError(f"{self.path} is being written by another process") from None
            raise StateError(f"{self.path} cannot be used ({reason})") from None
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise StateError(f"{self.path} cannot be used ({_first_line(error)})") from None


def _size_of(path: Path) -> int | None:
    """Return the size of a file, None where there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _set_up(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun by `_begin`
    connection.execute("PRAGMA synchronous = FULL")


def _begin(connection: sa.Connection) -> None:
    options = connection.get_execution_options()
    connection.exec_driver_sql(f"PRAGMA busy_timeout = {int(options.get(_WAIT_MS, _BUSY_MS))}")
    # A writer takes its lock at once: one that began to read could not be made a writer while others read.
    connection.exec_driver_sql("BEGIN" if options.get(_READS) else "BEGIN IMMEDIATE")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]
