"""What changed since the last call: for whoever copies scores elsewhere."""

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from serving.changes.feed import MissedError, Page, Place, read_page
from serving.openapi import PROBLEMS
from serving.schemas.changes import Changes
from serving.state.database import State, StateError
from serving.web.answers import json_answer
from serving.web.context import context_of
from serving.web.cursor import CursorSigner, refused
from serving.web.problems import changes_missed, no_changes
from serving.web.scopes import ScopedRoute, needs

router = APIRouter(route_class=ScopedRoute, prefix="/v1", tags=["changes"])

LIMIT_MAX: Final = 1_000
_LOG: Final = "changes"
_CHANGE: Final[dict[str, Any]] = {
    "customer_id": "1063",
    "as_of": "2026-11-22",
    "score_run_id": "s_0042",
    "happened_at": "2026-11-22T00:10:04Z",
    "changed": [],
    "scores": None,
    "event": None,
    "values": None,
}
_EXAMPLE: Final[dict[str, Any]] = {
    "changes": [
        {
            **_CHANGE,
            "sequence": 118,
            "kind": "scores",
            "changed": ["churn_probability", "risk_band", "predicted_clv"],
            "scores": {
                "status": "ok",
                "churn_probability": 0.49,
                "risk_band": "high",
                "lapsed": False,
                "lifecycle_stage": "slipping",
                "rfm_segment": "PREVIOUSLY_LOYAL",
                "predicted_clv": 122.0,
                "historic_clv": 401.0,
                "value_at_risk": 31.4,
                "historic_number_of_orders": 7,
                "last_order_at": "2026-07-02T10:11:00Z",
                "expected_date_of_next_order": "2027-02-17",
                "email_consent": True,
                "churn_horizon_days": 90,
                "clv_horizon_days": 365,
                "currency": "EUR",
                "clv_basis": "net",
            },
        },
        {
            **_CHANGE,
            "sequence": 119,
            "kind": "event",
            "event": "band_changed",
            "values": {"from": "medium", "to": "high", "churn_probability": 0.49},
        },
        {**_CHANGE, "sequence": 120, "kind": "removed", "customer_id": "00123"},
    ],
    "next_cursor": "WyJjaGFuZ2VzIiwiOWYiLDEyMCwwXQ.c2lnbmF0dXJl",
    "has_more": False,
}


@router.get(
    "/changes",
    responses={
        200: {"model": Changes, "content": {"application/json": {"example": _EXAMPLE}}},
        **PROBLEMS,
    },
    openapi_extra=needs("audiences:read"),
)
async def list_changes(
    request: Request,
    cursor: Annotated[str | None, Query(max_length=2048)] = None,
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = 100,
    begin: Annotated[
        Literal["oldest", "newest"],
        Query(description="without a cursor: everybody's newest scores first, or only what is yet to come"),
    ] = "oldest",
) -> Response:
    """Return what changed after a cursor, in the order in which it was said, each change once.

    Without a cursor the newest scores of everybody come first. Keep `next_cursor`, also of an empty page.
    """
    context = context_of(request)
    place = None if cursor is None else _read(context.cursors, cursor)
    page = await run_in_threadpool(_page, context.state, place, limit=limit, newest=begin == "newest")
    following = context.cursors.sign((_LOG, *page.place))
    people = context.suppressed.people
    # A tombstone is told of everybody: whoever copied the scores drops them.
    told = [each for each in page.changes if each["kind"] == "removed" or each["customer_id"] not in people]
    return json_answer({"changes": told, "next_cursor": following, "has_more": page.has_more})


def _page(state: State, place: Place | None, *, limit: int, newest: bool) -> Page:
    try:
        return read_page(state, place, limit=limit, newest=newest)
    except StateError:
        raise no_changes() from None
    except MissedError:
        raise changes_missed() from None


def _read(cursors: CursorSigner, text: str) -> Place:
    match cursors.unsign(text):
        case [str(log), str(log_id), int(sequence), int(removed_to)] if log == _LOG:
            return Place(log_id, sequence, removed_to)
    raise refused()
