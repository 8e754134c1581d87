"""Requests that nobody means well with: over every route, in its path, query, headers, body and method."""

import base64
import gzip
import hmac
import json
from collections.abc import Iterator
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import quote

from nasty_filters import NASTY_FILTERS
from serving_runs import NASTY_IDS

MARK = "zq7mark"
"""Stands in most inputs; no error may repeat it."""
HOOK_SECRET = b"hook secret of the tests"
KEPT_IDS = (
    *NASTY_IDS,
    "0",
    "000",
    "1e400",
    "Infinity",
    "-0",
    "undefined",
    "None",
    "true",
    "[]",
    "{}",
    "%s%n%x",
    "${jndi:ldap://x}",
    "{{7*7}}",
    "`id`",
    "$(id)",
    "..\\..\\x",
    "../../etc/passwd",
    "\ufeffbom",
    "a\u200bb",
    "a\u2028b",
    "\U0010ffff",
    "ﬁ",
    "Ａ",
    "ß",
    "İ",
    "مرحبا",
    "\u0301",
    "👩\u200d👩\u200d👧",
    "predictions",
    "x/recommendations",
    "/",
    "//",
    ".",
    "..",
    "?",
    "#",
    "&",
    "%",
    "%zz",
    "\ufffd",
    "\U0001f600" * 256,
)
"""Ids of customers: whoever asks gets them back byte for byte."""
REFUSED_IDS = (
    "",
    "x" * 257,
    "%F0%9F%98%80" * 257,
    "%00",
    "a%00b",
    "%0a",
    "a%0D%0Ab",
    "%1b%5b31m",
    "%09",
    "%7F",
    "%C2%85",
    "%C2%9f",
    "%ff",
    "%ED%A0%80",
    "%C0%AF",
    "%F4%90%80%80",
    "%E2%82",
    "\x00raw",
    "\xff",
    "x" * 60_000,
)
"""Percent-encoded texts that are no id."""


