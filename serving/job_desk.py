"""Where calls leave jobs and ask for them: the state's jobs, read and written by a thread of the process."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Final, NamedTuple, TypeVar

from serving.people.known_addresses import AddressesError
from serving.state.database import StateBusyError, StateError
from serving.state.idempotency import OtherBodyError, Repeatable
from serving.state.jobs import Job, Jobs, Order, TooManyJobsError
from serving.web.problems import ProblemError

_LOG = logging.getLogger(__name__)
_RETRY_SECONDS: Final = "5"
Found = TypeVar("Found")


class Left(NamedTuple):
    """A job that a call left, and whether an earlier call of the same name had left it already."""

    job: Job
    is_repeated: bool


class Desk:
    """Works with the state in a thread of the process; what may be repeated is done once at a time."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._in_flight: set[Repeatable] = set()

    async def _once(self, call: Repeatable | None, work: Callable[[], Found]) -> Found:
        """Do what a call asks for; raises a problem: 409, 422, 429 or 503."""
        if call is None:
            return await self._in_thread(work)
        if any(other[:2] == call[:2] for other in self._in_flight):
            raise _in_flight()
        self._in_flight.add(call)
        try:
            return await self._in_thread(work)
        finally:
            self._in_flight.discard(call)

    async def _in_thread(self, work: Callable[[], Found]) -> Found:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        except OtherBodyError:
            raise _other_body() from None
        except TooManyJobsError:
            raise _too_many() from None
        except StateBusyError:
            raise unavailable("The state is being written; try again.") from None
        except StateError:
            raise unavailable("Jobs cannot be kept at the moment.") from None
        except AddressesError as error:
            raise no_addresses(error) from None


class JobDesk(Desk):
    """Takes jobs and looks them up; every failure is a problem."""

    def __init__(self, jobs: Jobs, executor: Executor) -> None:
        super().__init__(executor)
        self._jobs = jobs

    async def leave(self, order: Order, call: Repeatable | None) -> Left:
        """Add a job; raises a problem: 409, 422, 429 or 503."""
        return await self._once(call, lambda: self._leave(order, call))

    async def find(self, job_id: str, *, key_id: str | None) -> Job:
        """Return a job that a key may see (None: every job); raises a 404 or 503 problem."""
        job = await self._in_thread(lambda: self._jobs.get(job_id))
        if job is None or key_id not in (None, job.key_id):
            raise ProblemError(404, "unknown-job", "This key left no such job.", title="Unknown job")
        return job

    def _leave(self, order: Order, call: Repeatable | None) -> Left:
        added = self._jobs.add(order, call=call)
        job = self._jobs.get(added.job_id)
        assert job is not None  # noqa: S101 - it was just there, and rows stay
        return Left(job, added.is_repeated)


def _other_body() -> ProblemError:
    return ProblemError(
        422,
        "idempotency-key-reused",
        "This Idempotency-Key came before with another body.",
        title="Idempotency-Key used again",
    )


def _in_flight() -> ProblemError:
    problem = ProblemError(
        409,
        "idempotency-in-flight",
        "A call with this Idempotency-Key is being answered; try again.",
        title="Call in flight",
    )
    problem.headers["retry-after"] = "1"
    return problem


def _too_many() -> ProblemError:
    problem = ProblemError(
        429,
        "too-many-jobs",
        "This key has as many unfinished jobs as it may have; wait for one.",
        title="Too many jobs",
    )
    problem.headers["retry-after"] = _RETRY_SECONDS
    return problem


def no_addresses(error: AddressesError) -> ProblemError:
    """Return the 503 problem of a service that cannot look addresses up; why goes to the log."""
    _LOG.error("%s", error)
    return unavailable("Addresses cannot be looked up at the moment; ids can.")


def unavailable(detail: str) -> ProblemError:
    """Return the 503 problem of a service that cannot use its state."""
    problem = ProblemError(503, "no-state", detail, title="No state")
    problem.headers["retry-after"] = _RETRY_SECONDS
    return problem
