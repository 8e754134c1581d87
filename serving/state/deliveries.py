"""Messages that wait for webhooks, and when each is tried again."""

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import orjson
import sqlalchemy as sa

from serving.state.database import State
from serving.state.tables import CHANGE_LOG, CHANGES, DELIVERIES, ENDPOINTS
from serving.state.webhooks import (
    RECOVERED,
    Endpoint,
    instant_in,
    read_endpoint,
    text_of,
    update_endpoint,
)

WAITS_SECONDS: Final = (5, 30, 120, 600, 1_800, 3_600, 7_200, 10_800, 14_400, 21_600, 26_245)
"""How long to wait after the first failure, the second, …: all together a day."""

GIVE_UP_AFTER: Final = timedelta(seconds=sum(WAITS_SECONDS))

_RETRY_AFTER_MAX_SECONDS: Final = 3_600.0
# What a receiver that is down has waiting; the rest stays in the log until there is room.
_WAITING_MAX: Final = 10_000
_AT_ONCE: Final = 1_000
# Longer than an endpoint's turn and one request at its end.
_LEASE: Final = timedelta(seconds=120)
_SAID_MAX: Final = 200


class Delivery(NamedTuple):
    """A message on its way to one endpoint; `message_id` is the same whenever it is tried again."""

    sequence: int
    message_id: str
    body: str
    attempts: int
    first_tried_at: datetime | None


