"""Privacy requests in the state: asked for by calls and signed webhooks, run one at a time, kept as a record.

A request is `queued`, `running`, `done` or `incomplete` (something is left for a person to do; its receipts
say what). Whom it is about is forgotten when it ends: marks stay (`features.suppression`), no id.
"""

import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

import sqlalchemy as sa

from serving.state.database import State
from serving.state.idempotency import Repeatable, earlier_answer, keep_answer
from serving.state.jobs import UNFINISHED, Added, TooManyJobsError
from serving.state.suppressions import add_marks
from serving.state.tables import PRIVACY_REQUESTS

Kind = Literal["erasure", "access", "suppress"]
LEASE_SECONDS: Final = 600.0
UNFINISHED_MAX: Final = 1_000


class LostRequestError(Exception):
    """Somebody else runs the request by now."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a request is about: customer ids, and keyed hashes of addresses that more ids may be known by."""

    customer_ids: tuple[str, ...] = ()
    address_keys: tuple[str, ...] = ()

    @property
    def all_ids(self) -> tuple[str, ...]:
        """Every id, that of an address among them, each once."""
        return tuple(dict.fromkeys((*self.customer_ids, *self.address_keys)))


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was done to one store, and when.

    `status`: done; waiting (somebody else writes there: it is tried again); out_of_reach (`note` says what a
    person has to do).
    """

    store: str
    status: Literal["done", "waiting", "out_of_reach"]
    row_count: int = 0
    file_count: int = 0
    at: str = ""
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A request to be: who asks, of which kind, about whom, and the marks of these ids."""

    key_id: str
    kind: Kind
    subject: Subject
    marks: Sequence[str]
    pepper_check: str
    with_identity: bool = False


@dataclass(frozen=True, slots=True)
class PrivacyRequest:
    """A request as it is kept; `subject` is None once it ended."""

    request_id: str
    key_id: str
    kind: Kind
    with_identity: bool
    subject: Subject | None
    marks: tuple[str, ...]
    status: str
    attempt: int
    created_at: str
    started_at: str | None
    finished_at: str | None
    expires_at: str | None
    receipts: tuple[Receipt, ...]


class PrivacyRequests:
    """The privacy requests of a state."""

    def __init__(self, state: State) -> None:
        self._state = state

    def add(self, asked: Asked, *, call: Repeatable | None = None) -> Added:
        """Add a request, and suppress whom it is about at once; the same call again gets the same one.

        Access suppresses nobody. Raises `OtherBodyError` and `TooManyJobsError`.
        """
        now, request_id = time.time(), f"pr_{secrets.token_hex(16)}"
        with self._state.writing() as connection:
            known = earlier_answer(connection, call, now=now) if call else None
            if known is not None:
                return Added(known, is_repeated=True)
            _check_room(connection, asked.key_id)
            connection.execute(sa.insert(PRIVACY_REQUESTS).values(_new(asked, request_id)))
            if asked.kind != "access":
                add_marks(connection, asked.marks, asked.pepper_check)
            if call is not None:
                keep_answer(connection, call, request_id, now=now)
        return Added(request_id, is_repeated=False)

    def get(self, request_id: str) -> PrivacyRequest | None:
        """Return a request, or None where there is none of that id."""
        with self._state.reading() as connection:
            query = sa.select(PRIVACY_REQUESTS).where(PRIVACY_REQUESTS.c.request_id == request_id)
            row = connection.execute(query).mappings().one_or_none()
        return None if row is None else _read(row)

    def list_all(self) -> list[PrivacyRequest]:
        """Return every request there ever was, the newest last."""
        query = sa.select(PRIVACY_REQUESTS).order_by(PRIVACY_REQUESTS.c.request_number)
        with self._state.reading() as connection:
            return [_read(row) for row in connection.execute(query).mappings()]

    def claim(self, *, now: float, lease_seconds: float = LEASE_SECONDS) -> PrivacyRequest | None:
        """Take the oldest request that is to be run, or whose runner has died; None where there is none."""
        free = sa.or_(PRIVACY_REQUESTS.c.leased_until.is_(None), PRIVACY_REQUESTS.c.leased_until <= now)
        waiting = sa.select(PRIVACY_REQUESTS).where(PRIVACY_REQUESTS.c.status.in_(UNFINISHED), free)
        with self._state.writing() as connection:
            query = waiting.order_by(PRIVACY_REQUESTS.c.request_number).limit(1)
            row = connection.execute(query).mappings().one_or_none()
            if row is None:
                return None
            changes = {
                "status": "running",
                "attempt": row["attempt"] + 1,
                "leased_until": now + lease_seconds,
                "started_at": row["started_at"] or text_of(datetime.now(UTC)),
            }
            _update(connection, row["request_id"], changes)
            return _read({**row, **changes})

    def add_ids(self, request: PrivacyRequest, ids: Sequence[str], marks: Sequence[str], check: str) -> None:
        """Note further ids of the same person; they are suppressed as the others are."""
        subject = request.subject or Subject()
        known = Subject(tuple(dict.fromkeys((*subject.customer_ids, *ids))), subject.address_keys)
        values = {
            "subject": json.dumps(asdict(known)),
            "marks": json.dumps(list(dict.fromkeys((*request.marks, *marks)))),
        }
        with self._state.writing() as connection:
            _check_mine(connection, request)
            _update(connection, request.request_id, values)
            if request.kind != "access":
                add_marks(connection, marks, check)

    def note(self, request: PrivacyRequest, receipts: Sequence[Receipt], *, lease_seconds: float) -> None:
        """Write down what was done so far, and go on; raises `LostRequestError`."""
        values = {"receipts": _dump(receipts), "leased_until": time.time() + lease_seconds}
        with self._state.writing() as connection:
            _check_mine(connection, request)
            _update(connection, request.request_id, values)

    def postpone(self, request: PrivacyRequest, *, seconds: float) -> None:
        """Give a request back, to be tried again after a while."""
        with self._state.writing() as connection:
            _check_mine(connection, request)
            _update(
                connection, request.request_id, {"status": "queued", "leased_until": time.time() + seconds}
            )

    def finish(
        self, request: PrivacyRequest, receipts: Sequence[Receipt], *, keep_days: int | None = None
    ) -> None:
        """End a request and forget whom it was about; `keep_days` is how long its file stays.

        It is still `running`, without a subject, until `close`: the bytes of the subject are yet to go.
        """
        now = datetime.now(UTC)
        expires = None if keep_days is None else text_of(now + timedelta(days=keep_days))
        values = {"subject": None, "receipts": _dump(receipts), "expires_at": expires}
        with self._state.writing() as connection:
            _check_mine(connection, request)
            _update(connection, request.request_id, values)

    def close(self, request: PrivacyRequest) -> None:
        """Say that a request without a subject is over."""
        with self._state.writing() as connection:
            _check_mine(connection, request)
            query = sa.select(PRIVACY_REQUESTS.c.receipts).where(
                PRIVACY_REQUESTS.c.request_id == request.request_id
            )
            receipts = _load(connection.execute(query).scalar_one())
            is_whole = all(receipt.status == "done" for receipt in receipts)
            values = {
                "status": "done" if is_whole else "incomplete",
                "finished_at": text_of(datetime.now(UTC)),
                "leased_until": None,
            }
            _update(connection, request.request_id, values)

    def expire(self, now: datetime) -> list[str]:
        """Return the requests whose files are to be deleted, those of earlier calls too."""
        past = PRIVACY_REQUESTS.c.expires_at <= text_of(now)
        with self._state.reading() as connection:
            return list(connection.execute(sa.select(PRIVACY_REQUESTS.c.request_id).where(past)).scalars())


