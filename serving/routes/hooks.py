"""Webhooks of shop systems, signed over their raw bytes: kept first, then acknowledged."""

import logging
import re
from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson
from fastapi import APIRouter, Request, Response

from features.messages import Cancellation, Order
from serving.inbound import shopify, woocommerce
from serving.inbound.hook_sources import Platform
from serving.inbound.people import People, Person
from serving.inbound.values import CellError
from serving.openapi import BODY_PROBLEMS, PROBLEMS
from serving.people.desk import Caller
from serving.schemas.received import HookReceipt
from serving.state.inbox import Incoming
from serving.state.privacy import Kind
from serving.web.answers import json_answer
from serving.web.bodies import read_bytes
from serving.web.context import context_of
from serving.web.problems import FieldError, ProblemError, malformed
from serving.web.scopes import SIGNED, ScopedRoute, needs

router = APIRouter(route_class=ScopedRoute, prefix="/v1/hooks", tags=["events"])

BODY_BYTES_MAX: Final = 2_000_000
_PING: Final = re.compile(rb"webhook_id=\d{1,18}")
_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {"model": HookReceipt},
    401: PROBLEMS[401] | {"description": "Problem: the signature is missing or wrong"},
    422: PROBLEMS[422],
    503: PROBLEMS[503] | {"description": "Problem: it could not be kept; send it again"},
    **BODY_PROBLEMS,
}
# Shopify's mandatory webhooks; `shop/redact` is about no person.
_PRIVACY: Final[dict[str | None, Kind | None]] = {
    "customers/redact": "erasure",
    "customers/data_request": "access",
    "shop/redact": None,
}
_LOG = logging.getLogger(__name__)
_Reader = Callable[..., tuple[Order | Cancellation, Person]]


@router.post("/shopify/{source}", responses=_RESPONSES, openapi_extra=needs(SIGNED))
async def post_shopify(request: Request, source: str) -> Response:
    """Take an order webhook of Shopify; other topics are acknowledged and tell nothing.

    `customers/redact` asks for the erasure of whoever has an address, `customers/data_request` for access.
    """
    body = await _signed_body(request, source, "shopify", "x-shopify-hmac-sha256")
    topic = request.headers.get("x-shopify-topic")
    if topic in _PRIVACY:
        return await _ask(request, source, body, _PRIVACY[topic])
    if topic not in shopify.TOPICS:
        return _answer(ignored="topic")
    return await _keep(request, source, body, shopify.read_order)


@router.post("/woocommerce/{source}", responses=_RESPONSES, openapi_extra=needs(SIGNED))
async def post_woocommerce(request: Request, source: str) -> Response:
    """Take an order webhook of WooCommerce; its first call, which carries no order, is acknowledged."""
    if "x-wc-webhook-signature" not in request.headers:
        body = await read_bytes(request, bytes_max=BODY_BYTES_MAX)
        if _PING.fullmatch(body):
            return _answer(ignored="ping")
        raise _unsigned()
    body = await _signed_body(request, source, "woocommerce", "x-wc-webhook-signature")
    if request.headers.get("x-wc-webhook-topic") not in woocommerce.TOPICS:
        return _answer(ignored="topic")
    return await _keep(request, source, body, woocommerce.read_order)


async def _ask(request: Request, source: str, body: bytes, kind: Kind | None) -> Response:
    """Leave a privacy request of the person whom a signed body names by address, as orders do."""
    if kind is None:
        _LOG.warning("the shop of the source %s was closed: erase its data (docs/privacy.md)", source)
        return _answer(ignored="shop/redact")
    desk = context_of(request).privacy
    try:
        emails, phones = shopify.read_addresses(_json(body))
    except CellError as error:
        return _answer(ignored=f"{error.pointer} {error.code}")
    subject = await desk.find_by_addresses(emails, phones)
    if not subject.all_ids:
        return _answer(ignored="/customer missing")
    # Known by its bytes: what is sent again within a day asks nothing new.
    caller = Caller("", f"hook {source}", sha256(body).hexdigest(), with_identity=True)
    left = await desk.leave(kind, subject, caller)
    return _answer(accepted=int(not left.is_repeated), duplicates=int(left.is_repeated))


async def _signed_body(request: Request, source: str, platform: Platform, header: str) -> bytes:
    """Return the raw body of a webhook of a known source; raises a 401 problem that tells no more."""
    body = await read_bytes(request, bytes_max=BODY_BYTES_MAX)
    known = context_of(request).hooks.all().get(source)
    given = request.headers.getlist(header)
    if known is None or known.platform != platform or len(given) != 1 or not known.signed(body, given[0]):
        raise _unsigned()
    return body


async def _keep(request: Request, source: str, body: bytes, read: _Reader) -> Response:
    receiver = context_of(request).receiver
    try:
        message, person = _read(body, receiver.people, receiver.zone, read)
    except CellError as error:
        # Refusals make a shop system give up on a webhook; a till's order without a customer is no mistake.
        return _answer(ignored=f"{error.pointer} {error.code}")
    # What is known by its bytes cannot be made anew under another delivery id, which nobody signs.
    incoming = Incoming(message, f"hook {source}", sha256(body).hexdigest(), order_scope=f"hook {source}")
    (is_new,) = await receiver.keep([incoming], [person])
    if is_new is None:
        return _answer(ignored="suppressed")
    return _answer(accepted=int(is_new), duplicates=int(not is_new))


def _read(body: bytes, people: People, zone: ZoneInfo, read: _Reader) -> tuple[Order | Cancellation, Person]:
    return read(_json(body), people, zone=zone)


def _json(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise malformed(FieldError("/body", "json", "the body is no JSON document in UTF-8")) from None


def _answer(*, accepted: int = 0, duplicates: int = 0, ignored: str | None = None) -> Response:
    return json_answer({"accepted": accepted, "duplicates": duplicates, "ignored": ignored})


def _unsigned() -> ProblemError:
    return ProblemError(
        401, "signature-refused", "No known source signed this body.", title="Signature refused"
    )
