"""Named lists: what there is, pages by cursor, and a CSV that streams."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from serving.audiences.control_group import Control
from serving.audiences.leaving import LeavingPeople, PlannedList
from serving.audiences.named import Audience, Listed, find_audience
from serving.exports.book import Chain, leaving_people
from serving.offers.slot_export import item_columns
from serving.openapi import PROBLEMS
from serving.present import RunView
from serving.routes.people_csv import FormWanted, csv_of_people
from serving.routes.plan_query import PlanWanted
from serving.schemas.lists import Audiences, Members
from serving.schemas.plan_request import CampaignRequest, campaign_of
from serving.state.list_exports import PAGES
from serving.web.answers import json_answer
from serving.web.context import Context, context_of
from serving.web.cursor import Cursor
from serving.web.problems import FieldError, malformed
from serving.web.scopes import ScopedRoute, caller_of, needs

router = APIRouter(route_class=ScopedRoute, prefix="/v1/audiences", tags=["audiences"])

ClvMin = Annotated[
    float | None,
    Query(alias="min_clv", allow_inf_nan=False, description="only members with this predicted_clv"),
]
ControlWanted = Annotated[
    Control | None,
    Query(description="the control group: left out (exclude), marked (include), alone (only)"),
]


@router.get("", responses={200: {"model": Audiences}, **PROBLEMS}, openapi_extra=needs("audiences:read"))
async def list_audiences(request: Request) -> Response:
    """Return the named lists with their size."""
    meta = context_of(request).runs.current().meta
    summaries = [
        {
            "slug": slug,
            "title": counts.title or slug,
            "as_of": meta.as_of,
            "score_run_id": meta.score_run_id,
            **counts.model_dump(exclude={"title"}),
        }
        for slug, counts in meta.audiences.items()
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
    control: ControlWanted = None,
) -> Response:
    """Return a page in the list's order; a cursor keeps its run and its filter while newer runs go live.

    Without `control` the control group is left out: whoever acts on the answer leaves those people alone.
    """
    context = context_of(request)
    audience, place = await _place(context, slug, cursor, clv_min, control)
    found = await audience.page(after=place.position, limit=limit + 1)
    shown, has_more = found[:limit], len(found) > limit
    place = await _noted(request, audience, place, row_count=len(shown), has_more=has_more)
    following = context.cursors.write(place._replace(position=shown[-1].position)) if has_more else None
    view, meta = context.view(audience.run), audience.run.meta
    return json_answer(
        {
            "audience": slug,
            "score_run_id": meta.score_run_id,
            "as_of": meta.as_of,
            "control_group_share": audience.counts.control_group_share,
            "members": [_flat(view, member) for member in shown],
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
    plan: PlanWanted,
    form: FormWanted,
    clv_min: ClvMin = None,
    control: ControlWanted = None,
) -> Response:
    """Stream the list as CSV in its order, or whom a plan says to contact in the plan's order.

    `format=excel` is for opening it in a spreadsheet.
    """
    context = context_of(request)
    run = context.runs.current()
    audience = find_audience(
        run,
        slug,
        context.control_group,
        context.suppressed.people,
        control=control or "exclude",
        clv_min=clv_min,
    )
    people, asked = await _planned(context, audience, plan)
    asked |= {
        **form.told,
        "control": audience.control,
        "min_clv": clv_min,
    }
    columns = await item_columns(run, context.view(run, form.language), count=form.items, kind=form.kind)
    name = f"{slug}-{'plan-' if plan else ''}{run.meta.as_of.isoformat()}.csv"
    return await csv_of_people(request, people, columns, asked=asked, name=name)


async def _planned(
    context: Context, audience: Audience, plan: CampaignRequest | None
) -> tuple[LeavingPeople, dict[str, Any]]:
    """Return whom a plan of the list contacts, and what is written down of it; without one the list."""
    if plan is None:
        return audience, {}
    if audience.clv_min is not None:
        raise malformed(FieldError("/query/min_clv", "contradiction", "a plan says who by itself"))
    run = context.runs.current()
    campaign, _ = campaign_of(plan, run.meta, context.settings, place="/query")
    # What was laid over the run by now has a say in the cut: who was within it is found by that later.
    through = run.through
    people = PlannedList(audience, await context.planner.cut(audience, run, campaign))
    return people, {"plan": asdict(campaign), "overlay_sequence": through}


async def _noted(
    request: Request, audience: Audience, place: Cursor, *, row_count: int, has_more: bool
) -> Cursor:
    """Write down that a page leaves, as one list with the pages before; return its place with that."""
    key = caller_of(request)
    asked = {"format": PAGES, "control": place.control, "min_clv": place.clv_min}
    leaving = leaving_people(audience, key_id=key.key_id if key else "", request=asked)
    book, chain = context_of(request).export_book, Chain.of(place.chain)
    return place._replace(chain=await book.turn_page(leaving, chain, row_count=row_count, has_more=has_more))


async def _place(
    context: Context, slug: str, text: str | None, clv_min: float | None, control: Control | None
) -> tuple[Audience, Cursor]:
    """Return the list and where the page begins; what a cursor says counts, and may not be contradicted."""
    if text is None:
        run = context.runs.current()
        place = Cursor(slug, run.meta.score_run_id, 0, clv_min, control or "exclude", run.through)
    else:
        place = context.cursors.read(text, audience=slug)
        for name, given, kept in (("min_clv", clv_min, place.clv_min), ("control", control, place.control)):
            if given not in (None, kept):
                raise malformed(
                    FieldError(f"/query/{name}", "cursor", "the cursor's own is another; begin anew")
                )
    run = await context.runs.pinned(place.score_run_id, place.overlay_sequence)
    audience = find_audience(
        run,
        slug,
        context.control_group,
        context.suppressed.people,
        control=place.control,
        clv_min=place.clv_min,
    )
    return audience, place


def _flat(view: RunView, member: Listed) -> dict[str, Any]:
    return {**view.flat(member.row), "control_group": member.control_group}
