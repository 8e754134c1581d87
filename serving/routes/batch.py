"""Many customers at once."""

import asyncio
from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from features.person_keys import customer_key, normal_email, read_pepper
from serving.job_desk import no_addresses
from serving.openapi import BODY_PROBLEMS, PROBLEMS, body_of
from serving.people.known_addresses import AddressesError, KnownAddresses
from serving.schemas.customers import PredictionBatch, PredictionRequest
from serving.web.answers import json_answer
from serving.web.bodies import read_json
from serving.web.context import context_of
from serving.web.ids import check_id
from serving.web.problems import FieldError, ProblemError, malformed
from serving.web.scopes import ScopedRoute, caller_of, needs

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

    An unknown customer is no error: `status` is `not_found` and every figure null. A key with the scope
    `identity:read` may send `emails` instead of `customer_ids`; addresses are not in the answer.
    """
    body = await read_json(request, bytes_max=BODY_BYTES_MAX)
    context = context_of(request)
    ids = await _ids_of_emails(request, body) if _names_emails(body) else _asked_ids(body)
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


def _names_emails(body: Any) -> bool:  # noqa: ANN401 - any JSON
    return isinstance(body, dict) and body.keys() == {"emails"}


async def _ids_of_emails(request: Request, body: dict[str, Any]) -> list[str]:
    """Return the id that each address is known with, else the id that it would have."""
    key = caller_of(request)
    if key is None or not key.grants("identity:read"):
        raise ProblemError(
            403, "scope-missing", "The key lacks the scope identity:read.", title="Not allowed"
        )
    emails = body["emails"]
    if not isinstance(emails, list) or not 1 <= len(emails) <= IDS_MAX:
        raise malformed(FieldError("/body/emails", "length", f"1 to {IDS_MAX:,} addresses in a list"))
    for number, value in enumerate(emails):
        if not isinstance(value, str) or normal_email(value) is None:
            raise malformed(FieldError(f"/body/emails/{number}", "email", "this is no e-mail address"))
    try:
        return await asyncio.to_thread(_look_up, context_of(request).environment.layout.private, emails)
    except AddressesError as error:
        raise no_addresses(error) from None


def _look_up(private: Path, emails: list[str]) -> list[str]:
    pepper = read_pepper(private)
    keys = [customer_key(email, None, pepper) or "" for email in emails]
    known = KnownAddresses(private).by_key(list(dict.fromkeys(keys)))
    # The newest of several ids that share an address.
    return [known[key][-1] if key in known else key for key in keys]


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
