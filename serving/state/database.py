"""The state's database, opened for reading or writing; `serving.state.migrate` makes it.

StateError            the database cannot be read or written
├── StateGoneError    it was there once and is not any more
└── StateBusyError    another process writes; to be tried again
"""

import sqlite3
import weakref
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from features.errors import UserError
from features.layout import Layout
from serving.state.places import WAIT_MS, PgPlace, Place, SqlitePlace
from serving.store.pg_address import PgAddress
from serving.store.pg_engine import first_line

_FILE = "state.sqlite"
_MARK = "keys-were-made"
_BUSY_MS = 5_000


class StateError(UserError):
    """The state's database cannot be read or written."""


class StateGoneError(StateError):
    """The state's database was there once, and is not any more, or is empty."""


class StateBusyError(StateError):
    """Another process is writing to the state's database."""


class State:
    """One database, SQLite or PostgreSQL; every block is one transaction.

    Blocks that write follow each other, on all machines: what one reads in it nobody changes before its end,
    and numbers that it gives out are seen in their order. That there ever was a key is also marked outside
    the database, so that its loss does not open the door.
    """

    def __init__(self, place: Place, *, mark: Path) -> None:
        self._place = place
        self._mark = mark
        weakref.finalize(self, place.engine.dispose)

    @classmethod
    def of(cls, layout: Layout, database_url: str | None = None) -> "State":
        """Return the state of a layout, in PostgreSQL where an address is given; nothing is made yet.

        Raises `AddressError`. Commands and the service call `serving.databases.open_state`.
        """
        mark = layout.private / _MARK
        if database_url:
            return cls(PgPlace(PgAddress.of(database_url)), mark=mark)
        return cls(SqlitePlace(layout.state.resolve() / _FILE), mark=mark)

    @property
    def name(self) -> str:
        """What messages call it; no password is in it."""
        return self._place.name

    @property
    def path(self) -> Path:
        """The file of a state in SQLite; raises `StateError` for one that is no file."""
        if not isinstance(self._place, SqlitePlace):
            raise StateError(f"{self.name} is no file")
        return self._place.path

    def close(self) -> None:
        """Let go of all connections; they are made again when they are needed."""
        self._place.engine.dispose()

    def exists(self) -> bool:
        """Say whether there is a database; before the first key there is none.

        Raises `StateGoneError` where there was one, and `StateError` where nobody may look.
        """
        try:
            with self._guarded():
                found, was_made = self._place.holds(), self._was_made()
        except OSError as error:
            raise StateError(f"{self.name} cannot be looked at: {error.strerror or error}") from None
        if was_made and not found:
            raise StateGoneError(
                f"{self.name} is gone or empty, and there were keys: put the back-up back, or make a new key "
                "(make key NAME=… SCOPES=…)"
            )
        return found

    def make(self) -> None:
        """Make an empty database where there is none; `serving.state.migrate` adds the tables."""
        try:
            with self._guarded():
                self._place.make()
        except OSError as error:
            raise StateError(f"{self.name} cannot be made: {error.strerror or error}") from None

    def check_unmarked(self) -> None:
        """Raise `StateGoneError` where keys were made: for a database that holds none."""
        if self._was_made():
            raise StateGoneError(f"{self.name} holds no key, and there were some: put the back-up back")

    def mark_made(self) -> None:
        """Note for ever that there are keys."""
        self._mark.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._mark.touch(mode=0o600)

    def mark_seen(self) -> None:
        """Note the same of keys that were made on another machine, where this one can write."""
        if self._place.is_shared and not self._was_made():
            with suppress(OSError):
                self.mark_made()

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Read one consistent state; raises `StateError` where there is no database."""
        with self._guarded(), self._connected(self._place.reading) as connection:
            yield connection

    @contextmanager
    def writing(self, *, wait_ms: int = _BUSY_MS) -> Iterator[sa.Connection]:
        """Change the state; what was written is on the disk when the block ends, or none of it is.

        Raises `StateBusyError` where another process still writes after `wait_ms`.
        """
        with (
            self._guarded(),
            self._connected({WAIT_MS: wait_ms}) as connection,
            connection.begin(),
        ):
            yield connection

    def wipe(self, texts: Collection[str] = ()) -> None:
        """Leave nothing of deleted rows that held one of some texts (none named: of any).

        Raises `StateBusyError` where others use the database all the time.
        """
        with self._guarded():
            self._place.wipe(texts)

    def _connected(self, options: dict[str, object]) -> sa.Connection:
        return self._place.engine.connect().execution_options(**options)

    def _was_made(self) -> bool:
        try:
            self._mark.stat()
        except FileNotFoundError:
            return False
        return True

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except (OperationalError, sqlite3.OperationalError) as error:
            if self._place.is_busy(error):
                raise StateBusyError(f"{self.name} is being written by another process") from None
            raise StateError(f"{self.name} cannot be used ({first_line(error)})") from None
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise StateError(f"{self.name} cannot be used ({first_line(error)})") from None
