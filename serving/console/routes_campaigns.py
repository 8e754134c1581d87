"""Whom of a list it pays to contact, and what came of the lists that left."""

from dataclasses import asdict
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from serving.audiences.named import find_audience
from serving.console.numbers_typed import number_typed
from serving.console.pages import PageRoute, page
from serving.console.words import marked
from serving.schemas.plan_request import PlanRequest, campaign_of, read_plan_request
from serving.state.list_exports import ListExport
from serving.web.context import context_of
from serving.web.problems import ProblemError
from serving.web.scopes import caller_of, needs

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_EXPORTS_SHOWN: Final = 50
_CONTACTS_SHOWN: Final = 25
TYPED: Final = ("margin_share", "offer_cost", "contact_cost", "response_share", "budget")
VERDICTS: Final = {
    "more_ordered": marked("more ordered than in the control group"),
    "fewer_ordered": marked("fewer ordered than in the control group"),
    "cannot_tell_yet": marked("cannot tell yet"),
}

UNMEASURED: Final = {
    "only": marked("The control group alone: lists that left it out are compared with it."),
    "include": marked("The control group is in the file too: there is nobody to compare with."),
    "none": marked("Nothing to compare with: it has no control group."),
    "again": marked("Taken before: what comes of it stands where it left first."),
    "none_or_again": marked("Nothing to compare with: no control group, or the list was taken before."),
}
"""Why nothing is said of what came of a list."""


class PlanAsked(BaseModel):
    """What was typed, as text; an empty one is the shop's own setting."""

    model_config = ConfigDict(extra="ignore")

    margin_share: str = Field("", max_length=32)
    offer_cost: str = Field("", max_length=32)
    contact_cost: str = Field("", max_length=32)
    response_share: str = Field("", max_length=32)
    budget: str = Field("", max_length=32)


@router.get("/lists/{slug}/plan", openapi_extra=needs("audiences:read"))
async def show_plan(request: Request, slug: str, asked: Annotated[PlanAsked, Query()]) -> Response:
    """Show how many of a list it pays to contact, and what fewer or more would bring."""
    context = context_of(request)
    run = context.runs.current()
    audience = find_audience(run, slug, context.control_group, context.suppressed.people)
    wanted, mistakes = _wanted(asked)
    campaign, source = campaign_of(wanted, run.meta, context.settings)
    reached, plan = await context.planner.plan(audience, run, campaign)
    return page(
        request,
        "plan.html",
        meta=run.meta,
        slug=slug,
        counts=audience.counts,
        asked=asked,
        mistakes=mistakes,
        campaign=campaign,
        figures=urlencode({name: value for name, value in asdict(campaign).items() if value is not None}),
        margin_source=source,
        reached=reached,
        best=plan.best,
        curve=plan.curve,
        customer_ids=plan.customer_ids[: min(_CONTACTS_SHOWN, plan.best.contact_count)],
    )


@router.get("/exports", openapi_extra=needs("audiences:read"))
async def show_exports(request: Request) -> Response:
    """Show the lists that left, who took them, and what came of each against its control group."""
    context, key = context_of(request), caller_of(request)
    sees_all = key is None or key.grants("admin")
    found = await context.export_book.page(
        before=None,
        limit=_EXPORTS_SHOWN,
        key_id=None if sees_all else key.key_id if key else None,
        with_pages=False,
    )
    run = context.runs.current()
    exports = [
        asdict(export) | {"outcome": export.outcome, "unmeasured": _unmeasured(export)} for export in found
    ]
    return page(
        request,
        "exports.html",
        meta=run.meta,
        exports=exports,
        titles={each.slug: each.title for each in await context.segments.list_all(run)},
        verdicts=VERDICTS,
        unmeasured=UNMEASURED,
    )


def _unmeasured(export: ListExport) -> str:
    """Return why nobody kept what comes of a list, as `UNMEASURED` has it."""
    control = export.request.get("control")
    if control in ("only", "include"):
        return str(control)
    has_none = export.control_group_share == 0.0 or export.control_group_count == 0
    return "none" if has_none else "again" if export.job_id is not None else "none_or_again"


def _wanted(asked: PlanAsked) -> tuple[PlanRequest, list[str]]:
    """Return what was typed as a request, and the names of what was no number or out of its range."""
    mistakes: list[str] = []
    values: dict[str, Any] = {}
    for name in TYPED:
        text = getattr(asked, name)
        value = number_typed(text)
        if value is not None:
            try:
                read_plan_request({name: float(value)})
                values[name] = float(value)
            except (ProblemError, ValueError):
                mistakes.append(name)
    if "response_share" in values:
        # The interval of the settings belongs to their own share: half to half as much again of another.
        share = values["response_share"]
        values |= {"response_low": share / 2, "response_high": min(1.0, 1.5 * share)}
    return read_plan_request(values), mistakes
