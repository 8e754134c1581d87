"""What waits to be done: the worker's work as the state shows it, so that one that has stopped is noticed."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from serving.state.database import State
from serving.state.inbox import WAITING
from serving.state.jobs import UNFINISHED
from serving.state.overlays import read_position, rescored_position
from serving.state.tables import DELIVERIES, ENDPOINTS, INBOX, JOBS, PRIVACY_REQUESTS
from serving.store import RunMeta


class Waiting(NamedTuple):
    """How much of one kind of work waits, and since when its oldest does (UTC; None where nothing does)."""

    work: str
    how_many: int
    since: datetime | None


class Backlog(NamedTuple):
    """All that waits, and how many webhooks were disabled because they failed."""

    waiting: tuple[Waiting, ...]
    disabled_webhooks: int


def read_backlog(state: State, live: RunMeta | None) -> Backlog:
    """Return what waits in a state; `live` is the run that customers are scored by again.

    Raises `StateError`.
    """
    if not state.exists():
        return Backlog((), 0)
    with state.reading() as connection:
        disabled = sa.select(sa.func.count()).where(ENDPOINTS.c.disabled_at.is_not(None))
        return Backlog(tuple(_waiting(connection, live)), int(connection.execute(disabled).scalar() or 0))


def _waiting(connection: sa.Connection, live: RunMeta | None) -> Iterator[Waiting]:
    if live is not None:
        position = rescored_position(live.score_run_id, live.scored_at)
        through = max(read_position(connection, position), live.inbox_sequence)
        yield _count(connection, "rescore", INBOX.c.received_at, INBOX.c.sequence > through)
    yield _count(connection, "fold", INBOX.c.received_at, INBOX.c.standing == WAITING)
    yield _count(connection, "export", JOBS.c.created_at, JOBS.c.status.in_(UNFINISHED))
    open_requests = PRIVACY_REQUESTS.c.status.in_(UNFINISHED)
    yield _count(connection, "privacy", PRIVACY_REQUESTS.c.created_at, open_requests)
    tried = sa.func.coalesce(DELIVERIES.c.first_tried_at, DELIVERIES.c.next_at)
    yield _count(connection, "webhook", tried, sa.true())


def _count(
    connection: sa.Connection, work: str, since: sa.ColumnElement[str], condition: sa.ColumnElement[bool]
) -> Waiting:
    row = connection.execute(sa.select(sa.func.count(since), sa.func.min(since)).where(condition)).one()
    return Waiting(work, int(row[0]), datetime.fromisoformat(row[1]) if row[1] else None)
