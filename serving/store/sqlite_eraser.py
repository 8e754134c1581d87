"""Erasing people from score runs in SQLite: a run is written anew and takes the old file's place.

Files of runs are never changed in place, since others read them without a lock; they are written in one go,
so that no free page and no moved row keeps a copy.
"""

import shutil
import sqlite3
from collections.abc import Collection, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

from serving.store.contract import Membership
from serving.store.errors import StoreError
from serving.store.few_people import without_few
from serving.store.records import ErasedScores, RunMeta
from serving.store.run_counts import Gone, without
from serving.store.sqlite_control import Control, replace_durably
from serving.store.sqlite_writer import remove_partial

_TABLES: Final = ("scores", "recommendations", "owned", "timelines")
_LATER_TABLES: Final = ("traits", "purchases")
"""What runs of earlier releases, which are kept too, do not have."""
_DOCUMENTS: Final = "documents"
_SELECT_GONE: Final = (
    "SELECT m.audience, s.customer_id, s.value_at_risk, s.email_consent FROM audience_members m "
    "JOIN scores s ON s.row_number = m.row_number WHERE s.customer_id = ?"
)
# By the rows: runs of earlier releases, which are kept too, have no ids in their lists.
_DELETE_LATER: Final = (
    "DELETE FROM {0} WHERE row_number IN (SELECT row_number FROM scores WHERE customer_id = ?)"
)
_DELETE_PLACES: Final = (
    "DELETE FROM audience_members WHERE row_number IN (SELECT row_number FROM scores WHERE customer_id = ?)"
)


class SqliteEraser:
    """Takes people out of the runs of a folder; whoever holds the lock of publishers has it."""

    def __init__(self, control: Control, runs: Path) -> None:
        self._control = control
        self._runs = runs

    def forget(self, customer_ids: Collection[str], group: Membership) -> ErasedScores:
        """Remove all that runs hold of people; raises `StoreError` for a damaged run."""
        remove_partial(self._runs)
        row_count = run_count = 0
        for path in sorted(self._runs.glob("*.sqlite")):
            try:
                removed = self._forget_in(path, customer_ids, group)
            except sqlite3.Error as error:
                raise StoreError(f"the score run {path.name} cannot be read ({error})") from None
            finally:
                remove_partial(self._runs)
            row_count += removed
            run_count += removed > 0
        return ErasedScores(row_count, run_count)

    def _forget_in(self, path: Path, customer_ids: Collection[str], group: Membership) -> int:
        address = f"file:{quote(str(path))}?mode=ro&immutable=1"
        with closing(sqlite3.connect(address, uri=True)) as connection:
            if not any(_holds(connection, each) for each in customer_ids):
                return 0
        copy, partial = path.with_suffix(".partial-copy"), path.with_suffix(".partial")
        shutil.copyfile(path, copy)
        copy.chmod(0o600)
        with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = OFF")
            removed, customer_count = _delete(connection, customer_ids, group)
            connection.execute("VACUUM INTO ?", (str(partial),))
        with closing(sqlite3.connect(partial)) as connection:
            problem = connection.execute("PRAGMA integrity_check").fetchone()[0]
        if problem != "ok":
            raise StoreError(
                f"the score run {path.name} cannot be written anew ({problem}); it stays as it is"
            )
        partial.chmod(0o440)
        replace_durably(partial, path)
        self._control.set_customer_count(path.stem, customer_count)
        return removed


def _holds(connection: sqlite3.Connection, customer_id: str) -> bool:
    return any(
        connection.execute(f"SELECT 1 FROM {table} WHERE customer_id = ? LIMIT 1", (customer_id,)).fetchone()  # noqa: S608 - our own names
        for table in _tables(connection, _TABLES)
    )


def _tables(connection: sqlite3.Connection, names: Sequence[str]) -> list[str]:
    """Return those of a run's tables that it has; runs of earlier releases have fewer."""
    found = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    return [name for name in names if name in found]


def _delete(
    connection: sqlite3.Connection, customer_ids: Collection[str], group: Membership
) -> tuple[int, int]:
    """Delete people, and say how many rows went and how many customers are left."""
    gone, removed, tables = list[Gone](), 0, _tables(connection, _TABLES)
    for each in customer_ids:
        gone += [Gone(*row) for row in connection.execute(_SELECT_GONE, (each,))]
        removed += connection.execute(_DELETE_PLACES, (each,)).rowcount
        for table in _tables(connection, _LATER_TABLES):
            removed += connection.execute(_DELETE_LATER.format(table), (each,)).rowcount
        for table in tables:
            query = f"DELETE FROM {table} WHERE customer_id = ?"  # noqa: S608 - our own names
            removed += connection.execute(query, (each,)).rowcount
    for table in _tables(connection, (_DOCUMENTS,)):
        for name, body in connection.execute(f"SELECT name, body FROM {table}").fetchall():  # noqa: S608 - our own names
            query = f"UPDATE {table} SET body = ? WHERE name = ?"  # noqa: S608 - our own names
            connection.execute(query, (without_few(body), name))
    customer_count = int(connection.execute("SELECT count(*) FROM scores").fetchone()[0])
    meta = RunMeta.model_validate_json(connection.execute("SELECT document FROM meta").fetchone()[0])
    final = without(meta, gone, group, customer_count=customer_count)
    connection.execute("UPDATE meta SET document = ?", (final.model_dump_json(),))
    return removed, customer_count
