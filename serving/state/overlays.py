"""Overlays: the scores of customers who were scored again since a run, laid over its rows.

The newest overlay of a customer counts. What it took the place of stays for an hour, for cursors that are
pinned to it. Those of a run that is no longer kept are removed.
"""

import base64
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple

import orjson
import sqlalchemy as sa

from serving.state.database import State
from serving.state.tables import OVERLAYS, POSITIONS
from serving.store.records import StoredRow

_COUNTER = "overlays"
_SUPERSEDED_KEPT = timedelta(hours=1)
_FORGOTTEN_AT_ONCE = 2_000


class Rescored(NamedTuple):
    """What a customer's new scores are; `row` is None where nobody is a customer any more.

    `lists` are packed slots by kind, `owned` packed purchases; `audiences` are the lists that they belong to.
    """

    customer_id: str
    row: StoredRow | None
    lists: Mapping[str, bytes]
    owned: bytes
    audiences: tuple[str, ...] = ()


class Laid(NamedTuple):
    """That a customer was scored again: the number of the overlay, and that of the first one of the run.

    Messages up to `inbox_sequence` are in it.
    """

    sequence: int
    customer_id: str
    inbox_sequence: int
    first_sequence: int


@dataclass(frozen=True)
class Overlay:
    """A customer's new scores as they were kept; the document is read when it is asked for."""

    sequence: int
    customer_id: str
    inbox_sequence: int
    document: str = field(repr=False)

    @cached_property
    def _parts(self) -> dict[str, Any]:
        parts: dict[str, Any] = orjson.loads(self.document)
        return parts

    @property
    def row(self) -> StoredRow | None:
        """The stored row, None where nobody is a customer any more."""
        return None if self._parts["row"] is None else tuple(self._parts["row"])

    @property
    def lists(self) -> dict[str, bytes]:
        """Packed slots by kind."""
        return {kind: base64.b64decode(packed) for kind, packed in self._parts["lists"].items()}

    @property
    def owned(self) -> bytes:
        """Packed purchases; empty without any."""
        return base64.b64decode(self._parts["owned"])

    @property
    def audiences(self) -> Collection[str]:
        """The slugs of the lists that the customer belongs to by the new scores."""
        return frozenset(self._parts["audiences"])


class Overlays:
    """The overlays of a state."""

    def __init__(self, state: State) -> None:
        self._state = state

    def put_in(
        self,
        connection: sa.Connection,
        score_run_id: str,
        rescored: Iterable[Rescored],
        *,
        inbox_sequence: int,
    ) -> None:
        """Lay new scores over a run, in the caller's own transaction."""
        sequence, now = read_position(connection, _COUNTER), datetime.now(UTC)
        for each in rescored:
            sequence += 1
            before = sa.and_(
                OVERLAYS.c.score_run_id == score_run_id,
                OVERLAYS.c.customer_id == each.customer_id,
                OVERLAYS.c.superseded_at.is_(None),
            )
            first = connection.execute(sa.select(OVERLAYS.c.first_sequence).where(before)).scalar()
            connection.execute(sa.update(OVERLAYS).where(before).values(superseded_at=now.isoformat()))
            connection.execute(
                sa.insert(OVERLAYS).values(
                    sequence=sequence,
                    score_run_id=score_run_id,
                    customer_id=each.customer_id,
                    inbox_sequence=inbox_sequence,
                    document=_document(each),
                    first_sequence=sequence if first is None else first,
                )
            )
        write_position(connection, _COUNTER, sequence)

    def list_after(self, score_run_id: str, sequence: int) -> list[Laid]:
        """Return what was laid over a run after a number, in order."""
        if not self._state.exists():
            return []
        query = (
            sa.select(*(OVERLAYS.c[name] for name in Laid._fields))
            .where(OVERLAYS.c.score_run_id == score_run_id, OVERLAYS.c.sequence > sequence)
            .order_by(OVERLAYS.c.sequence)
        )
        with self._state.reading() as connection:
            return [Laid(*row) for row in connection.execute(query)]

    def read(self, score_run_id: str, sequences: Sequence[int]) -> dict[int, Overlay]:
        """Return overlays of a run by their number; those that are gone are left out."""
        query = sa.select(
            OVERLAYS.c.sequence, OVERLAYS.c.customer_id, OVERLAYS.c.inbox_sequence, OVERLAYS.c.document
        ).where(OVERLAYS.c.score_run_id == score_run_id, OVERLAYS.c.sequence.in_(sequences))
        with self._state.reading() as connection:
            return {row.sequence: Overlay(*row) for row in connection.execute(query)}

    def forget(self, *, kept_runs: Collection[str], now: datetime | None = None) -> None:
        """Remove the overlays of all runs but some, and those that were superseded an hour ago.

        Some at a time: writers wait for it.
        """
        oldest = (now or datetime.now(UTC)) - _SUPERSEDED_KEPT
        gone = sa.or_(
            OVERLAYS.c.score_run_id.not_in(list(kept_runs)), OVERLAYS.c.superseded_at < oldest.isoformat()
        )
        some = sa.select(OVERLAYS.c.sequence).where(gone).limit(_FORGOTTEN_AT_ONCE)
        is_more = True
        while is_more:
            with self._state.writing() as connection:
                numbers = connection.execute(some).scalars().all()
                connection.execute(sa.delete(OVERLAYS).where(OVERLAYS.c.sequence.in_(numbers)))
            is_more = len(numbers) == _FORGOTTEN_AT_ONCE


def rescored_position(score_run_id: str, scored_at: datetime) -> str:
    """Return the name of the position up to which messages are in the scores that are laid over a run."""
    return f"rescored {score_run_id} {scored_at.isoformat()}"


def read_position(connection: sa.Connection, name: str) -> int:
    """Return how far something has come, 0 at first."""
    found = connection.execute(sa.select(POSITIONS.c.sequence).where(POSITIONS.c.name == name)).scalar()
    return int(found or 0)


def write_position(connection: sa.Connection, name: str, sequence: int) -> None:
    """Note how far something has come."""
    connection.execute(sa.delete(POSITIONS).where(POSITIONS.c.name == name))
    connection.execute(sa.insert(POSITIONS).values(name=name, sequence=sequence))


def _document(rescored: Rescored) -> str:
    document = {
        "row": rescored.row,
        "lists": {kind: base64.b64encode(packed).decode() for kind, packed in rescored.lists.items()},
        "owned": base64.b64encode(rescored.owned).decode(),
        "audiences": sorted(rescored.audiences),
    }
    return orjson.dumps(document).decode()
