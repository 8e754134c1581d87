"""Errors as RFC 9457 `application/problem+json`; they repeat nothing that was sent, tell nothing internal."""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import NamedTuple

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from serving.store.errors import BusyError, RunGoneError, StoreError

MEDIA_TYPE = "application/problem+json"
_URN = "urn:regulars:problem:"
NO_SCORES = "no-scores"
"""The kind of problem that is answered as long as nothing was scored."""


class FieldError(NamedTuple):
    """One thing wrong with a request: where (a pointer such as `/query/limit`), a code, what is allowed.

    Of a condition, `offset` and `length` say which characters of it are meant.
    """

    pointer: str
    code: str
    message: str
    offset: int | None = None
    length: int | None = None

    def shown(self) -> dict[str, str | int]:
        """Return it as answers have it."""
        return {name: value for name, value in self._asdict().items() if value is not None}


class ProblemError(Exception):
    """An answer that is an error; handlers raise it, one handler turns it into a response."""

    def __init__(
        self, status: int, slug: str, detail: str, *, title: str = "", errors: tuple[FieldError, ...] = ()
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.slug = slug
        self.detail = detail
        self.title = title or HTTPStatus(status).phrase
        self.errors = errors
        self.headers: dict[str, str] = {}


Answer = Callable[[ProblemError, Request], Response]
"""What makes a response of a problem."""


def malformed(*errors: FieldError) -> ProblemError:
    """Return the 422 problem of a request that cannot be understood."""
    return ProblemError(
        422,
        "malformed-request",
        "The request cannot be understood.",
        title="Malformed request",
        errors=errors,
    )


def unknown_customer() -> ProblemError:
    """Return the 404 problem of a customer that the live run does not hold."""
    return ProblemError(
        404, "unknown-customer", "The live score run holds no such customer.", title="Unknown customer"
    )


def unknown_product() -> ProblemError:
    """Return the 404 problem of a product that the live run does not hold."""
    return ProblemError(
        404, "unknown-product", "The live score run holds no such product.", title="Unknown product"
    )


def no_scores() -> ProblemError:
    """Return the 503 problem of a service without a readable score run."""
    problem = ProblemError(503, NO_SCORES, "No score run can be read at the moment.", title="No scores")
    problem.headers["retry-after"] = "5"
    return problem


def no_keys() -> ProblemError:
    """Return the 503 problem of a service that cannot read its keys; those it knows still count."""
    problem = ProblemError(503, "no-keys", "The keys cannot be read at the moment.", title="No keys")
    problem.headers["retry-after"] = "5"
    return problem


def no_suppressions() -> ProblemError:
    """Return the 503 problem of a service that cannot read who is suppressed; whom it knows stay so."""
    problem = ProblemError(
        503, "no-suppressions", "Who is suppressed cannot be read at the moment.", title="No scores"
    )
    problem.headers["retry-after"] = "5"
    return problem


def internal() -> ProblemError:
    """Return the 500 problem of an error that nobody foresaw."""
    return ProblemError(500, "internal", "The service failed; the log has the details.")


def run_gone() -> ProblemError:
    """Return the 410 problem of a cursor whose run is no longer kept."""
    return ProblemError(
        410,
        "cursor-expired",
        "The score run of this cursor is gone; begin again without it.",
        title="Cursor expired",
    )


def too_many_waiting() -> ProblemError:
    """Return the 429 problem of a caller whose earlier readings of segments are not done yet."""
    problem = ProblemError(
        429,
        "too-many-waiting",
        "Too many readings of this key are waiting; ask again when some are answered.",
        title="Too many calls",
    )
    problem.headers["retry-after"] = "1"
    return problem


def no_changes() -> ProblemError:
    """Return the 503 problem of a service that cannot read its log of changes."""
    problem = ProblemError(
        503,
        "no-changes",
        "The log of changes cannot be read at the moment.",
        title="No changes",
    )
    problem.headers["retry-after"] = "5"
    return problem


def changes_missed() -> ProblemError:
    """Return the 410 problem of a cursor behind which changes are gone."""
    return ProblemError(
        410,
        "cursor-expired",
        "Changes after this cursor are no longer kept. Begin anew: call without a cursor, which gives the "
        "newest scores of everybody, and drop whoever is not among them.",
        title="Cursor expired",
    )


def problem_response(problem: ProblemError, request: Request) -> Response:
    """Write a problem; `instance` is the request's id, which the response also carries as `x-request-id`."""
    content = {
        "type": _URN + problem.slug,
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "instance": request.scope.get("request_id", ""),
        "errors": [error.shown() for error in problem.errors],
    }
    headers = {**problem.headers, "cache-control": "no-store"}
    return Response(orjson.dumps(content), problem.status, headers, MEDIA_TYPE)


def install_problem_handlers(app: FastAPI, answer: Answer = problem_response) -> None:
    """Make every error of an application a problem, and a response of it by `answer`."""

    async def on_error(request: Request, error: Exception) -> Response:
        return answer(_problem_of(error, request), request)

    for kind in (ProblemError, RequestValidationError, StoreError, HTTPException, Exception):
        app.add_exception_handler(kind, on_error)


def _problem_of(error: Exception, request: Request) -> ProblemError:
    match error:
        case ProblemError():
            return error
        case RequestValidationError():
            return malformed(*map(_field_error, error.errors()))
        case BusyError():
            return too_many_waiting()
        case StoreError():
            # Without a cursor it was the live run: several newer ones came within a moment, and one is open
            # soon.
            is_expired = isinstance(error, RunGoneError) and "cursor" in request.query_params
            return run_gone() if is_expired else no_scores()
        case HTTPException():
            return _http_problem(error)
        case _:
            return internal()


def _http_problem(error: HTTPException) -> ProblemError:
    status = HTTPStatus(error.status_code)
    problem = ProblemError(
        status, status.phrase.lower().replace(" ", "-"), status.description or status.phrase
    )
    problem.headers.update(error.headers or {})
    return problem


def _field_error(error: Mapping[str, object]) -> FieldError:
    where = error.get("loc")
    parts = [str(part) for part in where] if isinstance(where, tuple) else []
    return FieldError(
        "/" + "/".join(parts), str(error.get("type", "invalid")), str(error.get("msg", "invalid"))
    )
