"""Calls that may be repeated: the answer to the first one is kept for a day, and given again."""

from hashlib import sha256
from typing import Final, NamedTuple

import sqlalchemy as sa

from serving.state.tables import IDEMPOTENCY

KEPT_SECONDS: Final = 86_400.0


class OtherBodyError(Exception):
    """The same key came before with another body."""


class Repeatable(NamedTuple):
    """A call that its caller may repeat: who calls, and digests of the caller's own key and of the body."""

    key_id: str
    token: str
    body_digest: str

    @classmethod
    def of(cls, key_id: str, operation: str, name: str, body: bytes) -> "Repeatable":
        """Return the call of an operation, by the name that its caller gave to it."""
        token = sha256(f"{operation}\0{name}".encode()).hexdigest()
        return cls(key_id, token, sha256(body).hexdigest())


def earlier_answer(connection: sa.Connection, call: Repeatable, *, now: float) -> str | None:
    """Return the answer that the call got before, or None; raises `OtherBodyError`.

    Asked in the transaction that writes the answer, so that of two calls at once one waits for the other.
    """
    row = connection.execute(
        sa.select(IDEMPOTENCY.c.body_digest, IDEMPOTENCY.c.answer).where(
            IDEMPOTENCY.c.key_id == call.key_id,
            IDEMPOTENCY.c.token == call.token,
            IDEMPOTENCY.c.created_at > now - KEPT_SECONDS,
        )
    ).one_or_none()
    if row is None:
        return None
    if row.body_digest != call.body_digest:
        raise OtherBodyError
    return str(row.answer)


def keep_answer(connection: sa.Connection, call: Repeatable, answer: str, *, now: float) -> None:
    """Keep the answer of a call, and forget those that are a day old."""
    connection.execute(sa.delete(IDEMPOTENCY).where(IDEMPOTENCY.c.created_at <= now - KEPT_SECONDS))
    connection.execute(sa.insert(IDEMPOTENCY).values(**call._asdict(), answer=answer, created_at=now))
