"""Logs: JSON, one line each, on standard error; no customer, no query, no secret in any of them.

    {"time": "…Z", "level": "info", "event": "request", "request_id": "…", "method": "GET",
     "route": "/v1/customers/{customer_id}/predictions", "status": 200, "duration_ms": 0.4, "key_id": "k_…"}

A list that is taken out of the service has its name, its form and how many people it held in that line.
What the program notes elsewhere (`logging`) is written in the same form. Of an error the kind and the places
in the code are told, never its words: they may hold an id.
"""

import json
import logging
import sys
import traceback
from collections.abc import Collection, Iterator, MutableMapping
from contextlib import contextmanager
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, BinaryIO, Final, Literal

import orjson
import structlog

from serving.web.calls import Call, Taken

LogMode = Literal["off", "errors", "all"]
_FRAMES_TOLD: Final = 6
_NOT_FOUND: Final = 404


def level_of(status: int) -> str:
    """Return how grave an answer is.

    >>> [level_of(status) for status in (200, 304, 404, 401, 503)]
    ['info', 'info', 'info', 'warning', 'error']
    """
    if status < 400 or status == _NOT_FOUND:
        return "info"
    return "warning" if status < 500 else "error"


class RequestLog:
    """Writes a line for every request (`all`), for those that went wrong (`errors`), or none (`off`)."""

    def __init__(self, mode: LogMode, stream: BinaryIO | None = None) -> None:
        least = {"all": logging.INFO, "errors": logging.WARNING, "off": logging.CRITICAL}[mode]
        self._log = structlog.wrap_logger(
            structlog.BytesLogger(stream or sys.stderr.buffer),
            processors=[_lead, structlog.processors.JSONRenderer(serializer=_dump)],
            wrapper_class=structlog.make_filtering_bound_logger(least),
            cache_logger_on_first_use=True,
        )

    def note(self, call: Call) -> None:
        """Write one request down; where that cannot be, as on a full disk, the service goes on without."""
        try:
            getattr(self._log, level_of(call.status))(
                "request",
                request_id=call.request_id,
                method=call.method,
                route=call.route,
                status=call.status,
                duration_ms=round(1000 * call.seconds, 3),
                key_id=call.key_id,
                **_told(call.taken),
            )
        except (OSError, ValueError):
            return


def _told(taken: Taken | None) -> dict[str, object]:
    if taken is None:
        return {}
    named = {"list": taken.name, "form": taken.form, "row_count": taken.row_count}
    return {**named, "with_identity": taken.with_identity, "is_whole": taken.is_whole}


def _lead(_logger: object, level: str, values: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {"time": datetime.now(UTC), "level": level, "event": values.pop("event"), **values}


def _dump(values: MutableMapping[str, Any], **_: object) -> bytes:
    return orjson.dumps(values, option=orjson.OPT_UTC_Z)


class JsonFormatter(logging.Formatter):
    """Writes what `logging` is told in the same form, in plain ASCII: whatever is in it, one clean line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z")
        line: dict[str, object] = {"time": at, "level": record.levelname.lower()}
        line |= {"event": record.getMessage(), "logger": record.name}
        if record.exc_info and record.exc_info[1] is not None:
            line |= described(record.exc_info[1])
        return json.dumps(line).replace("\x7f", "\\u007f")


def described(error: BaseException) -> dict[str, object]:
    """Return an error's kind and where in the code it came from; not its words."""
    return {"error": type(error).__name__, "at": list(_places(error.__traceback__))}


def _places(trace: TracebackType | None) -> Iterator[str]:
    for frame in traceback.extract_tb(trace)[-_FRAMES_TOLD:]:
        yield f"{frame.filename}:{frame.lineno} {frame.name}"


@contextmanager
def json_logging(*, told: Collection[str] = ()) -> Iterator[None]:
    """Write what `logging` is told as JSON lines, within a block: warnings, and of `told` packages more."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    handler.addFilter(
        lambda record: record.levelno >= logging.WARNING or record.name.split(".", 1)[0] in told
    )
    root, talkative = logging.getLogger(), [logging.getLogger(name) for name in told]
    before = [logger.level for logger in talkative]
    root.addHandler(handler)
    for logger in talkative:
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)
        for logger, level in zip(talkative, before, strict=True):
            logger.setLevel(level)


SERVER_LOGGING: Final[dict[str, Any]] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": JsonFormatter}},
    "handlers": {
        "stderr": {"formatter": "json", "class": "logging.StreamHandler", "stream": "ext://sys.stderr"}
    },
    "loggers": {
        "_granian": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
        "granian.access": {"handlers": [], "level": "CRITICAL", "propagate": False},
    },
}
"""What the HTTP server is told about its own lines."""
