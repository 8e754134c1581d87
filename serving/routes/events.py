"""Orders and events in batches, as platforms that speak Segment's track calls send them."""

from typing import Any, Final

import orjson
from fastapi import APIRouter, Request, Response

from serving.inbound.people import Person
from serving.inbound.receiver import Receiver
from serving.inbound.segment import SOURCE, read_track
from serving.inbound.values import CellError
from serving.openapi import BODY_PROBLEMS, PROBLEMS, body_of
from serving.schemas.received import EventBatch, EventReceipt
from serving.state.inbox import Incoming
from serving.web.answers import json_answer
from serving.web.bodies import read_json
from serving.web.context import context_of
from serving.web.problems import FieldError, malformed
from serving.web.scopes import ScopedRoute, needs

router = APIRouter(route_class=ScopedRoute, prefix="/v1/events", tags=["events"])

EVENTS_MAX: Final = 2_500
BODY_BYTES_MAX: Final = 500_000
EVENT_BYTES_MAX: Final = 32_000
_EXAMPLE: Final = {
    "batch": [
        {
            "type": "track",
            "messageId": "9f1c2a7e-0001",
            "userId": "1063",
            "event": "Order Completed",
            "timestamp": "2026-11-22T15:05:00Z",
            "properties": {
                "order_id": "A-1001",
                "currency": "EUR",
                "subtotal": 19.9,
                "products": [{"product_id": "85123A", "price": 9.95, "quantity": 2, "name": "Candle"}],
            },
        }
    ]
}


@router.post(
    "/batch",
    status_code=202,
    responses={202: {"model": EventReceipt}, **PROBLEMS, **BODY_PROBLEMS},
    openapi_extra=needs("events:write") | body_of(EventBatch, _EXAMPLE),
)
async def post_events(request: Request) -> Response:
    """Take up to 2,500 track calls; what is accepted is on the disk, once for every `messageId`.

    A call that cannot be read is rejected alone, with its place and a code; the others are taken. What comes
    of people who are suppressed is acknowledged, counted and not kept: sending it again would change nothing.
    """
    calls = _calls(await read_json(request, bytes_max=BODY_BYTES_MAX))
    receiver = context_of(request).receiver
    incoming: list[Incoming] = []
    people: list[Person] = []
    rejected: list[dict[str, Any]] = []
    for index, call in enumerate(calls):
        try:
            message, person = _read(call, receiver)
        except CellError as error:
            rejected.append({"index": index, "pointer": error.pointer, "code": error.code})
            continue
        incoming.append(message)
        people.append(person)
    is_new = await receiver.keep(incoming, people)
    named = (("accepted", True), ("duplicates", False), ("suppressed", None))
    counts = {name: is_new.count(value) for name, value in named}
    return json_answer({**counts, "rejected": rejected}, status=202)


def _calls(body: Any) -> list[object]:  # noqa: ANN401 - any JSON
    if not isinstance(body, dict) or not isinstance(body.get("batch"), list):
        raise malformed(FieldError("/body/batch", "shape", 'write {"batch": [ … ]}'))
    calls: list[object] = body["batch"]
    if not 1 <= len(calls) <= EVENTS_MAX:
        raise malformed(FieldError("/body/batch", "length", f"1 to {EVENTS_MAX:,} calls in a batch"))
    return calls


def _read(call: object, receiver: Receiver) -> tuple[Incoming, Person]:
    if len(orjson.dumps(call)) > EVENT_BYTES_MAX:
        raise CellError("/", "too_large")
    message, person, message_id = read_track(call, receiver.people, zone=receiver.zone)
    return Incoming(message, SOURCE, message_id), person
