"""Who is suppressed, in the state: marks of customer ids (`features.suppression`), read by every process."""

from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import sqlalchemy as sa

from features.suppression import (
    NOBODY,
    Marker,
    Suppressed,
    read_marker,
    read_marks,
    suppressed_people,
    write_marks,
)
from serving.state.database import State
from serving.state.tables import SUPPRESSIONS

_AT_ONCE: Final = 500
_ACTIVE: Final = SUPPRESSIONS.c.lifted_at.is_(None)


class Version(NamedTuple):
    """Differs whenever the suppressions do."""

    last_number: int
    lifted_count: int


class Suppressions:
    """The suppressions of a state; `root` is where the data lies, which the pepper does not."""

    def __init__(self, state: State, root: Path) -> None:
        self._state = state
        self._root = root

    def current_version(self) -> Version:
        """Return what tells whether anything changed; raises `StateError`."""
        if not self._state.exists():
            return Version(0, 0)
        with self._state.reading() as connection:
            if not sa.inspect(connection).has_table(SUPPRESSIONS.name):
                return Version(0, 0)  # of an earlier release: nobody was suppressed with it
            last = sa.func.max(SUPPRESSIONS.c.number)
            lifted = sa.func.count(SUPPRESSIONS.c.lifted_at)
            row = connection.execute(sa.select(last, lifted)).one()
        return Version(row[0] or 0, row[1])

    def read(self) -> Suppressed:
        """Return who is suppressed; raises `StateError` and `PepperError`."""
        if not self.current_version().last_number:
            return NOBODY
        with self._state.reading() as connection:
            rows = connection.execute(
                sa.select(SUPPRESSIONS.c.mark, SUPPRESSIONS.c.pepper_check).where(_ACTIVE)
            ).all()
        return suppressed_people([row.mark for row in rows], {row.pepper_check for row in rows}, self._root)

    def among(self, connection: sa.Connection, customer_ids: Collection[str]) -> set[str]:
        """Return those of some ids who are suppressed at this moment, in the caller's own transaction."""
        if not customer_ids or connection.execute(sa.select(SUPPRESSIONS.c.number).limit(1)).first() is None:
            return set()
        marker = read_marker(self._root)
        by_mark = {marker.mark(each): each for each in customer_ids}
        marks, found = list(by_mark), set[str]()
        for start in range(0, len(marks), _AT_ONCE):
            some = SUPPRESSIONS.c.mark.in_(marks[start : start + _AT_ONCE])
            query = sa.select(SUPPRESSIONS.c.mark).where(some, _ACTIVE)
            found |= {by_mark[mark] for mark in connection.execute(query).scalars()}
        return found

    def among_now(self, customer_ids: Collection[str]) -> set[str]:
        """Return the same in a transaction of its own; raises `StateError`."""
        with self._state.reading() as connection:
            return self.among(connection, customer_ids)

    def lift(self, customer_id: str) -> bool:
        """Let somebody be stored and scored again; say whether they were suppressed."""
        mark = read_marker(self._root).mark(customer_id)
        with self._state.writing() as connection:
            done = connection.execute(
                sa.update(SUPPRESSIONS)
                .where(SUPPRESSIONS.c.mark == mark, _ACTIVE)
                .values(lifted_at=_text(datetime.now(UTC)))
            )
            return bool(done.rowcount)

    def copy_to(self, private: Path) -> None:
        """Bring the state and the file beside the identities together, from which loads read who is out.

        What only the file knows (a back-up of the state was put back) counts again, unless it was lifted.
        """
        marks, check = read_marks(private)
        with self._state.writing() as connection:
            known = set(connection.execute(sa.select(SUPPRESSIONS.c.mark)).scalars())
            add_marks(connection, [mark for mark in marks if mark not in known], check)
            rows = connection.execute(
                sa.select(SUPPRESSIONS.c.mark, SUPPRESSIONS.c.pepper_check).where(_ACTIVE)
            ).all()
        if rows or marks:
            write_marks(private, [row.mark for row in rows], rows[0].pepper_check if rows else check)


def add_marks(connection: sa.Connection, marks: Iterable[str], check: str) -> None:
    """Suppress people by their marks; who was let back in is suppressed anew."""
    now = _text(datetime.now(UTC))
    for mark in dict.fromkeys(marks):
        same = SUPPRESSIONS.c.mark == mark
        connection.execute(sa.delete(SUPPRESSIONS).where(same, SUPPRESSIONS.c.lifted_at.is_not(None)))
        if connection.execute(sa.select(SUPPRESSIONS.c.number).where(same)).first() is None:
            row = {"mark": mark, "pepper_check": check, "created_at": now}
            connection.execute(sa.insert(SUPPRESSIONS).values(**row))


def marks_of(marker: Marker, customer_ids: Iterable[str]) -> list[str]:
    """Return the marks of some ids, each once, in their order."""
    return list(dict.fromkeys(marker.mark(each) for each in customer_ids))


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
