"""Requests that nobody means well with: over every route, in its path, query, headers, body and method."""

import base64
import hmac
import json
from collections.abc import Iterator
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import quote

from nasty_filters import NASTY_FILTERS
from nasty_words import (
    BODIES,
    CURSORS,
    ENCODINGS,
    EVENTS,
    HEADERS,
    HOOK_SECRET,
    JSON_TYPE,
    KEPT_IDS,
    LIMITS,
    MARK,
    PATHS,
    POSTS,
    PROPERTIES,
    QUERIES,
    REFUSED_IDS,
    ROUTES,
    TIMES,
    TYPES,
)


class Nasty(NamedTuple):
    """One request, its target as it goes over the wire (latin-1); `kept` is an id that must come back."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    kept: str | None = None
    status: int | None = None


def ids() -> Iterator[Nasty]:
    """Yield every kept id where an id can stand, and what is no id in the same places."""
    for kept in KEPT_IDS:
        written = quote(kept, safe="")
        yield Nasty("GET", f"/v1/customers/{written}/predictions", kept=kept, status=200)
        yield Nasty("GET", f"/v1/customers/{written}/recommendations", kept=kept, status=200)
        yield Nasty("GET", f"/v1/predictions?customer_id={written}", kept=kept, status=200)
        body = json.dumps({"customer_ids": [kept]}).encode()
        yield Nasty("POST", "/v1/predictions/batch", JSON_TYPE, body, kept=kept, status=200)
        yield Nasty("GET", f"/v1/items/{written}/similar", status=404)
        yield Nasty("GET", f"/v1/bundle?product_id={written}", status=404)
    for refused in REFUSED_IDS:
        for before, after in (
            ("/v1/customers/", "/predictions"),
            ("/v1/customers/", "/recommendations"),
            ("/v1/items/", "/similar"),
            ("/v1/items/", "/bundle"),
            ("/v1/predictions?on_missing=fallback&customer_id=", ""),
            ("/v1/bundle?product_id=", ""),
        ):
            yield Nasty("GET", before + refused + after, status=422)


def addresses() -> Iterator[Nasty]:
    """Yield odd paths, methods and queries."""
    for path in PATHS:
        yield Nasty("GET", path)
        yield Nasty("POST", path, JSON_TYPE, b"{}")
    for route in ROUTES:
        for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "CONNECT", MARK.upper()):
            yield Nasty(method, route)
    for route in ROUTES[:16]:
        for query in QUERIES:
            yield Nasty("GET", route.partition("?")[0] + query)
    for limit in LIMITS:
        for route in (ROUTES[1], ROUTES[4], ROUTES[8], ROUTES[11]):
            yield Nasty("GET", f"{route}?limit={limit}", status=422)
        yield Nasty("GET", f"{ROUTES[8]}?min_clv={limit}")
        yield Nasty("GET", f"{ROUTES[9]}?min_clv={limit}")
    for cursor in CURSORS:
        yield Nasty("GET", f"{ROUTES[8]}?cursor={cursor}", status=422)
        yield Nasty("GET", f"{ROUTES[11]}?cursor={cursor}", status=422)
        yield Nasty("GET", f"/v1/segments/used-a-coupon/members?cursor={cursor}", status=422)
    for query in QUERIES:
        yield Nasty("GET", f"/v1/segments/used-a-coupon/members{query}")


def filters() -> Iterator[Nasty]:
    """Yield texts that are no filter, where a filter can stand."""
    for text, _ in NASTY_FILTERS:
        for route in (ROUTES[1], ROUTES[4], ROUTES[10]):
            yield Nasty("GET", f"{route}?filter={quote(text, safe='')}", status=422)
        for route, more in (("/v1/segments/count", {}), ("/v1/segments", {"slug": "one", "title": MARK})):
            body = json.dumps({"text": text, **more}).encode()
            yield Nasty("POST", route, JSON_TYPE, body, status=422)


def bodies() -> Iterator[Nasty]:
    """Yield bodies that are no JSON, or other JSON, for every route that takes some."""
    for body in BODIES:
        for route in (*POSTS, "/v1/privacy/requests"):
            yield Nasty("POST", route, JSON_TYPE, body)
        signature = base64.b64encode(hmac.digest(HOOK_SECRET, body, sha256)).decode()
        shopify = (*JSON_TYPE, ("x-shopify-hmac-sha256", signature), ("x-shopify-topic", "orders/create"))
        yield Nasty("POST", "/v1/hooks/shopify/main", shopify, body)
        shop = (*JSON_TYPE, ("x-wc-webhook-signature", signature), ("x-wc-webhook-topic", "order.created"))
        yield Nasty("POST", "/v1/hooks/woocommerce/other", shop, body)
        yield Nasty("POST", "/v1/hooks/shopify/main", JSON_TYPE, body, status=401)


def events() -> Iterator[Nasty]:
    """Yield events with odd fields, properties, times and ids; a batch is taken, the call in it rejected."""
    odd = [*EVENTS, *(_track(properties=value) for value in PROPERTIES)]
    odd += [_track(timestamp=value) for value in TIMES]
    for call in odd:
        yield Nasty("POST", "/v1/events/batch", JSON_TYPE, json.dumps({"batch": [call]}).encode(), status=202)


def _track(**fields: object) -> dict[str, object]:
    order = {
        "order_id": "A-1",
        "currency": "EUR",
        "products": [{"product_id": "p", "price": 1, "quantity": 1}],
    }
    call = {"type": "track", "messageId": f"m {sorted(fields.items())}"[:200], "userId": "c1"}
    return {
        **call,
        "event": "Order Completed",
        "timestamp": "2026-11-22T15:05:00Z",
        "properties": order,
        **fields,
    }


def headers() -> Iterator[Nasty]:
    """Yield odd headers on a read and a write; odd content types and encodings on every write."""
    for some in HEADERS:
        yield Nasty("GET", ROUTES[0], some)
        yield Nasty("GET", ROUTES[9], some)
        yield Nasty("POST", POSTS[0], (*JSON_TYPE, *some), b'{"customer_ids": ["c1"]}')
    for route in POSTS:
        for kind in TYPES[1:]:
            if not kind.startswith("application/json"):
                yield Nasty("POST", route, (("content-type", kind),), b"{}", status=415)
        for encoding in ENCODINGS:
            yield Nasty("POST", route, (*JSON_TYPE, ("content-encoding", encoding)), b"{}", status=415)
    for name in ("", "x" * 5_000, MARK + "\x00", "\xff", "a b", "김철수".encode().decode("latin-1")):
        body = b'{"audience": "at-risk", "format": "csv"}'
        yield Nasty("POST", "/v1/exports", (*JSON_TYPE, ("idempotency-key", name)), body)


GROUPS = {
    "ids": ids,
    "addresses": addresses,
    "filters": filters,
    "bodies": bodies,
    "events": events,
    "headers": headers,
}
