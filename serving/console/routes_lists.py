"""The named lists: their pages, in the list's own order or sorted, whole or narrowed by a condition."""

from typing import Annotated, Any, Final, NamedTuple

from fastapi import APIRouter, Query, Request, Response

from features.condition_text import FilterError
from features.item_filter import TEXT_LENGTH_MAX
from serving.audiences.named import find_audience
from serving.console.lines import customer_line
from serving.console.mistake_words import say_mistake
from serving.console.pages import PageRoute, page
from serving.console.tongues import tongue_of
from serving.console.words import marked
from serving.segments.words import compile_segment
from serving.store.errors import RunGoneError
from serving.store.overlay_run import OverlaidRun
from serving.store.records import SegmentOrder, SegmentPlace, StoredRow
from serving.web.context import Context, context_of
from serving.web.cursor import Cursor, refused
from serving.web.scopes import needs

router = APIRouter(route_class=PageRoute, include_in_schema=False)

PAGE_ROWS: Final = 25
SORTS: Final = {
    "value_at_risk": marked("Value at risk"),
    "churn_probability": marked("Churn risk"),
    "predicted_clv": marked("Expected spend"),
    "historic_clv": marked("So far"),
    "last_order_at": marked("Last order"),
}
"""What a list can be sorted by instead of its own order, the largest first."""
Where = Annotated[str, Query(max_length=TEXT_LENGTH_MAX)]


class _Shown(NamedTuple):
    """A page: its rows, where it lies, the cursor to the next; `size` of a list that was narrowed."""

    rows: list[StoredRow]
    next_cursor: str | None
    is_first: bool
    first: int
    last: int
    size: int | None = None


@router.get("/lists", openapi_extra=needs("audiences:read"))
async def show_lists(request: Request) -> Response:
    """Show the named lists with their sizes and rules."""
    run = context_of(request).runs.current()
    return page(request, "lists.html", meta=run.meta)


@router.get("/lists/{slug}", openapi_extra=needs("audiences:read"))
async def show_list(
    request: Request,
    slug: str,
    cursor: Annotated[str | None, Query(max_length=4096)] = None,
    where: Where = "",
    sort: Annotated[str, Query(max_length=40)] = "",
) -> Response:
    """Show the members of a list, a page at a time, those of its control group marked."""
    context = context_of(request)
    run = context.runs.current()
    counts = find_audience(run, slug, context.control_group, context.suppressed.people).counts
    sort, mistake = sort if sort in SORTS else "", None
    try:
        if where.strip() or sort:
            run, shown = await _narrowed(context, slug, cursor, where=where.strip(), sort=sort)
        else:
            run, shown = await _whole(context, slug, cursor)
    except FilterError as error:
        mistake = say_mistake(tongue_of(request), error)
        run, shown = await _whole(context, slug, None)
    return page(
        request,
        "list.html",
        meta=run.meta,
        slug=slug,
        counts=counts,
        where=where,
        sort=sort,
        sorts=SORTS,
        mistake=mistake,
        shown=shown,
        customers=await _customers(request, run, slug, shown.rows),
    )


async def _whole(context: Context, slug: str, cursor: str | None) -> tuple[OverlaidRun, _Shown]:
    """Return a page in the list's own order; one of a run that is gone begins anew."""
    try:
        run, place = await _pinned(context, slug, cursor)
    except RunGoneError:
        run, place = await _pinned(context, slug, None)
    members = await run.list_members(slug, after=place.position, limit=PAGE_ROWS + 1)
    shown, following = members[:PAGE_ROWS], None
    if len(members) > PAGE_ROWS:
        following = context.cursors.write(place._replace(position=shown[-1].position))
    first, last = (shown[0].position, shown[-1].position) if shown else (0, 0)
    rows = [member.row for member in shown]
    return run, _Shown(rows, following, place.position == 0, first, last)


async def _pinned(context: Context, slug: str, cursor: str | None) -> tuple[OverlaidRun, Cursor]:
    if cursor is None:
        run = context.runs.current()
        place = Cursor(slug, run.meta.score_run_id, 0, None, overlay_sequence=run.through)
    else:
        place = context.cursors.read(cursor, audience=slug)
    return await context.runs.pinned(place.score_run_id, place.overlay_sequence), place


async def _narrowed(
    context: Context, slug: str, cursor: str | None, *, where: str, sort: str
) -> tuple[OverlaidRun, _Shown]:
    """Return a page of those who pass a condition beside the list's rule, sorted; raises `FilterError`."""
    run, after, before_count = context.runs.current(), None, 0
    if cursor is not None:
        run, after, before_count = await _place(context, slug, cursor)
    rule = run.meta.audiences[slug].rule
    text = f"({rule}) and email_consent != false" + (f" and ({where})" if where else "")
    compile_segment(where or rule, run.meta)  # alone first: its mistakes lie in what was typed
    condition = compile_segment(text, run.meta)
    order = SegmentOrder(sort or "value_at_risk")
    found = await run.list_segment(condition, after=after, limit=PAGE_ROWS + 1, order=order)
    places, following = found[:PAGE_ROWS], None
    if len(found) > PAGE_ROWS:
        last = places[-1]
        pinned = (slug, run.meta.score_run_id, run.through)
        following = context.cursors.sign([*pinned, last.row_number, last.value, before_count + len(places)])
    rows = await run.get_scores([place.customer_id for place in places])
    shown = [rows[place.customer_id] for place in places if place.customer_id in rows]
    size = await run.count_segment(condition)
    first, last_shown = before_count + min(1, len(places)), before_count + len(places)
    return run, _Shown(shown, following, after is None, first, last_shown, size)


async def _place(context: Context, slug: str, cursor: str) -> tuple[OverlaidRun, SegmentPlace | None, int]:
    """Return the run of a cursor, the place that it stands at, and how many stand up to there."""
    values = context.cursors.unsign(cursor)
    if len(values) != 6 or values[0] != slug:
        raise refused()
    _, score_run_id, sequence, row_number, value, before_count = values
    try:
        run = await context.runs.pinned(score_run_id, sequence)
    except RunGoneError:
        return context.runs.current(), None, 0
    return run, SegmentPlace(row_number, "", value), before_count


async def _customers(
    request: Request, run: OverlaidRun, slug: str, rows: list[StoredRow]
) -> list[dict[str, Any]]:
    context = context_of(request)
    view = context.view(run, tongue_of(request).code)
    flats = [view.flat(row) for row in rows if row[0] not in context.suppressed.people]
    tops = await run.list_top_products([flat["customer_id"] for flat in flats])
    share = run.meta.audiences[slug].control_group_share
    lines = []
    for flat in flats:
        customer_id = flat["customer_id"]
        offer, held = tops.get(customer_id), context.control_group.holds(slug, customer_id, share=share)
        named = {"offer": (offer.name or offer.product_id) if offer else None, "in_control": held}
        lines.append(customer_line(flat) | named)
    return lines