class Nasty(NamedTuple):
    """One request, its target as it goes over the wire (latin-1); `kept` is an id that must come back."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    kept: str | None = None
    status: int | None = None


JSON_TYPE = (("content-type", "application/json"),)
_ROUTES = (
    "/v1/customers/c1/predictions",
    "/v1/customers/c1/recommendations",
    "/v1/predictions?customer_id=c1",
    "/v1/predictions/batch",
    "/v1/items/00007/similar",
    "/v1/items/00007/bundle",
    "/v1/bundle?product_id=00007",
    "/v1/audiences",
    "/v1/audiences/at-risk/members",
    "/v1/audiences/at-risk/export.csv",
    "/v1/recommendations/export.csv",
    "/v1/changes",
    "/v1/events/batch",
    "/v1/hooks/shopify/main",
    "/v1/hooks/woocommerce/main",
    "/v1/exports",
    "/v1/jobs/j_0",
    "/v1/jobs/j_0/files/f",
    "/v1/privacy/requests",
    "/v1/privacy/requests/r_0",
    "/v1/models/current",
    "/v1/openapi.json",
    "/healthz",
    "/readyz",
    "/metrics",
    "/",
    "/assets/console.css",
)
POSTS = ("/v1/predictions/batch", "/v1/events/batch", "/v1/exports")
_DEEP = 100_000
BODIES = (
    b"",
    b" ",
    b"{",
    b"[]",
    b"null",
    b"true",
    b"0",
    b'"' + MARK.encode() + b'"',
    b"{}",
    b"[" * _DEEP + b"]" * _DEEP,
    b'{"a":' * _DEEP + b"1" + b"}" * _DEEP,
    b"[" * _DEEP,
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b'{"customer_ids": [NaN], "batch": [NaN], "audience": NaN}',
    b'{"customer_ids": [1e400], "batch": [1e400], "audience": 1e400}',
    b'{"customer_ids": [' + b"9" * 5_000 + b'], "batch": [' + b"9" * 5_000 + b"]}",
    b'{"customer_ids": [-0], "batch": [-0], "audience": -0}',
    b'{"customer_ids": ["\\ud800"], "batch": ["\\ud800"], "audience": "\\ud800"}',
    b'{"customer_ids": ["\\u0000"], "batch": ["\\u0000"], "audience": "\\u0000"}',
    b'{"customer_ids": [{}], "batch": [{}], "audience": {}}',
    b'{"customer_ids": [[[]]], "batch": [[[]]], "audience": [[]]}',
    b'{"customer_ids": null, "batch": null, "audience": null}',
    b'{"customer_ids": {"zq7mark": 1}, "batch": {"zq7mark": 1}, "audience": {"zq7mark": 1}}',
    b'{"zq7mark": 1, "customer_ids": ["c1"], "batch": [], "audience": "at-risk"}',
    b'{"__proto__": {}, "constructor": {}, "customer_ids": [], "batch": [], "audience": "at-risk"}',
    b'{"\xff": 1}',
    b"\xff\xfe\x00",
    b"\x00" * 100,
    b"\xef\xbb\xbf{}",
    '{"customer_ids": ["c1"]}'.encode("utf-16"),
    gzip.compress(b" " * 1_000_000, mtime=0),
    b'{"customer_ids": ["c1"]} ' + MARK.encode(),
    b'{"customer_ids": ["c1"],}',
    b"{'customer_ids': ['c1']}",
    b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "zq7mark">]><x>&a;</x>',
    b"customer_ids=zq7mark",
    b'{"audience": "../../zq7mark", "format": "zq7mark", "profile": "zq7mark", "filter": "zq7mark"}',
    b'{"audience": "at-risk", "format": "parquet", "min_clv": 1e308}',
    b'{"customer_ids": [' + b'"zq7mark",' * 1_000 + b'"c1"]}',
    b'{"batch": [' + b"{}," * 2_500 + b"{}]}",
)
EVENTS: tuple[object, ...] = (
    {},
    {"type": "track"},
    {"type": MARK, "messageId": "m", "userId": "c1"},
    {"type": "track", "messageId": "", "userId": "c1", "event": "Order Completed"},
    {"type": "track", "messageId": 7, "userId": 7, "event": 7, "timestamp": 7, "properties": 7},
    {"type": "track", "messageId": "m" * 40_000, "userId": "c1", "event": "Order Completed"},
    {"type": "track", "messageId": "m1", "userId": "a\x00b", "event": "Product Viewed"},
    {"type": "track", "messageId": "m2", "userId": "x" * 257, "event": "Product Viewed"},
    {"type": "track", "messageId": "m3", "userId": "", "event": "Product Viewed"},
    {"type": "track", "messageId": "m4", "userId": None, "anonymousId": None, "event": "Product Viewed"},
    {"type": "track", "messageId": "m\x00", "userId": "c1", "event": "Product Viewed"},
)
PROPERTIES: tuple[object, ...] = (
    None,
    [],
    MARK,
    {"order_id": None},
    {"order_id": "\x00", "products": []},
    {"order_id": "A", "products": MARK},
    {"order_id": "A", "products": [None]},
    {"order_id": "A", "products": [{"product_id": {}, "price": {}, "quantity": {}}]},
    {
        "order_id": "A",
        "currency": "EUR",
        "products": [{"product_id": "p", "price": 1e308, "quantity": 1e308}],
    },
    {"order_id": "A", "currency": "EUR", "products": [{"product_id": "p", "price": "NaN", "quantity": 1}]},
    {"order_id": "A", "currency": "EUR", "products": [{"product_id": "p", "price": "1e400", "quantity": 1}]},
    {
        "order_id": "A",
        "currency": "EUR",
        "products": [{"product_id": "p", "price": "9" * 5_000, "quantity": 1}],
    },
    {"order_id": "A", "currency": "EUR", "products": [{"product_id": "p", "price": -1, "quantity": -1}]},
    {"order_id": "A", "currency": "EUR", "products": [{"product_id": "p", "price": 1e12, "quantity": 1}]},
    {"order_id": "A", "currency": "EUR", "products": [{"product_id": "p", "price": 1, "quantity": 10**18}]},
    {"order_id": "A", "currency": MARK, "products": [{"product_id": "p", "price": 1, "quantity": 1}]},
    {"order_id": "A", "currency": 7, "total": [], "revenue": {}, "discount": MARK, "products": []},
)
TIMES = (
    "",
    MARK,
    "2026-02-29T00:00:00Z",
    "2028-02-29T00:00:00Z",
    "0000-00-00T00:00:00Z",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "99999-01-01T00:00:00Z",
    "2026-11-22T25:00:00Z",
    "2026-11-22T15:05:60Z",
    "2026-11-22T15:05:00",
    "2026-11-22",
    "1e400",
    "NaN",
    "-1",
    "2026-11-22T15:05:00+99:99",
    "٢٠٢٦-١١-٢٢",
)
_LIMITS = ("0", "-1", "1e3", "1.5", "9" * 5_000, "NaN", MARK, "", "%00", "1%002", "true", "0x10", "%D9%A1")
_CURSORS = (
    "",
    "x",
    MARK,
    "x" * 3_000,
    ".",
    "..",
    "W10.AAAA",
    "%00",
    "%ff",
    "bnVsbA.bnVsbA",
    "eyJhIjoxfQ." + "A" * 43,
    quote("김철수"),
)
_HEADERS: tuple[tuple[tuple[str, str], ...], ...] = (
    (("x-request-id", MARK + "\x1b[31m"),),
    (("x-request-id", "x" * 60_000),),
    (("if-none-match", '"' + MARK + "x" * 8_000),),
    (("if-none-match", "*"),),
    (("if-none-match", "W/" * 900),),
    (("if-modified-since", MARK),),
    (("range", "bytes=0-0,-1,5-4," + MARK),),
    (("accept", MARK + "/" + "*" * 900),),
    (("accept-language", MARK + ";q=NaN"),),
    (("accept-encoding", "gzip;q=1e400, " + MARK),),
    (("cookie", "a=" + MARK + "\xff"),),
    (("authorization", ""),),
    (("authorization", "Bearer"),),
    (("authorization", "Basic " + MARK),),
    (("authorization", "Basic /////w=="),),
    (("authorization", "Bearer " + "x" * 60_000),),
    (("x-forwarded-for", "' OR 1=1--"), ("x-forwarded-host", MARK)),
    (("x-http-method-override", "DELETE"),),
    (("origin", "https://zq7mark.example"),),
    (("expect", "100-continue"),),
    (("upgrade", "websocket"), ("connection", "upgrade")),
    (("content-length", "-1"),),
    (("\xff", "\xff"),),
)
_TYPES = (
    "",
    "text/plain",
    "text/xml",
    MARK,
    "application/json; charset=utf-16",
    "application/json;" * 500,
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/vnd.api+json",
    "\xff\x00",
)
_ENCODINGS = ("gzip", "br", "zstd", "deflate", "gzip, gzip", "compress", MARK, "\xff")
_PATHS = (
    "",
    "//",
    "/v1",
    "/v1/",
    "/v1/" + MARK,
    "/v1//predictions",
    "/v1/../healthz",
    "/v1/%2e%2e/healthz",
    "/v1/customers",
    "/v1/customers/",
    "/v1/customers/" + MARK,
    "/v1/customers/c1/predictions/",
    "/v1/customers/c1/predictions%2f",
    "/v1/customers%2fc1/predictions",
    "/%76%31/customers/c1/predictions",
    "/V1/CUSTOMERS/c1/PREDICTIONS",
    "/assets/",
    "/assets/../api.py",
    "/assets/..%2fapi.py",
    "/assets/%2e%2e/api.py",
    "/assets/%00",
    "/assets/" + "x" * 5_000,
    "/assets/..%5c..%5capi.py",
    "/v1/audiences/" + MARK + "/members",
    "/v1/audiences/%00/members",
    "/v1/audiences/..%2f..%2fx/export.csv",
    "/v1/audiences/" + "x" * 5_000 + "/members",
    "/v1/audiences/%ff/members",
    "/v1/jobs/%00",
    "/v1/jobs/" + MARK,
    "/v1/jobs/..%2f..%2fx/files/..%2fx",
    "/v1/jobs/j_0/files/%2e%2e%2fstate.sqlite",
    "/v1/jobs/" + "9" * 5_000,
    "/v1/hooks/shopify/%00",
    "/v1/hooks/shopify/..%2fx",
    "/v1/hooks/nobody/main",
    "/customers/" + MARK,
    "/.env",
    "/.git/config",
    "/wp-login.php",
    "/%",
    "/%zz",
    "/%ff%fe",
    "/" + "x" * 60_000,
    "/" + "a/" * 5_000,
    "*",
    "http://169.254.169.254/latest",
)
_QUERIES = (
    "?",
    "?&&&",
    "?=",
    "?%ff=%fe",
    "?%00",
    "?include=" + MARK,
    "?include=" + "," * 5_000,
    "?include=recommendations,recommendations,reasons",
    "?on_missing=" + MARK,
    "?on_missing=fallback&on_missing=404",
    "?kind=" + MARK,
    "?objective=" + MARK,
    "?diversity=NaN",
    "?diversity=1e400",
    "?diversity=" + MARK,
    "?bought_within_days=-1",
    "?bought_within_days=" + "9" * 400,
    "?bought_within_days=Infinity",
    "?exclude=" + "&exclude=".join("x" * 20 for _ in range(1_000)),
    "?exclude=%00",
    "?exclude=",
    "?" + "a=1&" * 5_000,
    "?__proto__[x]=1&constructor.prototype=1",
    "?limit[]=1&limit[$gt]=",
    "?" + MARK + "=" + MARK,
)


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
    for path in _PATHS:
        yield Nasty("GET", path)
        yield Nasty("POST", path, JSON_TYPE, b"{}")
    for route in _ROUTES:
        for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "CONNECT", MARK.upper()):
            yield Nasty(method, route)
    for route in _ROUTES[:16]:
        for query in _QUERIES:
            yield Nasty("GET", route.partition("?")[0] + query)
    for limit in _LIMITS:
        for route in (_ROUTES[1], _ROUTES[4], _ROUTES[8], _ROUTES[11]):
            yield Nasty("GET", f"{route}?limit={limit}", status=422)
        yield Nasty("GET", f"{_ROUTES[8]}?min_clv={limit}")
        yield Nasty("GET", f"{_ROUTES[9]}?min_clv={limit}")
    for cursor in _CURSORS:
        yield Nasty("GET", f"{_ROUTES[8]}?cursor={cursor}", status=422)
        yield Nasty("GET", f"{_ROUTES[11]}?cursor={cursor}", status=422)


def filters() -> Iterator[Nasty]:
    """Yield texts that are no filter, where a filter can stand."""
    for text, _ in NASTY_FILTERS:
        for route in (_ROUTES[1], _ROUTES[4], _ROUTES[10]):
            yield Nasty("GET", f"{route}?filter={quote(text, safe='')}", status=422)


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
    for some in _HEADERS:
        yield Nasty("GET", _ROUTES[0], some)
        yield Nasty("GET", _ROUTES[9], some)
        yield Nasty("POST", POSTS[0], (*JSON_TYPE, *some), b'{"customer_ids": ["c1"]}')
    for route in POSTS:
        for kind in _TYPES[1:]:
            if not kind.startswith("application/json"):
                yield Nasty("POST", route, (("content-type", kind),), b"{}", status=415)
        for encoding in _ENCODINGS:
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
