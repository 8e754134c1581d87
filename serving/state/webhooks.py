"""Webhooks in the state: who is told of what; what waits for them is `serving.state.deliveries`' matter."""

import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa

from serving.state.database import State, StateError
from serving.state.tables import CHANGE_LOG, DELIVERIES, ENDPOINTS

ENDPOINTS_MAX: Final = 50


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
    last_failure: str | None = None


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
                    created_at=text_of(made.created_at),
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
            return [(read_endpoint(row), row["waiting"] or 0) for row in connection.execute(query).mappings()]

    def remove(self, endpoint_id: str) -> None:
        """Forget an endpoint and what waits for it; raises `WebhookError`."""
        with self._state.writing() as connection:
            connection.execute(sa.delete(DELIVERIES).where(DELIVERIES.c.endpoint_id == endpoint_id))
            done = connection.execute(sa.delete(ENDPOINTS).where(ENDPOINTS.c.endpoint_id == endpoint_id))
            _check_found(done.rowcount, endpoint_id)

    def enable(self, endpoint_id: str) -> None:
        """Try an endpoint again, with all that waits for it, at once; raises `WebhookError`."""
        now = text_of(self._now())
        with self._state.writing() as connection:
            values = {**RECOVERED, "disabled_at": None, "disabled_reason": None}
            _check_found(update_endpoint(connection, endpoint_id, **values), endpoint_id)
            mine = DELIVERIES.c.endpoint_id == endpoint_id
            again = {"attempts": 0, "first_tried_at": None, "next_at": now}
            connection.execute(sa.update(DELIVERIES).where(mine).values(again))

    def change_secret(self, endpoint_id: str) -> Endpoint:
        """Give an endpoint its next secret and return it; raises `WebhookError`."""
        with self._state.writing() as connection:
            number = ENDPOINTS.c.secret_number + 1
            _check_found(update_endpoint(connection, endpoint_id, secret_number=number), endpoint_id)
            query = sa.select(ENDPOINTS).where(ENDPOINTS.c.endpoint_id == endpoint_id)
            return read_endpoint(connection.execute(query).mappings().one())


RECOVERED: Final = {"failures": 0, "failing_since": None, "resume_at": None, "last_failure": None}


def update_endpoint(connection: sa.Connection, endpoint_id: str, **values: Any) -> int:  # noqa: ANN401 - as typed as the column
    """Change columns of an endpoint; return how many there are of this id."""
    done = connection.execute(
        sa.update(ENDPOINTS).where(ENDPOINTS.c.endpoint_id == endpoint_id).values(values)
    )
    return done.rowcount


def _check_found(count: int, endpoint_id: str) -> None:
    if count == 0:
        raise WebhookError(f"no webhook has the id {endpoint_id!r}; `make webhook` lists them")


def text_of(at: datetime) -> str:
    """Return an instant as it is stored."""
    # With microseconds always: text must sort as time does.
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def instant_in(text: str | None) -> datetime | None:
    """Read an instant as it is stored."""
    return None if text is None else datetime.fromisoformat(text)


def read_endpoint(row: Any) -> Endpoint:  # noqa: ANN401 - a row of SQLAlchemy
    """Read a row of the table of endpoints."""
    return Endpoint(
        endpoint_id=row["endpoint_id"],
        url=row["url"],
        events=frozenset(row["events"].split()),
        created_at=datetime.fromisoformat(row["created_at"]),
        secret_number=row["secret_number"],
        sequence=row["sequence"],
        failures=row["failures"],
        failing_since=instant_in(row["failing_since"]),
        resume_at=instant_in(row["resume_at"]),
        disabled_at=instant_in(row["disabled_at"]),
        disabled_reason=row["disabled_reason"],
        last_failure=row["last_failure"],
    )
