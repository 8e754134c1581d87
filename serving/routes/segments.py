"""Segments: presets and saved ones, how many a condition holds, and who they are."""

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request, Response

from features.condition_completion import complete, values_wanted
from serving.audiences.leaving import Drawing, Wanted, segment_of
from serving.audiences.segment_list import SEGMENT
from serving.offers.slot_columns import ITEMS_MAX
from serving.offers.slot_export import item_columns
from serving.openapi import BODY_PROBLEMS, PROBLEMS, body_of
from serving.routes.audiences import ControlWanted, ItemKind
from serving.routes.people_csv import csv_of_people
from serving.schemas.segments import (
    BegunText,
    Completions,
    NewSegment,
    SegmentCount,
    SegmentList,
    SegmentMembers,
    SegmentShape,
    SegmentSummary,
    SegmentText,
    read_body,
)
from serving.segments.desk import Segment, compiled
from serving.segments.words import MEANINGS, SEGMENTS
from serving.store.overlay_run import OverlaidRun
from serving.store.records import SegmentOrder, SegmentPlace
from serving.web.answers import json_answer
from serving.web.bodies import read_json
from serving.web.context import Context, context_of
from serving.web.cursor import refused
from serving.web.problems import FieldError, malformed
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
_MEMBERS: Final = {
    "segment": _SEGMENT["slug"],
    "version": 2,
    "score_run_id": "s_0042",
    "as_of": "2026-11-22",
    "members": [],
    "next_cursor": None,
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


@router.get(
    "/{slug}/members",
    responses=_answers(SegmentMembers, _MEMBERS),
    openapi_extra=needs("audiences:read"),
)
async def list_members(
    request: Request,
    slug: str,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[str | None, Query(max_length=2048)] = None,
    sort: Annotated[
        str | None, Query(max_length=40, description="an attribute, the largest first; -name: the smallest")
    ] = None,
) -> Response:
    """Return a page of a segment's members; a cursor keeps its run, its words and its order.

    There is no control group: whoever acts on people should take `export.csv`, or a list of `/v1/audiences`.
    """
    context = context_of(request)
    run, segment, order, after = await _place(context, slug, cursor, sort)
    condition = compiled(segment.text, run.meta)
    found = await run.list_segment(condition, after=after, limit=limit + 1, order=order)
    places, has_more = found[:limit], len(found) > limit
    following = _written(context, run, segment, order, places[-1]) if has_more else None
    rows = await run.get_scores([place.customer_id for place in places])
    view, gone = context.view(run), context.suppressed.people
    shown = [rows[place.customer_id] for place in places if place.customer_id in rows]
    return json_answer(
        {
            "segment": slug,
            "version": segment.version,
            "score_run_id": run.meta.score_run_id,
            "as_of": run.meta.as_of,
            "members": [view.flat(row) for row in shown if row[0] not in gone],
            "next_cursor": following,
        }
    )


@router.get(
    "/{slug}/export.csv",
    responses={200: {"content": {"text/csv": {}}}, **PROBLEMS},
    openapi_extra=needs("audiences:read"),
)
async def export_csv(
    request: Request,
    slug: str,
    control: ControlWanted = None,
    form: Annotated[Literal["plain", "excel"], Query(alias="format")] = "plain",
    items: Annotated[
        int, Query(ge=0, le=ITEMS_MAX, description="columns for so many items behind the others")
    ] = 0,
    kind: ItemKind = "for_you",
    version: Annotated[int | None, Query(ge=0, le=2**31, description="the newest unless it is said")] = None,
) -> Response:
    """Stream a segment as CSV in the order of the run: consent and the control group as for a list."""
    context = context_of(request)
    run = context.runs.current()
    segment = await context.segments.find(slug, run, version=version)
    drawing = Drawing(context.control_group, context.suppressed.people, context.settings.control)
    wanted = Wanted(f"{SEGMENT}{slug}", control or "exclude", text=segment.text)
    people = await segment_of(run, wanted, drawing)
    asked: dict[str, Any] = {"format": form, "control": people.control, "items": items, "min_clv": None}
    asked |= {"segment": slug, "version": segment.version, "text": segment.text}
    columns = await item_columns(run, context.view(run), count=items, kind=kind)
    name = f"{slug}-{run.meta.as_of.isoformat()}.csv"
    return await csv_of_people(request, people, columns, asked=asked, name=name)


def _written(
    context: Context, run: OverlaidRun, segment: Segment, order: SegmentOrder | None, last: SegmentPlace
) -> str:
    sorting = "" if order is None else order.name if order.is_falling else f"-{order.name}"
    pinned = (segment.slug, segment.version, run.meta.score_run_id, run.through, sorting)
    return context.cursors.sign([*pinned, last.row_number, last.value])


async def _place(
    context: Context, slug: str, cursor: str | None, sort: str | None
) -> tuple[OverlaidRun, Segment, SegmentOrder | None, SegmentPlace | None]:
    """Return the run, the words, the order, and where the page begins; what a cursor says counts."""
    if cursor is None:
        run = context.runs.current()
        return run, await context.segments.find(slug, run), _order(sort), None
    values = context.cursors.unsign(cursor)
    if len(values) != 7 or values[0] != slug:
        raise refused()
    _, version, score_run_id, sequence, sorting, row_number, value = values
    if sort not in (None, sorting):
        raise malformed(FieldError("/query/sort", "cursor", "the cursor's own is another; begin anew"))
    run = await context.runs.pinned(score_run_id, sequence)
    segment = await context.segments.find(slug, run, version=version)
    return run, segment, _order(sorting or None), SegmentPlace(row_number, "", value)


def _order(sort: str | None) -> SegmentOrder | None:
    if sort is None:
        return None
    name = sort.removeprefix("-")
    if name not in SEGMENTS.attributes:
        words = f"sort by one of: {', '.join(SEGMENTS.attributes)}; with - before it the smallest first"
        raise malformed(FieldError("/query/sort", "attribute", words))
    return SegmentOrder(name, is_falling=not sort.startswith("-"))
