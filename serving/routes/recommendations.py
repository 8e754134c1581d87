"""The lists of everybody at once, as CSV for mail templates."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response

from serving.exports.book import leaving_rows
from serving.offers.slot_columns import ITEMS_MAX
from serving.offers.slot_export import item_columns, stream_lists
from serving.offers.slot_query import AskedRules
from serving.openapi import PROBLEMS
from serving.routes.customers import ListKind
from serving.web.answers import csv_answer
from serving.web.calls import Taken
from serving.web.context import context_of
from serving.web.scopes import ScopedRoute, caller_of, needs

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
    """Stream one wide row a customer; `filter`, `bought_within_days` and `exclude` hold for everybody.

    It is written down before the first row leaves.
    """
    context, key = context_of(request), caller_of(request)
    run = context.runs.current()
    columns = await item_columns(run, context.view(run), count=items, kind=kind, rules=rules)
    name = f"recommendations-{kind}-{run.meta.as_of.isoformat()}.csv"
    asked: dict[str, Any] = {
        "format": form,
        "control": "include",
        "items": items,
        "filter": request.query_params.get("filter"),
    }
    asked |= {"bought_within_days": rules.bought_within_days, "exclude": list(rules.excluded_ids)}
    leaving = leaving_rows(
        run.meta, f"recommendations:{kind}", key_id=key.key_id if key else "", request=asked
    )
    export_id = await context.export_book.begin(leaving)
    parts = stream_lists(run, columns, context.suppressed.people, excel=form == "excel")
    chunks = context.export_book.followed(parts, export_id)
    return csv_answer(request, chunks, Taken(f"recommendations {kind}", form), name, turns=context.turns)
