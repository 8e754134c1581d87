"""Many customers at once."""

import asyncio
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from serving.answers import json_answer
from serving.bodies import read_json
from serving.context import context_of
from serving.ids import check_id
from serving.openapi import BODY_PROBLEMS, PROBLEMS, body_of
from serving.problems import FieldError, malformed
from serving.schemas import PredictionBatch, PredictionRequest
from serving.scopes import ScopedRoute, needs

router = APIRouter(route_class=ScopedRoute, prefix="/v1", tags=["customers"])

IDS_MAX: Final = 1_000
# A thousand ids of 256 characters, each written as an escape of 6 bytes (12 beyond the basic plane).
BODY_BYTES_MAX: Final = 4_000_000
# So many rows are written before others get their turn.
_ROWS_AT_ONCE: Final = 50


@router.post(
    "/predictions/batch",
    responses={200: {"model": PredictionBatch}, **PROBLEMS, **BODY_PROBLEMS},
    openapi_extra=needs("predictions:read") | body_of(PredictionRequest, {"customer_ids": ["1063", "00123"]}),
)
async def post_predictions(request: Request) -> Response:
    """Return the scores of up to 1,000 customers, in the order asked; each has its own `status`.

    An unknown customer is no error: `status` is `not_found` and every figure null.
    """
    ids = _asked_ids(await read_json(request, bytes_max=BODY_BYTES_MAX))
    context = context_of(request)
    run = context.runs.current()
    left_out = context.suppressed.people.among(ids)
    view, rows = context.view(run), await run.get_scores(ids)
    results: list[dict[str, Any]] = []
    for number, customer_id in enumerate(ids):
        if number % _ROWS_AT_ONCE == 0:
            await asyncio.sleep(0)
        row = rows.get(customer_id)
        if customer_id in left_out:
            results.append(view.missing(customer_id, status="suppressed"))
        else:
            results.append(view.missing(customer_id) if row is None else view.flat(row))
    meta = run.meta
    return json_answer({"score_run_id": meta.score_run_id, "as_of": meta.as_of, "results": results})


def _asked_ids(body: Any) -> list[str]:  # noqa: ANN401 - any JSON
    """Return the ids of a body; raises a 422 problem that names what is wrong and where."""
    if not isinstance(body, dict) or body.keys() != {"customer_ids"}:
        raise malformed(FieldError("/body", "shape", 'write {"customer_ids": ["…"]} and nothing else'))
    ids = body["customer_ids"]
    if not isinstance(ids, list) or not 1 <= len(ids) <= IDS_MAX:
        raise malformed(FieldError("/body/customer_ids", "length", f"1 to {IDS_MAX:,} ids in a list"))
    for number, value in enumerate(ids):
        pointer = f"/body/customer_ids/{number}"
        if not isinstance(value, str):
            raise malformed(FieldError(pointer, "type", "an id is a string; put numbers in quotes"))
        check_id(value, pointer=pointer)
    return ids
