"""Segments: presets and saved ones, how many a condition holds, and who they are."""

from typing import Any, Final

from fastapi import APIRouter, Request, Response

from features.condition_completion import complete, values_wanted
from serving.openapi import BODY_PROBLEMS, PROBLEMS, body_of
from serving.schemas.segments import (
    BegunText,
    Completions,
    NewSegment,
    SegmentCount,
    SegmentList,
    SegmentShape,
    SegmentSummary,
    SegmentText,
    read_body,
)
from serving.segments.desk import compiled
from serving.segments.words import MEANINGS, SEGMENTS
from serving.web.answers import json_answer
from serving.web.bodies import read_json
from serving.web.context import context_of
from serving.web.scopes import ScopedRoute, caller_of, needs

router = APIRouter(route_class=ScopedRoute, prefix="/v1/segments", tags=["segments"])

BODY_BYTES_MAX: Final = 10_000
_SEGMENT: Final = {
    "slug": "likely-to-leave",
    "title": "Likely to leave, worth keeping",
    "text": SEGMENTS.example,
    "kind": "saved",
    "version": 2,
    "created_at": "2026-11-02T09:00:00Z",
    "changed_at": "2026-11-20T09:00:00Z",
}
_SIZE: Final = {
    "score_run_id": "s_0042",
    "as_of": "2026-11-22",
    "version": 2,
    "customer_count": 24_310,
    "member_count": 812,
    "joined_count": 41,
    "left_count": 29,
}
_VERSIONS: Final = [
    {
        "version": version,
        "title": _SEGMENT["title"],
        "text": text,
        "created_at": _SEGMENT["changed_at" if version == 2 else "created_at"],
    }
    for version, text in ((2, SEGMENTS.example), (1, "churn_probability_90 > 0.6"))
]
_COUNT: Final = {
    "member_count": 812,
    "customer_count": 24_310,
    "share": 0.0334,
    "as_of": "2026-11-22",
    "score_run_id": "s_0042",
}

_COMPLETION: Final = {
    "offset": 11,
    "length": 9,
    "text": "churn_probability",
    "kind": "attribute",
    "meaning": MEANINGS["churn_probability"],
}


def _answers(model: type, example: object) -> dict[int | str, dict[str, Any]]:
    return {200: {"model": model, "content": {"application/json": {"example": example}}}, **PROBLEMS}


@router.get(
    "",
    responses=_answers(SegmentList, {"segments": [_SEGMENT]}),
    openapi_extra=needs("audiences:read"),
)
async def list_segments(request: Request) -> Response:
    """Return the presets as they are for this shop, and the segments that were saved."""
    context = context_of(request)
    found = await context.segments.list_all(context.runs.current())
    return json_answer({"segments": [each._asdict() for each in found]})


@router.post(
    "",
    responses=_answers(SegmentSummary, _SEGMENT) | BODY_PROBLEMS,
    openapi_extra=needs("segments:write")
    | body_of(NewSegment, {name: _SEGMENT[name] for name in ("slug", "title", "text")}),
)
async def post_segment(request: Request) -> Response:
    """Save a segment; one of the same name gets its next version, and the earlier ones stay."""
    wanted = read_body(NewSegment, await read_json(request, bytes_max=BODY_BYTES_MAX))
    context, key = context_of(request), caller_of(request)
    compiled(wanted.text, context.runs.current().meta)
    key_id = key.key_id if key else ""
    saved = await context.segments.save(wanted.slug, wanted.title, wanted.text, key_id=key_id)
    return json_answer(saved._asdict())


@router.post(
    "/count",
    responses=_answers(SegmentCount, _COUNT) | BODY_PROBLEMS,
    openapi_extra=needs("audiences:read") | body_of(SegmentText, {"text": SEGMENTS.example}),
)
async def count_segment(request: Request) -> Response:
    """Return how many customers of the live run pass a condition; a mistake in it is told with its place."""
    wanted = read_body(SegmentText, await read_json(request, bytes_max=BODY_BYTES_MAX))
    run = context_of(request).runs.current()
    count = await run.count_segment(compiled(wanted.text, run.meta))
    total = run.meta.customer_count
    return json_answer(
        {
            "member_count": count,
            "customer_count": total,
            "share": round(count / total, 4) if total else None,
            "as_of": run.meta.as_of,
            "score_run_id": run.meta.score_run_id,
        }
    )


@router.post(
    "/complete",
    responses=_answers(Completions, {"completions": [_COMPLETION]}) | BODY_PROBLEMS,
    openapi_extra=needs("audiences:read")
    | body_of(BegunText, {"text": "lapsed and churn_pro", "cursor": 20}),
)
async def complete_segment(request: Request) -> Response:
    """Return what may be written at a cursor: names, functions, words, and the shop's own values of texts."""
    wanted = read_body(BegunText, await read_json(request, bytes_max=BODY_BYTES_MAX))
    run = context_of(request).runs.current()
    name = values_wanted(wanted.text, wanted.cursor, SEGMENTS)
    values = {} if name is None else {name: await run.list_values(name)}
    found = complete(wanted.text, wanted.cursor, SEGMENTS, values=values, meanings=MEANINGS)
    return json_answer({"completions": [each._asdict() for each in found]})


@router.get(
    "/{slug}",
    responses=_answers(SegmentShape, {**_SEGMENT, "versions": _VERSIONS, "sizes": [_SIZE]}),
    openapi_extra=needs("audiences:read"),
)
async def get_segment(request: Request, slug: str) -> Response:
    """Return a segment with its versions, and with its sizes at the runs since it was saved."""
    context = context_of(request)
    found = await context.segments.find(slug, context.runs.current())
    return json_answer({**found._asdict(), **await context.segments.history(found)})
