"""The inbox: what was received, each message once, on the disk before it is acknowledged.

A message stays after it is in the history, for `keep_days`: later words on the same order need it, and one
that comes again is known.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, NamedTuple

import sqlalchemy as sa
from pydantic import TypeAdapter

from features.messages import Event, Message, Order, OrderWord
from serving.state.database import State
from serving.state.suppressions import Suppressions
from serving.state.tables import INBOX, INBOX_PURCHASES
from serving.store.parts import in_parts

WAITING, FOLDED, ASIDE = "waiting", "folded", "aside"
# Databases bound the values of one statement.
_AT_ONCE = 500
_MESSAGES: TypeAdapter[Event | OrderWord] = TypeAdapter(Message)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message as it came: `message_id` is the source's own, `order_scope` within what order ids are unique.

    A shop system numbers its orders, so its source is the scope; else every customer's orders are apart.
    """

    message: Event | OrderWord
    source: str
    message_id: str
    order_scope: str = ""

    @property
    def digest(self) -> str:
        """What the message is known by if it comes again."""
        return _digest(self.source, self.message_id)

    @property
    def order_key(self) -> str | None:
        """What groups the words about one order; None for an event."""
        if isinstance(self.message, Event):
            return None
        return _digest(self.order_scope or f"of {self.message.customer_id}", self.message.order_id)


class Stored(NamedTuple):
    """A message of the inbox and its place in it."""

    sequence: int
    order_key: str | None
    message: Event | OrderWord
    standing: str


class Inbox:
    """The inbox of a state; messages of people who are suppressed are not kept."""

    def __init__(self, state: State, suppressions: Suppressions | None = None) -> None:
        self._state = state
        self._suppressions = suppressions

    def put(self, incoming: Sequence[Incoming], *, now: datetime | None = None) -> list[bool | None]:
        """Keep messages; say of each whether it is new, None for one that is not kept.

        They are on the disk when this returns. Raises `StateError` where they cannot be kept; then none is.
        """
        received_at = (now or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="milliseconds")
        with self._state.writing() as connection:
            known = _sequences(connection, [each.digest for each in incoming])
            left_out = self._suppressed(connection, {each.message.customer_id for each in incoming})
            fresh: dict[str, Incoming] = {}
            for each in incoming:
                if each.digest not in known and each.message.customer_id not in left_out:
                    fresh.setdefault(each.digest, each)
            _insert(connection, list(fresh.values()), received_at)
        return [
            None if each.message.customer_id in left_out else fresh.get(each.digest) is each
            for each in incoming
        ]

    def _suppressed(self, connection: sa.Connection, customer_ids: set[str]) -> set[str]:
        if self._suppressions is None:
            return set()
        return self._suppressions.among(connection, customer_ids)

    def newest(self) -> int:
        """Return the last sequence number, 0 in an empty inbox."""
        with self._state.reading() as connection:
            return int(connection.execute(sa.select(sa.func.max(INBOX.c.sequence))).scalar() or 0)

    def folded_through(self) -> int:
        """Return the number up to which nothing waits: all of it is in the history, or was set aside."""
        with self._state.reading() as connection:
            first = connection.execute(
                sa.select(sa.func.min(INBOX.c.sequence)).where(INBOX.c.standing == WAITING)
            ).scalar()
            if first is not None:
                return int(first) - 1
            return int(connection.execute(sa.select(sa.func.max(INBOX.c.sequence))).scalar() or 0)

    def list_unfolded(self) -> list[Stored]:
        """Return what is not in the history yet, waiting or aside, and every older word on its orders."""
        with self._state.reading() as connection:
            rows = _read(connection, INBOX.c.standing != FOLDED)
            return _with_orders(connection, rows)

    def list_after(self, sequence: int, *, limit: int) -> list[Stored]:
        """Return the next messages after a number that wait or were folded."""
        with self._state.reading() as connection:
            return _read(connection, INBOX.c.sequence > sequence, INBOX.c.standing != ASIDE, limit=limit)

    def list_of(self, customer_ids: Iterable[str], *, after: int) -> list[Stored]:
        """Return what customers' messages after a number say, and every other word on their orders."""
        with self._state.reading() as connection:
            rows: list[Stored] = []
            for ids in in_parts(customer_ids, _AT_ONCE):
                rows += _read(connection, INBOX.c.customer_id.in_(ids), INBOX.c.sequence > after)
            return _with_orders(connection, rows)

    def settle(self, standings: Mapping[int, tuple[str, str | None]]) -> None:
        """Write down (standing, reason) of messages by their number."""
        groups: dict[tuple[str, str | None], list[int]] = {}
        for sequence, new in standings.items():
            groups.setdefault(new, []).append(sequence)
        for (standing, reason), sequences in groups.items():
            for numbers in in_parts(sequences, _AT_ONCE):
                with self._state.writing() as connection:
                    connection.execute(
                        sa.update(INBOX)
                        .where(INBOX.c.sequence.in_(numbers))
                        .values(standing=standing, reason=reason)
                    )

    def bought_since(self, customer_id: str, sequence: int) -> list[str]:
        """Return the products that a customer's messages after a number say were bought."""
        if not self._state.exists():
            return []
        with self._state.reading() as connection:
            found = connection.execute(
                sa.select(INBOX_PURCHASES.c.product_id)
                .where(INBOX_PURCHASES.c.customer_id == customer_id, INBOX_PURCHASES.c.sequence > sequence)
                .distinct()
            )
            return sorted(found.scalars())

    def prune(self, *, received_before: datetime) -> int:
        """Forget messages that are in the history and older than an instant; return how many."""
        old = received_before.astimezone(UTC).isoformat(timespec="milliseconds")
        condition = sa.and_(INBOX.c.standing == FOLDED, INBOX.c.received_at < old)
        gone = sa.select(INBOX.c.sequence).where(condition)
        with self._state.writing() as connection:
            connection.execute(sa.delete(INBOX_PURCHASES).where(INBOX_PURCHASES.c.sequence.in_(gone)))
            return int(connection.execute(sa.delete(INBOX).where(condition)).rowcount)