class Deliveries:
    """What waits in a state that is migrated; every method is one transaction."""

    def __init__(self, state: State, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._state = state
        self._now = now

    def enqueue(self) -> int:
        """Make deliveries of what the log has new for each endpoint; return how many. Each change once."""
        with self._state.reading() as connection:
            last = sa.select(CHANGE_LOG.c.last_sequence).scalar_subquery()
            behind = sa.select(ENDPOINTS.c.endpoint_id).where(
                ENDPOINTS.c.disabled_at.is_(None), ENDPOINTS.c.sequence < last
            )
            endpoint_ids = connection.execute(behind).scalars().all()
        return sum(self._enqueue_for(endpoint_id) for endpoint_id in endpoint_ids)

    def _enqueue_for(self, endpoint_id: str) -> int:
        with self._state.writing() as connection:
            mine = ENDPOINTS.c.endpoint_id == endpoint_id
            found = connection.execute(sa.select(ENDPOINTS).where(mine)).mappings().first()
            waiting = connection.execute(
                sa.select(sa.func.count()).where(DELIVERIES.c.endpoint_id == endpoint_id)
            ).scalar_one()
            room = min(_AT_ONCE, _WAITING_MAX - waiting)
            if found is None or found["disabled_at"] is not None or room <= 0:
                return 0
            log = connection.execute(sa.select(CHANGE_LOG)).one()
            names = found["events"].split()
            wanted = sa.or_(CHANGES.c.event.in_(names), CHANGES.c.kind.in_(names))
            query = sa.select(CHANGES).where(CHANGES.c.sequence > found["sequence"], wanted)
            rows = connection.execute(query.order_by(CHANGES.c.sequence).limit(room)).mappings().all()
            now = text_of(self._now())
            made = [_delivery_values(row, endpoint_id, log_id=log.log_id, now=now) for row in rows]
            if made:
                connection.execute(sa.insert(DELIVERIES), made)
            read_to = made[-1]["sequence"] if len(made) == room else log.last_sequence
            update_endpoint(connection, endpoint_id, sequence=read_to)
        return len(made)

    def lease_due(self) -> list[Endpoint]:
        """Take the endpoints that have something due, so that nobody else sends to them meanwhile."""
        now = self._now()
        due = sa.exists().where(
            DELIVERIES.c.endpoint_id == ENDPOINTS.c.endpoint_id, DELIVERIES.c.next_at <= text_of(now)
        )
        query = sa.select(ENDPOINTS).where(
            ENDPOINTS.c.disabled_at.is_(None),
            sa.or_(ENDPOINTS.c.resume_at.is_(None), ENDPOINTS.c.resume_at <= text_of(now)),
            sa.or_(ENDPOINTS.c.leased_until.is_(None), ENDPOINTS.c.leased_until <= text_of(now)),
            due,
        )
        with self._state.reading() as connection:
            if connection.execute(query.limit(1)).first() is None:
                return []
        with self._state.writing() as connection:
            found = [read_endpoint(row) for row in connection.execute(query).mappings().all()]
            for endpoint in found:
                update_endpoint(connection, endpoint.endpoint_id, leased_until=text_of(now + _LEASE))
        return found

    def due(self, endpoint_id: str, *, limit: int) -> Sequence[Delivery]:
        """Return messages that are due at an endpoint: new ones in the order of the log, then others."""
        query = (
            sa.select(DELIVERIES)
            .where(DELIVERIES.c.endpoint_id == endpoint_id, DELIVERIES.c.next_at <= text_of(self._now()))
            # Those tried least first: one that is refused again and again stands in nobody's way.
            .order_by(DELIVERIES.c.attempts, DELIVERIES.c.sequence)
            .limit(limit)
        )
        with self._state.reading() as connection:
            return [_delivery(row) for row in connection.execute(query).mappings()]

    def release(self, endpoint_id: str) -> None:
        """Give an endpoint back."""
        with self._state.writing() as connection:
            update_endpoint(connection, endpoint_id, leased_until=None)

    def note_sent(self, endpoint_id: str, sequences: Collection[int]) -> None:
        """Forget messages that were taken; the endpoint works."""
        with self._state.writing() as connection:
            connection.execute(sa.delete(DELIVERIES).where(_of(endpoint_id, sequences)))
            update_endpoint(connection, endpoint_id, **RECOVERED)

    def note_failed(
        self, endpoint_id: str, delivery: Delivery, said: str, *, retry_after: float | None = None
    ) -> str | None:
        """Try a message again later, and its endpoint not before; return why it is disabled, if it is now.

        `said` is what its receiver answered, or why there was no answer.

        An endpoint that has taken nothing for a day is disabled. A message that one which takes others has
        refused for a day is dropped.
        """
        now = self._now()
        with self._state.writing() as connection:
            query = sa.select(ENDPOINTS).where(ENDPOINTS.c.endpoint_id == endpoint_id)
            row = connection.execute(query).mappings().first()
            if row is None:
                return None
            endpoint = read_endpoint(row)
            since, first = endpoint.failing_since or now, delivery.first_tried_at or now
            if now - since >= GIVE_UP_AFTER:
                return self._disable(connection, endpoint_id, "it failed for 24 hours")
            own = _of(endpoint_id, (delivery.sequence,))
            if now - first >= GIVE_UP_AFTER:
                connection.execute(sa.delete(DELIVERIES).where(own))
            else:
                tried = {
                    "attempts": delivery.attempts + 1,
                    "first_tried_at": text_of(first),
                    "next_at": text_of(now + _wait(delivery.attempts, retry_after)),
                }
                connection.execute(sa.update(DELIVERIES).where(own).values(tried))
            update_endpoint(
                connection,
                endpoint_id,
                failures=endpoint.failures + 1,
                last_failure=said[:_SAID_MAX],
                failing_since=text_of(since),
                resume_at=text_of(now + _wait(endpoint.failures, retry_after)),
            )
        return None

    def disable(self, endpoint_id: str, reason: str) -> str:
        """Send nothing more to an endpoint; what waits for it stays. Returns the reason."""
        with self._state.writing() as connection:
            return self._disable(connection, endpoint_id, reason)

    def _disable(self, connection: sa.Connection, endpoint_id: str, reason: str) -> str:
        update_endpoint(connection, endpoint_id, disabled_at=text_of(self._now()), disabled_reason=reason)
        return reason


def _wait(failures: int, retry_after: float | None) -> timedelta:
    """Return how long to wait after one failure more than so many."""
    usual = WAITS_SECONDS[min(failures, len(WAITS_SECONDS) - 1)]
    return timedelta(seconds=max(usual, min(retry_after or 0.0, _RETRY_AFTER_MAX_SECONDS)))


def _of(endpoint_id: str, sequences: Collection[int]) -> sa.ColumnElement[bool]:
    return sa.and_(DELIVERIES.c.endpoint_id == endpoint_id, DELIVERIES.c.sequence.in_(sorted(sequences)))


def _delivery_values(row: Any, endpoint_id: str, *, log_id: str, now: str) -> dict[str, Any]:  # noqa: ANN401
    document = orjson.loads(row["document"])
    values = {"changed": document["changed"]} if row["kind"] == "scores" else document
    body = {
        "type": row["event"] or row["kind"],
        "timestamp": row["happened_at"].replace("+00:00", "Z"),
        "data": {
            **{name: row[name] for name in ("customer_id", "sequence", "as_of", "score_run_id")},
            **values,
        },
    }
    return {
        "endpoint_id": endpoint_id,
        "sequence": row["sequence"],
        "message_id": f"msg_{log_id}_{row['sequence']}",
        "customer_id": row["customer_id"],
        "body": orjson.dumps(body).decode(),
        "attempts": 0,
        "next_at": now,
    }


def _delivery(row: Any) -> Delivery:  # noqa: ANN401 - a row of SQLAlchemy
    first = instant_in(row["first_tried_at"])
    return Delivery(row["sequence"], row["message_id"], row["body"], row["attempts"], first)
