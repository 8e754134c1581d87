"""Jobs in the state: asked for by calls, run one at a time by whoever claims them, kept as a record.

A job is `queued`, `running`, `done` or `failed`; the files of one that is done are deleted after a while, and
it is `expired` then. Its row stays: who asked for which list, when, and how many rows that were.
"""

import json
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from serving.instants import instant_text
from serving.state.database import State
from serving.state.idempotency import Repeatable, earlier_answer, keep_answer
from serving.state.tables import JOBS

LEASE_SECONDS: Final = 60.0
ATTEMPTS_MAX: Final = 3
UNFINISHED_MAX: Final = 20
UNFINISHED: Final = ("queued", "running")


class TooManyJobsError(Exception):
    """A key has as many unfinished jobs as it may have."""


class LostJobError(Exception):
    """Somebody else runs the job by now: this one was silent for too long."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it is kept; `result` is what came of it, `error` the code of what went wrong."""

    job_number: int
    job_id: str
    key_id: str
    request: dict[str, Any]
    with_identity: bool
    destination: str
    status: str
    attempt: int
    created_at: str
    started_at: str | None
    finished_at: str | None
    expires_at: str | None
    result: dict[str, Any]
    error: str | None


@dataclass(frozen=True, slots=True)
class Order:
    """A job to be: who asks, for what, and where rows go of which only changes are wanted ("" for others)."""

    key_id: str
    request: dict[str, Any]
    with_identity: bool
    destination: str = ""


class Added(NamedTuple):
    """The id of a job, and whether an earlier call had added it."""

    job_id: str
    is_repeated: bool


class Jobs:
    """The jobs of a state."""

    def __init__(self, state: State) -> None:
        self._state = state

    def add(self, order: Order, *, call: Repeatable | None = None) -> Added:
        """Add a job; the same call again gets the same one.

        Raises `OtherBodyError` where the call came before with another body, and `TooManyJobsError`.
        """
        now, job_id = time.time(), f"j_{secrets.token_hex(16)}"
        with self._state.writing() as connection:
            known = earlier_answer(connection, call, now=now) if call else None
            if known is not None:
                return Added(known, is_repeated=True)
            _check_room(connection, order.key_id)
            connection.execute(sa.insert(JOBS).values(_new(order, job_id)))
            if call is not None:
                keep_answer(connection, call, job_id, now=now)
        return Added(job_id, is_repeated=False)

    def get(self, job_id: str) -> Job | None:
        """Return a job, or None where there is none of that id."""
        with self._state.reading() as connection:
            row = connection.execute(sa.select(JOBS).where(JOBS.c.job_id == job_id)).mappings().one_or_none()
        return None if row is None else _read(row)

    def list_all(self) -> list[Job]:
        """Return every job there ever was, the newest last."""
        with self._state.reading() as connection:
            return [
                _read(row)
                for row in connection.execute(sa.select(JOBS).order_by(JOBS.c.job_number)).mappings()
            ]

    def list_done(self) -> list[Job]:
        """Return the finished jobs whose files are still there, the newest last."""
        done = sa.select(JOBS).where(JOBS.c.status == "done").order_by(JOBS.c.job_number)
        with self._state.reading() as connection:
            return [_read(row) for row in connection.execute(done).mappings()]

    def claim(self, *, now: float, lease_seconds: float = LEASE_SECONDS) -> Job | None:
        """Take the oldest job that waits, or whose runner has died; None where there is none.

        A job that killed its runner several times is failed instead. Two jobs of one destination never run
        at once.
        """
        waiting = sa.select(JOBS).where(JOBS.c.status.in_(UNFINISHED)).order_by(JOBS.c.job_number)
        with self._state.reading() as connection:
            if connection.execute(waiting.limit(1)).first() is None:
                return None  # Asked again and again: it keeps no writer waiting.
        with self._state.writing() as connection:
            rows = [dict(row) for row in connection.execute(waiting).mappings()]
            running = [row for row in rows if row["status"] == "running" and row["leased_until"] > now]
            busy = {row["destination"] for row in running} - {""}
            for row in rows:
                if row in running or row["destination"] in busy:
                    continue
                if row["attempt"] >= ATTEMPTS_MAX:
                    _finish(connection, row["job_number"], {"status": "failed", "error": "gave_up"})
                    continue
                changes = {
                    "status": "running",
                    "attempt": row["attempt"] + 1,
                    "leased_until": now + lease_seconds,
                    "started_at": row["started_at"] or instant_text(datetime.now(UTC)),
                }
                _update(connection, row["job_number"], changes)
                return _read(row | changes)
        return None

    def renew(self, job: Job, *, now: float, lease_seconds: float = LEASE_SECONDS) -> None:
        """Say that a job still runs; raises `LostJobError` where somebody else took it."""
        with self._state.writing() as connection:
            _check_mine(connection, job)
            _update(connection, job.job_number, {"leased_until": now + lease_seconds})

    def finish(self, job: Job, result: dict[str, Any], *, keep_days: int) -> None:
        """Write down what came of a job, in one step; raises `LostJobError`."""
        expires = instant_text(datetime.now(UTC) + timedelta(days=keep_days))
        with self._state.writing() as connection:
            _check_mine(connection, job)
            done = {"status": "done", "result": json.dumps(result), "expires_at": expires}
            _finish(connection, job.job_number, done)

    def fail(self, job: Job, error: str) -> None:
        """Write down that a job cannot be done, with the code of the reason; raises `LostJobError`."""
        with self._state.writing() as connection:
            _check_mine(connection, job)
            _finish(connection, job.job_number, {"status": "failed", "error": error})

    def release(self, job: Job) -> None:
        """Give a job back that was stopped from outside: it is run again, and the attempt does not count."""
        with self._state.writing() as connection:
            _check_mine(connection, job)
            back = {"status": "queued", "attempt": job.attempt - 1, "leased_until": None}
            _update(connection, job.job_number, back)

    def past_keeping(self, now: datetime) -> list[str]:
        """Return the ids of the jobs whose files are to be deleted."""
        past = sa.and_(JOBS.c.status == "done", JOBS.c.expires_at <= instant_text(now))
        with self._state.reading() as connection:
            return list(connection.execute(sa.select(JOBS.c.job_id).where(past)).scalars())

    def mark_expired(self, job_id: str) -> None:
        """Write down that the files of a job were deleted."""
        with self._state.writing() as connection:
            connection.execute(sa.update(JOBS).where(JOBS.c.job_id == job_id).values(status="expired"))


