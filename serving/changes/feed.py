"""The log of changes as it is read: pages by sequence, and cursors that know when something was missed."""

from typing import Any, NamedTuple

import orjson
import sqlalchemy as sa

from serving.state.database import State
from serving.state.tables import CHANGE_LOG, CHANGES


class Place(NamedTuple):
    """Where a reader is: everything up to `sequence` of a log was read.

    `removed_to` is how far the log had been thinned out when the reader began: what was gone by then, the
    reader never missed.
    """

    log_id: str
    sequence: int
    removed_to: int


class Page(NamedTuple):
    """Some changes, and where the next page begins."""

    changes: list[dict[str, Any]]
    place: Place
    has_more: bool


class MissedError(Exception):
    """What comes after a place is not all there any more, or the log is another one."""


def read_page(state: State, place: Place | None, *, limit: int, newest: bool = False) -> Page:
    """Return the next changes after a place, or from the beginning; `newest` begins behind the last one.

    Raises `MissedError`, and `StateError` where the state cannot be read.
    """
    with state.reading() as connection:
        log = connection.execute(sa.select(CHANGE_LOG)).one()
        if place is None:
            place = Place(log.log_id, log.last_sequence if newest else 0, log.removed_to)
        _check(place, log)
        query = sa.select(CHANGES).where(CHANGES.c.sequence > place.sequence)
        rows = connection.execute(query.order_by(CHANGES.c.sequence).limit(limit + 1)).mappings().all()
    shown = [_shown(row) for row in rows[:limit]]
    following = place._replace(sequence=shown[-1]["sequence"]) if shown else place
    return Page(shown, following, len(rows) > limit)


def _check(place: Place, log: Any) -> None:  # noqa: ANN401 - a row of SQLAlchemy
    is_behind = place.sequence < log.removed_to and place.removed_to != log.removed_to
    if place.log_id != log.log_id or is_behind or place.sequence > log.last_sequence:
        raise MissedError


def _shown(row: Any) -> dict[str, Any]:  # noqa: ANN401 - a row of SQLAlchemy
    document = orjson.loads(row["document"])
    is_scores = row["kind"] == "scores"
    return {
        "sequence": row["sequence"],
        "kind": row["kind"],
        "customer_id": row["customer_id"],
        "event": row["event"],
        "as_of": row["as_of"],
        "score_run_id": row["score_run_id"],
        "happened_at": row["happened_at"].replace("+00:00", "Z"),
        "changed": document["changed"] if is_scores else [],
        "scores": document["scores"] if is_scores else None,
        "values": document if row["kind"] == "event" else None,
    }
