"""The lists of everybody at once, as CSV for mail templates."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from serving.offers.slot_columns import ITEMS_MAX
from serving.offers.slot_export import item_columns, stream_lists
from serving.offers.slot_query import AskedRules
from serving.openapi import PROBLEMS
from serving.routes.customers import ListKind
from serving.web.answers import csv_answer
from serving.web.calls import Taken
from serving.web.context import context_of
from serving.web.scopes import ScopedRoute, needs

router = APIRouter(route_class=ScopedRoute, prefix="/v1/recommendations", tags=["recommendations"])


@router.get(
    "/export.csv",
    responses={200: {"content": {"text/csv": {}}}, **PROBLEMS},
    openapi_extra=needs("audiences:read"),
)
async def export_csv(
    request: Request,
    rules: AskedRules,
    kind: Annotated[ListKind, Query(description="which list")] = "for_you",
    items: Annotated[int, Query(ge=1, le=ITEMS_MAX, description="items a customer")] = 4,
    form: Annotated[Literal["plain", "excel"], Query(alias="format")] = "plain",
) -> Response:
    """Stream one wide row a customer; `filter`, `bought_within_days` and `exclude` hold for everybody."""
    context = context_of(request)
    run = context.runs.current()
    columns = await item_columns(run, context.view(run), count=items, kind=kind, rules=rules)
    name = f"recommendations-{kind}-{run.meta.as_of.isoformat()}.csv"
    chunks = stream_lists(run, columns, context.suppressed.people, excel=form == "excel")
    return csv_answer(request, chunks, Taken(f"recommendations {kind}", form), name, turns=context.turns)
