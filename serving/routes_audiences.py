"""Named lists: what there is, pages by cursor, and a CSV that streams."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from serving.answers import csv_answer, json_answer
from serving.audiences import AUDIENCES
from serving.context import context_of
from serving.csv_export import stream_csv
from serving.cursor import Cursor
from serving.openapi import PROBLEMS
from serving.problems import FieldError, ProblemError, malformed
from serving.schemas import Audiences, Members
from serving.scopes import ScopedRoute, needs
from serving.slot_columns import ITEMS_MAX
from serving.slot_export import item_columns

router = APIRouter(route_class=ScopedRoute, prefix="/v1/audiences", tags=["audiences"])

ClvMin = Annotated[
    float | None,
    Query(alias="min_clv", allow_inf_nan=False, description="only members with this predicted_clv"),
]


@router.get("", responses={200: {"model": Audiences}, **PROBLEMS}, openapi_extra=needs("audiences:read"))
async def list_audiences(request: Request) -> Response:
    """Return the named lists with their size."""
    meta = context_of(request).runs.current().meta
    summaries = [
        {
            "slug": audience.slug,
            "title": audience.title,
            "rule": audience.rule,
            "as_of": meta.as_of,
            "score_run_id": meta.score_run_id,
            **meta.audiences[slug].model_dump(),
        }
        for slug, audience in AUDIENCES.items()
        if slug in meta.audiences
    ]
    return json_answer({"audiences": summaries})


@router.get(
    "/{slug}/members", responses={200: {"model": Members}, **PROBLEMS}, openapi_extra=needs("audiences:read")
)
async def list_members(
    request: Request,
    slug: str,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[str | None, Query(max_length=2048)] = None,
    clv_min: ClvMin = None,
) -> Response:
    """Return a page in the list's order; a cursor keeps its run and its filter while newer runs go live."""
    _check_slug(slug)
    context = context_of(request)
    if cursor is None:
        run = context.runs.current()
        place = Cursor(slug, run.meta.score_run_id, 0, clv_min)
    else:
        place = context.cursors.read(cursor, audience=slug)
        if clv_min not in (None, place.clv_min):
            raise malformed(FieldError("/query/min_clv", "cursor", "the cursor's own is another; begin anew"))
        run = context.runs.pinned(place.score_run_id)
    members = await run.list_members(slug, after=place.position, limit=limit + 1, clv_min=place.clv_min)
    shown, has_more = members[:limit], len(members) > limit
    following = context.cursors.write(place._replace(position=shown[-1].position)) if has_more else None
    view = context.view(run)
    return json_answer(
        {
            "audience": slug,
            "score_run_id": run.meta.score_run_id,
            "as_of": run.meta.as_of,
            "members": [view.flat(member.row) for member in shown],
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
    clv_min: ClvMin = None,
    form: Annotated[Literal["plain", "excel"], Query(alias="format")] = "plain",
    items: Annotated[
        int, Query(ge=0, le=ITEMS_MAX, description="columns for so many items of for_you behind the others")
    ] = 0,
) -> Response:
    """Stream the whole list as CSV in its order; `format=excel` for opening it in a spreadsheet."""
    _check_slug(slug)
    context = context_of(request)
    run = context.runs.current()
    view = context.view(run)
    columns = await item_columns(run, view, count=items)
    chunks = stream_csv(run, view, audience=slug, clv_min=clv_min, excel=form == "excel", items=columns)
    return csv_answer(chunks, f"{slug}-{run.meta.as_of.isoformat()}.csv")


def _check_slug(slug: str) -> None:
    if slug not in AUDIENCES:
        raise ProblemError(
            404, "unknown-audience", "There is no such list; see /v1/audiences.", title="Unknown list"
        )