def _digest(scope: str, name: str) -> str:
    return sha256(f"{scope}\n{name}".encode()).hexdigest()


def _insert(connection: sa.Connection, fresh: Sequence[Incoming], received_at: str) -> None:
    rows = [
        {
            "digest": each.digest,
            "source": each.source,
            "customer_id": each.message.customer_id,
            "order_key": each.order_key,
            "received_at": received_at,
            "body": _MESSAGES.dump_json(each.message, exclude_none=True).decode(),
        }
        for each in fresh
    ]
    if rows:
        connection.execute(sa.insert(INBOX), rows)
    sequences = _sequences(connection, [each.digest for each in fresh])
    purchases = [
        {
            "sequence": sequences[each.digest],
            "product_id": product_id,
            "customer_id": each.message.customer_id,
        }
        for each in fresh
        for product_id in sorted(_bought(each.message))
    ]
    if purchases:
        connection.execute(sa.insert(INBOX_PURCHASES), purchases)


def _sequences(connection: sa.Connection, digests: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for some in in_parts(digests, _AT_ONCE):
        rows = connection.execute(sa.select(INBOX.c.digest, INBOX.c.sequence).where(INBOX.c.digest.in_(some)))
        found |= {row.digest: row.sequence for row in rows}
    return found


def _bought(message: Event | OrderWord) -> set[str]:
    if not isinstance(message, Order):
        return set()
    return {line.product_id for line in message.lines if line.product_id and not line.returned_at}


def _read(
    connection: sa.Connection, *conditions: sa.ColumnElement[bool], limit: int | None = None
) -> list[Stored]:
    query = (
        sa.select(INBOX.c.sequence, INBOX.c.order_key, INBOX.c.body, INBOX.c.standing)
        .where(*conditions)
        .order_by(INBOX.c.sequence)
        .limit(limit)
    )
    return [_stored(row) for row in connection.execute(query)]


def _stored(row: Any) -> Stored:  # noqa: ANN401 - a row of SQLAlchemy
    return Stored(row.sequence, row.order_key, _MESSAGES.validate_json(row.body), row.standing)


def _with_orders(connection: sa.Connection, rows: list[Stored]) -> list[Stored]:
    """Add every other message about the orders of some."""
    found = {row.sequence: row for row in rows}
    for keys in in_parts({row.order_key for row in rows if row.order_key is not None}, _AT_ONCE):
        found |= {row.sequence: row for row in _read(connection, INBOX.c.order_key.in_(keys))}
    return [found[sequence] for sequence in sorted(found)]
