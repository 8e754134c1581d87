"""Bodies of requests: JSON, no larger than a call allows, and not slower than a deadline."""

import asyncio
from typing import Any, Final

import orjson
from fastapi import Request
from starlette.requests import ClientDisconnect

from serving.web.problems import FieldError, ProblemError, malformed

DEADLINE_SECONDS: Final = 10.0
_JSON: Final = "application/json"


async def read_json(request: Request, *, bytes_max: int, deadline_seconds: float = DEADLINE_SECONDS) -> Any:  # noqa: ANN401 - any JSON
    """Return a request's body as orjson reads it: strict UTF-8, no NaN, no lone surrogate.

    Raises a problem: 413 for more than `bytes_max` (at once where the length is declared), 415 for another or
    a packed format, 408 after the deadline, 422 for what is no JSON.
    """
    kind = request.headers.get("content-type", _JSON).partition(";")[0].strip().lower()
    if kind != _JSON:
        raise ProblemError(415, "unsupported-format", f"Send the body as {_JSON}, not compressed.")
    body = await read_bytes(request, bytes_max=bytes_max, deadline_seconds=deadline_seconds)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise malformed(FieldError("/body", "json", "the body is no JSON document in UTF-8")) from None


async def read_bytes(
    request: Request, *, bytes_max: int, deadline_seconds: float = DEADLINE_SECONDS
) -> bytes:
    """Return a request's body as it came; raises the same problems but that of JSON."""
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise ProblemError(415, "unsupported-format", f"Send the body as {_JSON}, not compressed.")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > 18 or int(declared) > bytes_max):
        raise _too_large(bytes_max)
    body = bytearray()
    try:
        async with asyncio.timeout(deadline_seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > bytes_max:
                    raise _too_large(bytes_max)
    except TimeoutError:
        raise ProblemError(
            408, "slow-body", f"The body did not come within {deadline_seconds:g} s."
        ) from None
    except ClientDisconnect:
        raise ProblemError(400, "no-body", "The connection ended before the body did.") from None
    return bytes(body)


def _too_large(bytes_max: int) -> ProblemError:
    return ProblemError(413, "too-large", f"A body has at most {bytes_max:,} bytes here.")
