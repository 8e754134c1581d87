"""The marketer's page: who is at risk, why, and what the scores are worth. Plain HTML, no script."""

from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from features.basis import basis_words
from serving import console
from serving.audiences import AT_RISK
from serving.context import Context, context_of
from serving.cursor import Cursor
from serving.problems import ProblemError
from serving.scopes import ScopedRoute, needs
from serving.store import AudienceCounts, RunGoneError, ScoreRun

router = APIRouter(route_class=ScopedRoute, include_in_schema=False)

PAGE_ROWS: Final = 25
_HEADERS: Final = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src 'self' data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
}
_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters.update(console.FILTERS, basis_words=basis_words)


@router.get("/", openapi_extra=needs("audiences:read"))
async def show_console(
    request: Request, cursor: Annotated[str | None, Query(max_length=2048)] = None
) -> Response:
    """Show the customers at risk, a page at a time."""
    context = context_of(request)
    try:
        run, place = await _place(context, cursor)
    except RunGoneError:
        run, place = await _place(context, None)
    except ProblemError as problem:
        if problem.status != 503:
            raise
        return _page("empty.html", {}, status=503)
    members = await run.list_members(AT_RISK, after=place.position, limit=PAGE_ROWS + 1)
    people = context.suppressed.people
    shown = [member for member in members[:PAGE_ROWS] if member.row[0] not in people]
    view = context.view(run)
    flats = [view.flat(member.row) for member in shown]
    tops = await run.list_top_products([flat["customer_id"] for flat in flats])
    following = None
    if len(members) > PAGE_ROWS:
        following = context.cursors.write(place._replace(position=members[PAGE_ROWS - 1].position))
    values = {
        "meta": run.meta,
        "slug": AT_RISK,
        "counts": run.meta.audiences.get(AT_RISK, AudienceCounts(member_count=0)),
        "customers": [console.customer_line(flat, tops.get(flat["customer_id"])) for flat in flats],
        "first_position": shown[0].position if shown else 0,
        "last_position": shown[-1].position if shown else 0,
        "is_first_page": place.position == 0,
        "next_cursor": following,
        "models": console.model_lines(run.meta),
    }
    return _page("console.html", values)


async def _place(context: Context, cursor: str | None) -> tuple[ScoreRun, Cursor]:
    if cursor is None:
        run = context.runs.current()
        place = Cursor(AT_RISK, run.meta.score_run_id, 0, None, overlay_sequence=run.through)
    else:
        place = context.cursors.read(cursor, audience=AT_RISK)
    return await context.runs.pinned(place.score_run_id, place.overlay_sequence), place


def _page(template: str, values: dict[str, object], *, status: int = 200) -> Response:
    html = _TEMPLATES.get_template(template).render(values)
    return Response(html, status, _HEADERS, "text/html; charset=utf-8")
