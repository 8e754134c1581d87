"""Pages for every reader of a shop's scores: overview, lists, one customer, the models' scorecard."""

from datetime import datetime
from typing import Annotated, Any, Final
from urllib.parse import quote
from zoneinfo import ZoneInfo

import orjson
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from features.winback import FULLY_CHURNED_DEFAULT, Span, WinbackSchedule, winback_schedule
from serving.audiences.named import AT_RISK
from serving.console.calculator import CalculatorAsked, calculate, channel_economics
from serving.console.figures import Figures
from serving.console.formula_words import bridges
from serving.console.lines import customer_line
from serving.console.models import model_lines
from serving.console.pages import NEXT_LENGTH_MAX, PageRoute, page
from serving.console.tongues import COOKIE, LOCALES, tongue_of
from serving.offers.slot_choice import choose_lists
from serving.present import item_numbers
from serving.segments.profile import EVERYBODY, read_size
from serving.store.contract import ScoreRun
from serving.store.records import AudienceCounts
from serving.web.context import context_of
from serving.web.ids import id_in_path, read_id
from serving.web.problems import FieldError, malformed
from serving.web.scopes import needs

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_OVERVIEW_ROWS: Final = 5
_PLACES: Final = 6
_ACTIVE_STAGES: Final = frozenset({"new", "onboarding", "active", "loyal", "won_back"})
_YEAR_SECONDS: Final = 31_536_000
"""The picked language is kept for a year."""


@router.get("/", openapi_extra=needs("audiences:read"))
async def show_overview(request: Request) -> Response:
    """Show the health of the base: who is at risk and what that puts at stake, lists, models, freshness."""
    context = context_of(request)
    run = context.runs.current()
    view = context.view(run, tongue_of(request).code)
    members = await run.list_members(AT_RISK, limit=_OVERVIEW_ROWS)
    week = await _document(run, "week")
    people = context.suppressed.people
    customers = [view.flat(member.row) for member in members if member.row[0] not in people]
    return page(
        request,
        "overview.html",
        meta=run.meta,
        week=week,
        base=await _document(run, "base") or [],
        size=await read_size(run, EVERYBODY),
        is_stale=view.is_stale,
        counts=run.meta.audiences.get(AT_RISK, AudienceCounts(member_count=0)),
        customers=[customer_line(flat) for flat in customers],
        models=model_lines(run.meta, Figures(tongue_of(request).locale)),
    )


@router.get("/customers", openapi_extra=needs("audiences:read"))
async def find_customer(request: Request, customer_id: Annotated[str, Query(alias="id")] = "") -> Response:
    """Lead from an id to its page."""
    if not customer_id.strip():
        return page(request, "customer_search.html", is_unknown=False)
    exact = read_id(quote(customer_id.strip(), safe="").encode(), pointer="/query/id")
    return RedirectResponse(f"/customers/{quote(exact, safe='')}", status_code=303)


@router.get("/customers/{customer_id:customer_id}", openapi_extra=needs("audiences:read"))
async def show_customer(request: Request, customer_id: str) -> Response:
    """Show one customer: scores, reasons, lists with their reasons."""
    del customer_id  # decoded loosely by the router; the raw path has it byte for byte
    exact = id_in_path(request.scope["raw_path"], before=b"/customers/", after=b"")
    context = context_of(request)
    run = context.runs.current()
    row = None if exact in context.suppressed.people else await run.get_score(exact)
    if row is None:
        return page(request, "customer_search.html", status=404, is_unknown=True)
    view = context.view(run, tongue_of(request).code)
    bought = await context.receiver.bought_since(exact, run.heard_through(exact))
    chosen = await choose_lists(run, exact, is_known=True, limit=_PLACES, bought_since=bought)
    items = await run.get_items(item_numbers(chosen.lists, limit=_PLACES))
    return page(
        request,
        "customer.html",
        meta=run.meta,
        c=customer_line(view.flat(row)),
        lists=view.lists(chosen.lists, items, limit=_PLACES, with_product=True),
        winback=await _winback(run, view.flat(row)),
        timeline=_parsed(await run.get_timeline(exact)) or {"orders": [], "scores": [], "stages": []},
        was_rescored=run.version_of(exact) != run.meta.score_run_id,
    )


