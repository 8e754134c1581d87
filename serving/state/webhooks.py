"""Webhooks in the state: who is told of what, what waits to be delivered, and when it is tried again."""

import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any, Final, NamedTuple

import orjson
import sqlalchemy as sa

from serving.state.database import State, StateError
from serving.state.tables import CHANGE_LOG, CHANGES, DELIVERIES, ENDPOINTS

WAITS_SECONDS: Final = (5, 30, 120, 600, 1_800, 3_600, 7_200, 10_800, 14_400, 21_600, 26_245)
"""How long to wait after the first failure, the second, …: all together a day."""

GIVE_UP_AFTER: Final = timedelta(seconds=list(accumulate(WAITS_SECONDS))[-1])
ENDPOINTS_MAX: Final = 50
_RETRY_AFTER_MAX_SECONDS: Final = 3_600.0
# What a receiver that is down has waiting; the rest stays in the log until there is room.
_WAITING_MAX: Final = 10_000
_AT_ONCE: Final = 1_000
# Longer than an endpoint's turn and one request at its end.
_LEASE: Final = timedelta(seconds=120)


class WebhookError(StateError):
    """There is no such webhook, or there are too many."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to send what; `sequence` is how far the log has become deliveries."""

    endpoint_id: str
    url: str
    events: frozenset[str]
    created_at: datetime
    secret_number: int = 1
    sequence: int = 0
    failures: int = 0
    failing_since: datetime | None = None
    resume_at: datetime | None = None
    disabled_at: datetime | None = None
    disabled_reason: str | None = None


class Delivery(NamedTuple):
    """A message on its way to one endpoint; `message_id` is the same whenever it is tried again."""

    sequence: int
    message_id: str
    body: str
    attempts: int
    first_tried_at: datetime | None


