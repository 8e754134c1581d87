"""What waits to be done: the worker's work as the state shows it, so that one that has stopped is noticed."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final, NamedTuple

import sqlalchemy as sa

from serving.state.database import State
from serving.state.inbox import ASIDE, WAITING
from serving.state.jobs import UNFINISHED
from serving.state.overlays import read_position, rescored_position
from serving.state.tables import DELIVERIES, ENDPOINTS, INBOX, JOBS, PRIVACY_REQUESTS
from serving.store.records import RunMeta

COUNTED_MAX: Final = 10_000


class Waiting(NamedTuple):
    """How much of one kind of work waits, and since when its oldest does (UTC; None where nothing does).

    `COUNTED_MAX` stands for as much and more.
    """

    work: str
    how_many: int
    since: datetime | None


class Backlog(NamedTuple):
    """All that waits, and how many webhooks are disabled."""

    waiting: tuple[Waiting, ...]
    disabled_webhooks: int


def read_backlog(state: State, live: RunMeta | None) -> Backlog:
    """Return what waits in a state; `live` is the run that customers are scored by again.

    Raises `StateError`. Each kind is a look of its own, with an end: writers wait for it.
    """
    if not state.exists():
        return Backlog((), 0)
    return Backlog(tuple(_waiting(state, live)), _disabled(state))


def _waiting(state: State, live: RunMeta | None) -> Iterator[Waiting]:
    if live is not None:
        position = rescored_position(live.score_run_id, live.scored_at)
        with state.reading() as connection:
            through = max(read_position(connection, position), live.inbox_sequence)
        unscored = sa.and_(INBOX.c.sequence > through, INBOX.c.standing != ASIDE)
        yield _count(state, "rescore", INBOX.c.received_at, INBOX.c.sequence, unscored)
    yield _count(state, "fold", INBOX.c.received_at, INBOX.c.sequence, INBOX.c.standing == WAITING)
    yield _count(state, "export", JOBS.c.created_at, JOBS.c.job_number, JOBS.c.status.in_(UNFINISHED))
    number, asked_at = PRIVACY_REQUESTS.c.request_number, PRIVACY_REQUESTS.c.created_at
    yield _count(state, "privacy", asked_at, number, PRIVACY_REQUESTS.c.status.in_(UNFINISHED))
    enabled = sa.select(ENDPOINTS.c.endpoint_id).where(ENDPOINTS.c.disabled_at.is_(None))
    tried_at = sa.func.coalesce(DELIVERIES.c.first_tried_at, DELIVERIES.c.next_at)
    to_send = DELIVERIES.c.endpoint_id.in_(enabled)
    yield _count(state, "webhook", tried_at, DELIVERIES.c.sequence, to_send)


def _count(
    state: State,
    work: str,
    since: sa.ColumnElement[str],
    number: sa.ColumnElement[int],
    condition: sa.ColumnElement[bool],
) -> Waiting:
    some = sa.select(number).where(condition).limit(COUNTED_MAX).subquery()
    oldest = sa.select(since).where(condition).order_by(number).limit(1)
    with state.reading() as connection:
        how_many = connection.execute(sa.select(sa.func.count()).select_from(some)).scalar_one()
        at = connection.execute(oldest).scalar()
    return Waiting(work, int(how_many), datetime.fromisoformat(at) if at else None)


def _disabled(state: State) -> int:
    query = sa.select(sa.func.count()).where(ENDPOINTS.c.disabled_at.is_not(None))
    with state.reading() as connection:
        return int(connection.execute(query).scalar_one())