def _new(order: Order, job_id: str) -> dict[str, Any]:
    return {
        "job_id": job_id,
        "key_id": order.key_id,
        "request": json.dumps(order.request),
        "with_identity": order.with_identity,
        "destination": order.destination,
        "status": "queued",
        "attempt": 0,
        "created_at": instant_text(datetime.now(UTC)),
    }


def _check_room(connection: sa.Connection, key_id: str) -> None:
    waiting = sa.select(sa.func.count()).where(JOBS.c.key_id == key_id, JOBS.c.status.in_(UNFINISHED))
    if connection.execute(waiting).scalar_one() >= UNFINISHED_MAX:
        raise TooManyJobsError


def _check_mine(connection: sa.Connection, job: Job) -> None:
    mine = sa.select(JOBS.c.job_id).where(
        JOBS.c.job_number == job.job_number, JOBS.c.status == "running", JOBS.c.attempt == job.attempt
    )
    if connection.execute(mine).one_or_none() is None:
        raise LostJobError(job.job_id)


def _finish(connection: sa.Connection, job_number: int, values: dict[str, Any]) -> None:
    ended = {"leased_until": None, "finished_at": instant_text(datetime.now(UTC))}
    _update(connection, job_number, values | ended)


def _update(connection: sa.Connection, job_number: int, values: dict[str, Any]) -> None:
    connection.execute(sa.update(JOBS).where(JOBS.c.job_number == job_number).values(**values))


def _read(row: Any) -> Job:  # noqa: ANN401 - a row of SQLAlchemy
    names = Job.__dataclass_fields__
    values = {name: row[name] for name in names}
    result = values["result"]
    return Job(
        **{
            **values,
            "request": json.loads(values["request"]),
            "result": json.loads(result) if result else {},
            "with_identity": bool(values["with_identity"]),
        }
    )
