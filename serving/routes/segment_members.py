"""Who is in a segment: a page at a time, or all of it as a file that leaves as a list does."""

from typing import Annotated, Any, Final, NamedTuple

from fastapi import APIRouter, Query, Request, Response

from serving.audiences.leaving import Drawing, Wanted, segment_of
from serving.audiences.segment_list import SEGMENT
from serving.exports.book import Chain, leaving_rows
from serving.offers.slot_export import item_columns
from serving.openapi import PROBLEMS
from serving.routes.audiences import ControlWanted
from serving.routes.people_csv import FormWanted, csv_of_people
from serving.schemas.segments import SegmentMembers
from serving.segments.desk import Segment, compiled
from serving.segments.words import SEGMENTS
from serving.state.list_exports import PAGES
from serving.store.overlay_run import OverlaidRun
from serving.store.records import SegmentOrder, SegmentPlace
from serving.web.answers import json_answer
from serving.web.context import Context, context_of
from serving.web.cursor import refused
from serving.web.problems import FieldError, malformed
from serving.web.scopes import ScopedRoute, caller_of, needs

router = APIRouter(route_class=ScopedRoute, prefix="/v1/segments", tags=["segments"])

_CURSOR_LENGTHS: Final = (7, 10)
"""Those of earlier releases say nothing of the pages before."""
_MEMBERS: Final = {
    "segment": "likely-to-leave",
    "version": 2,
    "score_run_id": "s_0042",
    "as_of": "2026-11-22",
    "members": [],
    "next_cursor": None,
}


@router.get(
    "/{slug}/members",
    responses={
        200: {"model": SegmentMembers, "content": {"application/json": {"example": _MEMBERS}}},
        **PROBLEMS,
    },
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
    place = await _place(context, slug, cursor, sort)
    run, segment, order, after, _ = place
    condition = compiled(segment.text, run.meta)
    found = await run.list_segment(condition, after=after, limit=limit + 1, order=order)
    places, has_more = found[:limit], len(found) > limit
    rows = await run.get_scores([place.customer_id for place in places])
    view, gone = context.view(run), context.suppressed.people
    shown = [rows[place.customer_id] for place in places if place.customer_id in rows]
    shown = [row for row in shown if row[0] not in gone]
    chain = await _noted(request, place, row_count=len(shown), has_more=has_more)
    following = _written(context, place, places[-1], chain) if has_more else None
    return json_answer(
        {
            "segment": slug,
            "version": segment.version,
            "score_run_id": run.meta.score_run_id,
            "as_of": run.meta.as_of,
            "members": [view.flat(row) for row in shown],
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
    form: FormWanted,
    control: ControlWanted = None,
    version: Annotated[int | None, Query(ge=0, le=2**31, description="the newest unless it is said")] = None,
) -> Response:
    """Stream a segment as CSV in the order of the run: consent and the control group as for a list."""
    context = context_of(request)
    run = context.runs.current()
    segment = await context.segments.find(slug, run, version=version)
    drawing = Drawing(context.control_group, context.suppressed.people, context.settings.control)
    wanted = Wanted(f"{SEGMENT}{slug}", control or "exclude", text=segment.text)
    people = await segment_of(run, wanted, drawing)
    asked: dict[str, Any] = {
        **form.told,
        "control": people.control,
        "min_clv": None,
    }
    asked |= {"segment": slug, "version": segment.version, "text": segment.text}
    columns = await item_columns(run, context.view(run, form.language), count=form.items, kind=form.kind)
    name = f"{slug}-{run.meta.as_of.isoformat()}.csv"
    return await csv_of_people(request, people, columns, asked=asked, name=name)


async def _noted(request: Request, place: "_Place", *, row_count: int, has_more: bool) -> Chain:
    """Write down that a page leaves, as one list with the pages before."""
    run, segment, order, _, chain = place
    key = caller_of(request)
    leaving = leaving_rows(
        run.meta,
        f"{SEGMENT}{segment.slug}",
        key_id=key.key_id if key else "",
        request={
            "format": PAGES,
            "control": "include",
            "segment": segment.slug,
            "version": segment.version,
            "text": segment.text,
            "sort": _sorting(order),
        },
    )
    return await context_of(request).export_book.turn_page(
        leaving, chain, row_count=row_count, has_more=has_more
    )


def _written(context: Context, place: "_Place", last: SegmentPlace, chain: Chain) -> str:
    run, segment, order, _, _ = place
    pinned = (segment.slug, segment.version, run.meta.score_run_id, run.through, _sorting(order))
    return context.cursors.sign([*pinned, last.row_number, last.value, *chain])


class _Place(NamedTuple):
    """Where a page of members begins: the run, the words, the order, the place and the pages before."""

    run: OverlaidRun
    segment: Segment
    order: SegmentOrder | None
    after: SegmentPlace | None
    chain: Chain


async def _place(context: Context, slug: str, cursor: str | None, sort: str | None) -> _Place:
    """Return where the page begins; what a cursor says counts."""
    if cursor is None:
        run = context.runs.current()
        return _Place(run, await context.segments.find(slug, run), _order(sort), None, Chain())
    values = context.cursors.unsign(cursor)
    # A list may have the same name, and its cursor the same length.
    if len(values) not in _CURSOR_LENGTHS or values[0] != slug or not isinstance(values[1], int):
        raise refused()
    _, version, score_run_id, sequence, sorting, row_number, value, *chain = values
    if sort not in (None, sorting):
        raise malformed(FieldError("/query/sort", "cursor", "the cursor's own is another; begin anew"))
    run = await context.runs.pinned(score_run_id, sequence)
    segment = await context.segments.find(slug, run, version=version)
    after = SegmentPlace(row_number, "", value)
    return _Place(run, segment, _order(sorting or None), after, Chain.of(chain))


def _sorting(order: SegmentOrder | None) -> str:
    return "" if order is None else order.name if order.is_falling else f"-{order.name}"


def _order(sort: str | None) -> SegmentOrder | None:
    if sort is None:
        return None
    name = sort.removeprefix("-")
    if name not in SEGMENTS.attributes:
        words = f"sort by one of: {', '.join(SEGMENTS.attributes)}; with - before it the smallest first"
        raise malformed(FieldError("/query/sort", "attribute", words))
    return SegmentOrder(name, is_falling=not sort.startswith("-"))