def text_of(at: datetime) -> str:
    """Return an instant as the state keeps it."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _new(asked: Asked, request_id: str) -> dict[str, Any]:
    return {
        "request_id": request_id,
        "key_id": asked.key_id,
        "kind": asked.kind,
        "with_identity": asked.with_identity,
        "subject": json.dumps(asdict(asked.subject)),
        "marks": json.dumps(list(asked.marks)),
        "status": "queued",
        "attempt": 0,
        "created_at": text_of(datetime.now(UTC)),
        "receipts": "[]",
    }


def _check_room(connection: sa.Connection, key_id: str) -> None:
    mine = sa.and_(PRIVACY_REQUESTS.c.key_id == key_id, PRIVACY_REQUESTS.c.status.in_(UNFINISHED))
    count = connection.execute(sa.select(sa.func.count()).select_from(PRIVACY_REQUESTS).where(mine))
    if count.scalar_one() >= UNFINISHED_MAX:
        raise TooManyJobsError


def _check_mine(connection: sa.Connection, request: PrivacyRequest) -> None:
    mine = sa.select(PRIVACY_REQUESTS.c.request_id).where(
        PRIVACY_REQUESTS.c.request_id == request.request_id,
        PRIVACY_REQUESTS.c.status == "running",
        PRIVACY_REQUESTS.c.attempt == request.attempt,
    )
    if connection.execute(mine).one_or_none() is None:
        raise LostRequestError(request.request_id)


def _update(connection: sa.Connection, request_id: str, values: Mapping[str, Any]) -> None:
    connection.execute(
        sa.update(PRIVACY_REQUESTS).where(PRIVACY_REQUESTS.c.request_id == request_id).values(**values)
    )


def _dump(receipts: Sequence[Receipt]) -> str:
    return json.dumps([asdict(receipt) for receipt in receipts])


def _load(text: str) -> tuple[Receipt, ...]:
    return tuple(Receipt(**each) for each in json.loads(text))


def _read(row: Mapping[Any, Any]) -> PrivacyRequest:
    subject = None if row["subject"] is None else json.loads(row["subject"])
    same = ("request_id", "key_id", "kind", "status", "attempt", "created_at", "started_at", "finished_at")
    return PrivacyRequest(
        **{name: row[name] for name in same},
        with_identity=bool(row["with_identity"]),
        subject=None if subject is None else Subject(*map(tuple, subject.values())),
        marks=tuple(json.loads(row["marks"])),
        expires_at=row["expires_at"],
        receipts=_load(row["receipts"]),
    )
