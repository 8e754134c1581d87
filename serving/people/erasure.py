"""Erasing people from every store under `VAR`, and from back-ups: what each step does, and to which stores.

Every step may be done again: it removes what is left, and counts what it removed. A step whose store somebody
else is writing raises `BusyError`, and is tried again later.
"""

import fcntl
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import sqlalchemy as sa

from features import ledger
from features.forget import forget_identities, forget_in_history, forget_in_tables
from features.layout import Layout
from features.loading import IngestError, only_one
from features.report import FILES_REPORT, RECEIVED_REPORT
from serving.audiences.control_group import ControlGroup
from serving.inbound.people import erase_from_journal, locked_journal
from serving.people.address_index import write_index
from serving.people.erased_exports import erase_exports
from serving.scoring.working_folder import remove_leftovers
from serving.state.database import State, StateBusyError
from serving.store.contract import ScoreStore
from serving.store.errors import PublishError

_ROWS_AT_ONCE: Final = 500


class BusyError(Exception):
    """Somebody else is writing to a store."""


class Touched(NamedTuple):
    """What was done to one store; `note` says what is left for a person to do."""

    store: str
    row_count: int = 0
    file_count: int = 0
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Places:
    """Where everything lies that an erasure reaches."""

    layout: Layout
    state: State
    store: ScoreStore


Step = Callable[[Places, Collection[str]], Sequence[Touched]]


def erase_state(
    places: Places, customer_ids: Collection[str], *, kept: Collection[str] = ()
) -> list[Touched]:
    """Erase from every table of the state that has a column `customer_id`.

    These are the inbox, changes, deliveries and others; those that are `kept` stay as they are.
    """
    state, touched = places.state, list[Touched]()
    if not state.exists():
        return []
    ids = list(customer_ids)
    with state.reading() as connection:
        names = [name for name in sa.inspect(connection).get_table_names() if name not in kept]
        tables = [name for name in names if _names_customers(connection, name)]
    for name in tables:
        table, removed = sa.table(name, sa.column("customer_id")), 0
        for start in range(0, len(ids), _ROWS_AT_ONCE):
            some = ids[start : start + _ROWS_AT_ONCE]
            with state.writing() as connection:
                done = connection.execute(sa.delete(table).where(table.c.customer_id.in_(some)))
                removed += done.rowcount
        touched.append(Touched(f"state.{name}", removed))
    state.wipe(ids)
    return touched


def _names_customers(connection: sa.Connection, table: str) -> bool:
    return any(column["name"] == "customer_id" for column in sa.inspect(connection).get_columns(table))


def erase_scores(
    places: Places, customer_ids: Collection[str], *, kept: Collection[str] = ()
) -> list[Touched]:
    """Erase from every score run, the ledger of scores, and what a run that was being made told the state."""
    group = ControlGroup.of(places.layout.private)
    try:
        with places.store.hold() as eraser:
            scores = eraser.forget(customer_ids, group)
            graded = ledger.forget(places.layout.ledger, customer_ids)
            told = erase_state(places, customer_ids, kept=kept)
    except PublishError:
        raise BusyError from None
    found = [Touched("scores", *scores), Touched("ledger", graded)]
    return [*found, *(each for each in told if each.row_count)]


def erase_files(places: Places, customer_ids: Collection[str]) -> list[Touched]:
    """Erase from the history, the identities and every other Parquet table under the root.

    Nobody loads anything meanwhile.
    """
    layout = places.layout
    try:
        with only_one(layout):
            history = forget_in_history(layout.history, customer_ids)
            with locked_journal(layout.private):
                journal = erase_from_journal(layout.private, customer_ids)
                people = forget_identities(layout.private, customer_ids)
                write_index(layout.private)
            _remove_partial(layout)
            tables = forget_in_tables(other_tables(layout), customer_ids)
            # A file of orders as it was uploaded; what it held is in the history by now, or was refused.
            shutil.rmtree(layout.setup, ignore_errors=True)
            _remove_reports(layout)
    except IngestError:
        raise BusyError from None
    return [
        Touched("history", *history),
        Touched("identities", people.row_count + journal, people.file_count + (journal > 0)),
        Touched("tables", *tables),
    ]


def erase_exported(places: Places, customer_ids: Collection[str]) -> list[Touched]:
    """Delete the files of exports that name people; such a job is expired."""
    removed = erase_exports(places.layout.exports, places.state, customer_ids)
    if removed is None:
        raise BusyError
    return [Touched("exports", 0, removed)]


def other_tables(layout: Layout) -> Iterator[Path]:
    """Yield every Parquet file that no other step looks after: predictions of back-tests, feature tables."""
    own = (layout.history, layout.ledger, layout.private, layout.exports)
    for path in sorted(layout.root.rglob("*.parquet")):
        if path.is_file() and not path.is_symlink() and not any(path.is_relative_to(each) for each in own):
            yield path


def _remove_reports(layout: Layout) -> None:
    """Remove what was found in the last file and messages: it quotes cells, and any may be a person's.

    The next load writes it anew.
    """
    for name in (FILES_REPORT, RECEIVED_REPORT):
        for path in layout.reports.glob(f"{name}.*"):
            path.unlink(missing_ok=True)


def _remove_partial(layout: Layout) -> None:
    """Remove what killed commands left half-written beside their tables, and the rows of killed runs."""
    remove_leftovers(layout.root)
    shutil.rmtree(layout.portions, ignore_errors=True)
    for folder in (layout.backtest, layout.reports, layout.ledger, layout.outcomes):
        for path in folder.rglob("*.partial"):
            path.unlink(missing_ok=True)


@contextmanager
def no_backup(layout: Layout) -> Iterator[None]:
    """Keep back-ups from being made; raises `BusyError` while one is. What a killed one left is removed."""
    layout.root.mkdir(parents=True, exist_ok=True)
    with (layout.root / ".backup.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError from None
        shutil.rmtree(layout.root / ".backup", ignore_errors=True)
        yield


def is_busy(error: Exception) -> bool:
    """Say whether a step failed because somebody else is at work."""
    return isinstance(error, BusyError | StateBusyError)
