"""The state's database, opened for reading or writing; `serving.state.migrate` makes it.

StateError        the database cannot be read or written
└── StateBusyError    another process writes; to be tried again
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from features.errors import UserError
from features.settings import Layout

_FILE = "state.sqlite"
_BUSY_MS = 5_000
_READS = "regulars_reads"


class StateError(UserError):
    """The state's database cannot be read or written."""


class StateBusyError(StateError):
    """Another process is writing to the state's database."""


class State:
    """One database; every block is one transaction on a connection of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._engine = sa.create_engine(f"sqlite:///{path}", poolclass=NullPool)
        event.listen(self._engine, "connect", _set_up)
        event.listen(self._engine, "begin", _begin)

    @classmethod
    def of(cls, layout: Layout) -> "State":
        """Return the state of a layout; nothing is made before `migrate`."""
        return cls(layout.state.resolve() / _FILE)

    def exists(self) -> bool:
        """Say whether there is a database: before the first key there is none."""
        return self.path.exists()

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Read one consistent state; raises `StateError` where there is no database."""
        if not self.exists():
            raise StateError(f"{self.path} is not there; put the back-up back, or make a key again")
        with self._guarded(), self._engine.connect().execution_options(**{_READS: True}) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Change the state; what was written is on the disk when the block ends, or none of it is."""
        with self._guarded(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except OperationalError as error:
            if "locked" in str(error.orig):
                raise StateBusyError(f"{self.path} is being written by another process") from None
            raise StateError(f"{self.path} cannot be used ({error.orig})") from None
        except SQLAlchemyError as error:
            raise StateError(f"{self.path} cannot be used ({_first_line(error)})") from None


def _set_up(connection: object, _record: object) -> None:
    connection.isolation_level = None  # type: ignore[attr-defined]  # transactions are begun by `_begin`
    cursor = connection.cursor()  # type: ignore[attr-defined]
    for pragma in ("journal_mode = WAL", "synchronous = FULL", f"busy_timeout = {_BUSY_MS}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: sa.Connection) -> None:
    reads = connection.get_execution_options().get(_READS, False)
    # A writer takes its lock at once: one that began to read could not be made a writer while others read.
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]
