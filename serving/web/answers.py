"""Answers from bytes: JSON written by orjson, with the headers of private data and entity tags."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from serving.web.calls import Taken
from serving.web.turns import Turns

JSON = "application/json"
_PRIVATE = "private, max-age=60"


def json_answer(content: Any, *, status: int = 200) -> Response:  # noqa: ANN401 - anything orjson writes
    """Return content as JSON that no cache keeps."""
    body = orjson.dumps(content, option=orjson.OPT_UTC_Z)
    return Response(body, status, {"cache-control": "no-store"}, JSON)


def tag_of(score_run_id: str, *, is_stale: bool = False, is_suppressed: bool = False) -> str:
    """Return the entity tag of all that a run answers: a run never changes, an address is one question.

    Only its scores say when they got stale, and are none any more once somebody is suppressed.
    """
    if is_suppressed:
        return f'"{score_run_id}-suppressed"'
    return f'"{score_run_id}-stale"' if is_stale else f'"{score_run_id}"'


def is_unchanged(request: Request, tag: str) -> bool:
    """Say whether the reader holds this very answer already (`If-None-Match`)."""
    known = request.headers.get("if-none-match")
    return known is not None and any(
        part.strip().removeprefix("W/") in (tag, "*") for part in known.split(",")
    )


def unchanged_answer(tag: str) -> Response:
    """Return 304."""
    return Response(None, 304, {"etag": tag, "cache-control": _PRIVATE})


def private_answer(content: Any, tag: str) -> Response:  # noqa: ANN401 - anything orjson writes
    """Return content as JSON for one reader, with its tag."""
    return Response(
        orjson.dumps(content, option=orjson.OPT_UTC_Z), 200, {"etag": tag, "cache-control": _PRIVATE}, JSON
    )


def csv_answer(
    request: Request, parts: AsyncIterator[tuple[int, bytes]], taken: Taken, name: str, *, turns: Turns
) -> Response:
    """Return a CSV file that streams, taking turns with others, and that no cache keeps.

    `parts` are (how many people, their lines); what was taken stands in the log of requests.
    """
    request.scope["taken"] = taken
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    chunks = turns.share(_counted(parts, taken))
    return StreamingResponse(chunks, 200, headers, "text/csv; charset=utf-8")


async def _counted(parts: AsyncIterator[tuple[int, bytes]], taken: Taken) -> AsyncIterator[bytes]:
    taken.is_whole = False
    async for count, lines in parts:
        taken.row_count += count
        yield lines
    taken.is_whole = True