@router.get("/rfm", openapi_extra=needs("audiences:read"))
async def show_groups(
    request: Request, event_type: Annotated[str, Query(alias="event", max_length=256)] = ""
) -> Response:
    """Show the RFM groups and the grid of recency by frequency, of orders or of a type of event."""
    run = context_of(request).runs.current()
    events = await _document(run, "event_groups") or []
    event = next((each for each in events if each["event_type"] == event_type), None)
    found = event or await _document(run, "groups") or {"groups": [], "cells": []}
    cells = {(cell["rfm_recency"], cell["rfm_frequency"]): cell for cell in found["cells"]}
    scores = range(1, max([5, *(score for place in cells for score in place)]) + 1)
    return page(
        request,
        "groups.html",
        meta=run.meta,
        event=event,
        event_types=[each["event_type"] for each in events],
        scales=event["scales"] if event else await _document(run, "scales"),
        groups=found["groups"],
        cells=cells,
        scores=list(scores),
        formula=await _document(run, "formula"),
        bridges=bridges(run.meta, tongue_of(request)),
    )


@router.get("/retention", openapi_extra=needs("audiences:read"))
async def show_retention(request: Request) -> Response:
    """Show who stays: churn, repurchase, cohorts, the concentration of sales, clocks of categories."""
    run = context_of(request).runs.current()
    names = ("retention", "concentration", "churned", "clocks")
    found = {name: await _document(run, name) for name in names}
    return page(request, "retention.html", meta=run.meta, **found)


@router.get("/value", openapi_extra=needs("audiences:read"))
async def show_value(request: Request, asked: Annotated[CalculatorAsked, Query()]) -> Response:
    """Show what customers are worth by channel, and a calculator for what they may cost."""
    run = context_of(request).runs.current()
    channels = await _document(run, "channels") or []
    found, mistakes = calculate(asked)
    return page(
        request,
        "value.html",
        meta=run.meta,
        channels=[(channel, channel_economics(channel, run.meta)) for channel in channels],
        asked=asked,
        found=found,
        mistakes=mistakes,
    )


@router.get("/scorecard", openapi_extra=needs("audiences:read"))
async def show_scorecard(request: Request) -> Response:
    """Show what the models' figures are worth, beside the simple rules."""
    run = context_of(request).runs.current()
    return page(
        request,
        "scorecard.html",
        meta=run.meta,
        models=model_lines(run.meta, Figures(tongue_of(request).locale)),
    )


@router.get("/language/{code}", openapi_extra=needs("audiences:read"))
async def pick_language(
    code: str, following: Annotated[str, Query(alias="next", max_length=NEXT_LENGTH_MAX)] = "/"
) -> Response:
    """Keep the reader's language in a cookie and lead back to where they were."""
    if code not in LOCALES:
        raise malformed(FieldError("/path/code", "unknown", f"languages: {', '.join(LOCALES)}"))
    is_local = following.startswith("/") and not following.startswith(("//", "/\\"))
    answer = RedirectResponse(following if is_local else "/", status_code=303)
    answer.set_cookie(COOKIE, code, max_age=_YEAR_SECONDS, samesite="lax", httponly=True)
    return answer


async def _winback(run: ScoreRun, flat: dict[str, Any]) -> WinbackSchedule | None:
    """Return when to write to a customer who fell silent; None for the active, let rest and refused."""
    last = flat["last_order_at"]
    if last is None or flat["email_consent"] is False or flat["lifecycle_stage"] in _ACTIVE_STAGES:
        return None
    if customer_line(flat)["action"] == "let_rest":
        return None
    zone = ZoneInfo(run.meta.time_zone)
    churned = await _document(run, "churned")
    clicked = (await run.get_traits([flat["customer_id"]])).get(flat["customer_id"], {}).get("last_click_at")
    return winback_schedule(
        last_purchase_on=datetime.fromisoformat(last).astimezone(zone).date(),
        last_click_on=datetime.fromisoformat(clicked).astimezone(zone).date() if clicked else None,
        fully_churned=Span(**churned["span"]) if churned else FULLY_CHURNED_DEFAULT,
    )


async def _document(run: ScoreRun, name: str) -> Any:  # noqa: ANN401 - as JSON has it
    return _parsed(await run.get_document(name))


def _parsed(text: str | None) -> Any:  # noqa: ANN401 - as JSON has it
    return None if text is None else orjson.loads(text)
