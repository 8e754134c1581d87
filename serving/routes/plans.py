"""Whom of a named list it pays to contact, and how many."""

import asyncio
from collections.abc import Iterator
from statistics import median
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from features.campaign import Campaign, Prospect
from features.profit import Plan, Point, break_even_probability, contact_profit, cost_band
from serving.audiences.campaigns import MarginSource, Reached
from serving.audiences.named import Audience, find_audience
from serving.openapi import BODY_PROBLEMS, PROBLEMS, body_of
from serving.schemas.plan_request import PlanRequest, PlanShape, campaign_of, read_plan_request
from serving.web.answers import json_answer
from serving.web.bodies import read_json
from serving.web.context import context_of
from serving.web.scopes import ScopedRoute, needs

router = APIRouter(route_class=ScopedRoute, prefix="/v1/audiences", tags=["audiences"])

_BODY_BYTES_MAX: Final = 10_000
_EXAMPLE: Final = {"margin_share": 0.4, "offer_cost": 5.0, "contact_cost": 0.1, "limit": 10}
_CENT_DIGITS: Final = 2
_SHARE_DIGITS: Final = 6


@router.post(
    "/{slug}/plan",
    responses={200: {"model": PlanShape}, **PROBLEMS, **BODY_PROBLEMS},
    openapi_extra=needs("audiences:read") | body_of(PlanRequest, _EXAMPLE),
)
async def plan_audience(request: Request, slug: str) -> Response:
    """Return whom of a list it pays to contact, and what is expected of contacting fewer or more.

    Nobody is an answer. Consent and the control group are kept as in the list itself.
    """
    asked = read_plan_request(await read_json(request, bytes_max=_BODY_BYTES_MAX))
    context = context_of(request)
    run = context.runs.current()
    audience = find_audience(run, slug, context.control_group, context.suppressed.people)
    campaign, source = campaign_of(asked, run.meta, context.settings)
    reached, plan = await context.planner.plan(audience, run, campaign)
    about = _of_list(audience, reached)
    shown = await asyncio.to_thread(_of_plan, reached, plan, campaign, contact_count=asked.limit)
    return json_answer(about | _of_campaign(campaign, source) | shown)


def _of_list(audience: Audience, reached: Reached) -> dict[str, Any]:
    meta, counts = audience.run.meta, audience.counts
    return {
        "audience": audience.slug,
        "score_run_id": meta.score_run_id,
        "as_of": meta.as_of,
        "currency": meta.currency,
        "clv_basis": meta.clv_basis,
        "churn_horizon_days": meta.churn_horizon_days,
        "member_count": len(reached.prospects),
        "control_group_share": counts.control_group_share,
        "control_group_count": reached.control_group_count,
        "refused_count": counts.refused_count,
        "unknown_consent_count": reached.unknown_consent_count,
        "unscored_count": reached.unscored_count,
    }


def _of_campaign(campaign: Campaign, source: MarginSource) -> dict[str, Any]:
    warnings = ["margin_assumed"] if source == "campaign" else []
    if not campaign.offer_cost and not campaign.contact_cost:
        warnings.append("nothing_costs")
    figures = {name: getattr(campaign, name) for name in Campaign.__dataclass_fields__}
    return {"assumptions": figures | {"margin_source": source}, "warnings": warnings}


def _of_plan(reached: Reached, plan: Plan, campaign: Campaign, *, contact_count: int) -> dict[str, Any]:
    middle = median(each.spend for each in reached.prospects) if reached.prospects else None
    even = None if middle is None else break_even_probability(middle, campaign)
    return {
        "median_spend_if_order": None if middle is None else round(middle, _CENT_DIGITS),
        "break_even_probability": None if even is None else round(even, _SHARE_DIGITS),
        "bands": plan.bands,
        "best": _point(plan.best),
        "curve": [_point(point) for point in plan.curve],
        "contacts": list(_contacts(reached, plan, campaign, count=contact_count)),
    }


def _point(point: Point) -> dict[str, Any]:
    money = ("profit", "profit_low", "profit_high", "hits", "false_alarms", "cost")
    values = point._asdict()
    return values | {name: round(values[name], _CENT_DIGITS) for name in money}


def _contacts(reached: Reached, plan: Plan, campaign: Campaign, *, count: int) -> Iterator[dict[str, Any]]:
    """Yield the first customers of the plan that it takes."""
    wanted = plan.customer_ids[: min(count, plan.best.contact_count)]
    first = set(wanted)
    known: dict[str, Prospect] = {
        each.customer_id: each for each in reached.prospects if each.customer_id in first
    }
    for customer_id in wanted:
        prospect = known[customer_id]
        yield {
            "customer_id": customer_id,
            "churn_probability": prospect.churn_probability,
            "expected_profit": round(contact_profit(prospect, campaign), _CENT_DIGITS),
            "cost_band": cost_band(prospect, campaign),
        }