class Webhooks:
    """The webhooks of a state that is migrated."""

    def __init__(self, state: State, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._state = state
        self._now = now

    def add(self, url: str, events: Collection[str]) -> Endpoint:
        """Keep a new endpoint, which is told of what comes from now on; raises `WebhookError` beyond 50."""
        with self._state.writing() as connection:
            count = connection.execute(sa.select(sa.func.count()).select_from(ENDPOINTS)).scalar_one()
            if count >= ENDPOINTS_MAX:
                raise WebhookError(f"there are {count} webhooks already, and at most {ENDPOINTS_MAX}")
            sequence = connection.execute(sa.select(CHANGE_LOG.c.last_sequence)).scalar_one()
            made = Endpoint(
                f"wh_{secrets.token_hex(6)}",
                url,
                frozenset(events),
                self._now().replace(microsecond=0),
                sequence=sequence,
            )
            connection.execute(
                sa.insert(ENDPOINTS).values(
                    endpoint_id=made.endpoint_id,
                    url=url,
                    events=" ".join(sorted(events)),
                    created_at=_text(made.created_at),
                    secret_number=1,
                    sequence=sequence,
                    failures=0,
                )
            )
        return made

    def list_all(self) -> list[tuple[Endpoint, int]]:
        """Return every endpoint with how many messages wait for it, the oldest first."""
        counted = (
            sa.select(DELIVERIES.c.endpoint_id, sa.func.count().label("waiting"))
            .group_by(DELIVERIES.c.endpoint_id)
            .subquery()
        )
        query = (
            sa.select(ENDPOINTS, counted.c.waiting)
            .join_from(ENDPOINTS, counted, ENDPOINTS.c.endpoint_id == counted.c.endpoint_id, isouter=True)
            .order_by(ENDPOINTS.c.created_at, ENDPOINTS.c.endpoint_id)
        )
        with self._state.reading() as connection:
            return [(_endpoint(row), row["waiting"] or 0) for row in connection.execute(query).mappings()]

    def remove(self, endpoint_id: str) -> None:
        """Forget an endpoint and what waits for it; raises `WebhookError`."""
        with self._state.writing() as connection:
            connection.execute(sa.delete(DELIVERIES).where(DELIVERIES.c.endpoint_id == endpoint_id))
            done = connection.execute(sa.delete(ENDPOINTS).where(ENDPOINTS.c.endpoint_id == endpoint_id))
            _check_found(done.rowcount, endpoint_id)

    def enable(self, endpoint_id: str) -> None:
        """Try an endpoint again, with all that waits for it, at once; raises `WebhookError`."""
        now = _text(self._now())
        with self._state.writing() as connection:
            values = {**_RECOVERED, "disabled_at": None, "disabled_reason": None}
            _check_found(_update(connection, endpoint_id, **values), endpoint_id)
            mine = DELIVERIES.c.endpoint_id == endpoint_id
            again = {"attempts": 0, "first_tried_at": None, "next_at": now}
            connection.execute(sa.update(DELIVERIES).where(mine).values(again))

    def change_secret(self, endpoint_id: str) -> Endpoint:
        """Give an endpoint its next secret and return it; raises `WebhookError`."""
        with self._state.writing() as connection:
            number = ENDPOINTS.c.secret_number + 1
            _check_found(_update(connection, endpoint_id, secret_number=number), endpoint_id)
            query = sa.select(ENDPOINTS).where(ENDPOINTS.c.endpoint_id == endpoint_id)
            return _endpoint(connection.execute(query).mappings().one())

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
            now = _text(self._now())
            made = [_delivery_values(row, endpoint_id, log_id=log.log_id, now=now) for row in rows]
            if made:
                connection.execute(sa.insert(DELIVERIES), made)
            read_to = made[-1]["sequence"] if len(made) == room else log.last_sequence
            _update(connection, endpoint_id, sequence=read_to)
        return len(made)

    def lease_due(self) -> list[Endpoint]:
        """Take the endpoints that have something due, so that nobody else sends to them meanwhile."""
        now = self._now()
        due = sa.exists().where(
            DELIVERIES.c.endpoint_id == ENDPOINTS.c.endpoint_id, DELIVERIES.c.next_at <= _text(now)
        )
        query = sa.select(ENDPOINTS).where(
            ENDPOINTS.c.disabled_at.is_(None),
            sa.or_(ENDPOINTS.c.resume_at.is_(None), ENDPOINTS.c.resume_at <= _text(now)),
            sa.or_(ENDPOINTS.c.leased_until.is_(None), ENDPOINTS.c.leased_until <= _text(now)),
            due,
        )
        with self._state.reading() as connection:
            if connection.execute(query.limit(1)).first() is None:
                return []
        with self._state.writing() as connection:
            found = [_endpoint(row) for row in connection.execute(query).mappings().all()]
            for endpoint in found:
                _update(connection, endpoint.endpoint_id, leased_until=_text(now + _LEASE))
        return found

    def due(self, endpoint_id: str, *, limit: int) -> Sequence[Delivery]:
        """Return messages that are due at an endpoint: new ones in the order of the log, then others."""
        query = (
            sa.select(DELIVERIES)
            .where(DELIVERIES.c.endpoint_id == endpoint_id, DELIVERIES.c.next_at <= _text(self._now()))
            # Those tried least first: one that is refused again and again stands in nobody's way.
            .order_by(DELIVERIES.c.attempts, DELIVERIES.c.sequence)
            .limit(limit)
        )
        with self._state.reading() as connection:
            return [_delivery(row) for row in connection.execute(query).mappings()]

    def release(self, endpoint_id: str) -> None:
        """Give an endpoint back."""
        with self._state.writing() as connection:
            _update(connection, endpoint_id, leased_until=None)

    def note_sent(self, endpoint_id: str, sequences: Collection[int]) -> None:
        """Forget messages that were taken; the endpoint works."""
        with self._state.writing() as connection:
            connection.execute(sa.delete(DELIVERIES).where(_of(endpoint_id, sequences)))
            _update(connection, endpoint_id, **_RECOVERED)

    def note_failed(
        self, endpoint_id: str, delivery: Delivery, *, retry_after: float | None = None
    ) -> str | None:
        """Try a message again later, and its endpoint not before; return why it is disabled, if it is now.

        An endpoint that has taken nothing for a day is disabled. A message that one which takes others has
        refused for a day is dropped.
        """
        now = self._now()
        with self._state.writing() as connection:
            query = sa.select(ENDPOINTS).where(ENDPOINTS.c.endpoint_id == endpoint_id)
            row = connection.execute(query).mappings().first()
            if row is None:
                return None
            endpoint = _endpoint(row)
            since, first = endpoint.failing_since or now, delivery.first_tried_at or now
            if now - since >= GIVE_UP_AFTER:
                return self._disable(connection, endpoint_id, "it failed for 24 hours")
            own = _of(endpoint_id, (delivery.sequence,))
            if now - first >= GIVE_UP_AFTER:
                connection.execute(sa.delete(DELIVERIES).where(own))
            else:
                tried = {
                    "attempts": delivery.attempts + 1,
                    "first_tried_at": _text(first),
                    "next_at": _text(now + _wait(delivery.attempts, retry_after)),
                }
                connection.execute(sa.update(DELIVERIES).where(own).values(tried))
            _update(
                connection,
                endpoint_id,
                failures=endpoint.failures + 1,
                failing_since=_text(since),
                resume_at=_text(now + _wait(endpoint.failures, retry_after)),
            )
        return None

    def disable(self, endpoint_id: str, reason: str) -> str:
        """Send nothing more to an endpoint; what waits for it stays. Returns the reason."""
        with self._state.writing() as connection:
            return self._disable(connection, endpoint_id, reason)

    def _disable(self, connection: sa.Connection, endpoint_id: str, reason: str) -> str:
        _update(connection, endpoint_id, disabled_at=_text(self._now()), disabled_reason=reason)
        return reason


_RECOVERED: Final = {"failures": 0, "failing_since": None, "resume_at": None}


def _wait(failures: int, retry_after: float | None) -> timedelta:
    """Return how long to wait after one failure more than so many."""
    usual = WAITS_SECONDS[min(failures, len(WAITS_SECONDS) - 1)]
    return timedelta(seconds=max(usual, min(retry_after or 0.0, _RETRY_AFTER_MAX_SECONDS)))


def _update(connection: sa.Connection, endpoint_id: str, **values: Any) -> int:  # noqa: ANN401 - as typed as the column
    done = connection.execute(
        sa.update(ENDPOINTS).where(ENDPOINTS.c.endpoint_id == endpoint_id).values(values)
    )
    return done.rowcount


def _of(endpoint_id: str, sequences: Collection[int]) -> sa.ColumnElement[bool]:
    return sa.and_(DELIVERIES.c.endpoint_id == endpoint_id, DELIVERIES.c.sequence.in_(sorted(sequences)))


def _check_found(count: int, endpoint_id: str) -> None:
    if count == 0:
        raise WebhookError(f"no webhook has the id {endpoint_id!r}; `make webhook` lists them")


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


def _text(at: datetime) -> str:
    # With microseconds always: text must sort as time does.
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _delivery(row: Any) -> Delivery:  # noqa: ANN401 - a row of SQLAlchemy
    first = _instant(row["first_tried_at"])
    return Delivery(row["sequence"], row["message_id"], row["body"], row["attempts"], first)


def _endpoint(row: Any) -> Endpoint:  # noqa: ANN401 - a row of SQLAlchemy
    return Endpoint(
        endpoint_id=row["endpoint_id"],
        url=row["url"],
        events=frozenset(row["events"].split()),
        created_at=datetime.fromisoformat(row["created_at"]),
        secret_number=row["secret_number"],
        sequence=row["sequence"],
        failures=row["failures"],
        failing_since=_instant(row["failing_since"]),
        resume_at=_instant(row["resume_at"]),
        disabled_at=_instant(row["disabled_at"]),
        disabled_reason=row["disabled_reason"],
    )
