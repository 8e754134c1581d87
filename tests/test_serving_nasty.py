"""Nasty requests over every route: each is answered, below 500, and nothing sent comes back in an error."""

import json
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain, repeat
from pathlib import Path

import pytest
from asgi_calls import Answer, Caller, calling
from nasty_requests import GROUPS, Nasty
from nasty_words import HOOK_SECRET, JSON_TYPE, KEPT_IDS, MARK, POSTS
from serving_runs import publish
from test_serving_server import children, serving

from features.layout import Layout
from serving.inbound.hook_sources import HookSources
from serving.schemas.base import Problem
from serving.state.database import State
from serving.state.inbox import Inbox
from serving.state.migrate import make
from serving.web.problems import MEDIA_TYPE

CALLS_MIN = 1_900


@pytest.fixture(scope="module")
def var(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("var")
    publish(folder, ["c1", *dict.fromkeys(KEPT_IDS)])
    make(State.of(Layout(folder)))
    hooks = HookSources(folder / "private")
    hooks.add("main", "shopify", HOOK_SECRET.decode())
    hooks.add("other", "woocommerce", HOOK_SECRET.decode())
    return folder


@pytest.fixture(scope="module")
def caller(var: Path) -> Iterator[Caller]:
    with calling(var) as opened:
        yield opened


def fault_of(nasty: Nasty, answer: Answer) -> str | None:
    """Return what is wrong with an answer, in a word."""
    if not 200 <= answer.status < 500:
        return "status"
    if nasty.status is not None and answer.status != nasty.status:
        return f"not {nasty.status}"
    if answer.headers.get("x-content-type-options") != "nosniff" or "x-request-id" not in answer.headers:
        return "headers"
    if nasty.kept is not None:
        told = json.loads(answer.body)
        return None if told.get("results", [told])[0]["customer_id"] == nasty.kept else "another id"
    if MARK in str(answer.headers) or (answer.status >= 400 and MARK in answer.body.decode("latin-1")):
        return "echo"
    return _fault_of_problem(nasty, answer) if answer.status >= 400 else None


def _fault_of_problem(nasty: Nasty, answer: Answer) -> str | None:
    if answer.status == 404 and answer.headers.get("content-type", "").startswith("text/html"):
        return None if nasty.target.startswith("/customers") else "a page"
    if answer.headers.get("content-type") != MEDIA_TYPE:
        return "no problem"
    if nasty.method == "HEAD":
        return None
    problem = Problem.model_validate_json(answer.body)
    fits = (problem.status, problem.instance) == (answer.status, answer.headers["x-request-id"])
    return None if fits else "another problem"


@pytest.mark.parametrize("group", GROUPS)
def test_nothing_nasty_breaks_a_route(caller: Caller, group: str) -> None:
    found = []
    for nasty in GROUPS[group]():
        answer = caller.call(nasty.method, nasty.target, nasty.headers, nasty.body)
        fault = fault_of(nasty, answer)
        if fault:
            found.append(
                (fault, answer.status, nasty.method, nasty.target[:120], nasty.headers, nasty.body[:90])
            )
    assert found == []
    assert caller.call("GET", "/v1/predictions?customer_id=c1").status == 200


def test_there_are_enough_of_them_over_every_route() -> None:
    calls = [
        (nasty.method, nasty.target, nasty.headers, nasty.body)
        for make in GROUPS.values()
        for nasty in make()
    ]
    assert len(set(calls)) >= CALLS_MIN
    parts = {target.split("?")[0].split("/")[2] for _, target, _, _ in calls if target.startswith("/v1/")}
    described = json.loads((Path(__file__).parents[1] / "docs/openapi.json").read_text(encoding="utf-8"))[
        "paths"
    ]
    assert {path.split("/")[2] for path in described if path.startswith("/v1/")} <= parts


def test_an_id_that_was_sent_with_an_event_is_kept_byte_for_byte(caller: Caller, var: Path) -> None:
    ids = list(dict.fromkeys(KEPT_IDS))
    calls = [
        {
            "type": "track",
            "messageId": f"kept {n}",
            "userId": each,
            "event": "Product Viewed",
            "properties": {"product_id": each},
            "timestamp": "2026-11-22T15:05:00Z",
        }
        for n, each in enumerate(ids)
    ]
    answer = caller.call("POST", "/v1/events/batch", JSON_TYPE, json.dumps({"batch": calls}).encode())
    assert json.loads(answer.body) == {"accepted": len(ids), "duplicates": 0, "suppressed": 0, "rejected": []}
    kept = [each.message for each in Inbox(State.of(Layout(var))).list_after(0, limit=10_000)]
    last = kept[-len(ids) :]
    assert [message.customer_id for message in last] == ids
    assert [message.product_id for message in last] == ids


@pytest.mark.parametrize("route", [*POSTS, "/v1/hooks/shopify/main", "/v1/hooks/woocommerce/other"])
def test_a_body_without_end_is_not_read_to_its_end(caller: Caller, route: str) -> None:
    """A gigabyte in parts is refused after the limit of the route, a declared one before its first byte."""
    part = b" " * 65_536
    signed = (*JSON_TYPE, ("x-wc-webhook-signature", MARK))
    endless = caller.call("POST", route, signed, repeat(part, 16_384))
    assert endless.status == 413
    assert endless.taken_bytes <= 4_000_000 + len(part)
    declared = caller.call("POST", route, (*signed, ("content-length", "50000000")), chain([part]))
    assert (declared.status, declared.taken_bytes) == (413, 0)


def answer_over(port: int, request: bytes) -> int | None:
    """Send bytes over a connection of their own; return the status, None where the server just hung up."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        with suppress(ConnectionError):
            connection.sendall(request)
        first = b""
        with suppress(ConnectionError):
            while b"\r\n" not in first and (part := connection.recv(4_096)):
                first += part
    return int(first.split(b" ", 2)[1]) if first.startswith(b"HTTP/1.1 ") else None


def written(nasty: Nasty) -> bytes:
    """Write a request as it goes over the wire."""
    given = dict(nasty.headers)
    named = {"host": "127.0.0.1", "connection": "close", "content-length": str(len(nasty.body))} | given
    lines = [f"{nasty.method} {nasty.target} HTTP/1.1", *(f"{n}: {v}" for n, v in named.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1") + nasty.body


def endless_body(port: int) -> tuple[int, bytes]:
    """Send a body in parts, for as long as the server takes them; return how many bytes, and its answer."""
    sent, part = 0, b"10000\r\n" + b" " * 65_536 + b"\r\n"
    head = b"POST /v1/events/batch HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(head)
        connection.settimeout(5)
        with suppress(OSError):
            for _ in range(16_384):
                connection.sendall(part)
                sent += 65_536
        with suppress(OSError):
            return sent, connection.recv(4_096)
    return sent, b""


@pytest.mark.slow
def test_nothing_nasty_breaks_a_real_server(var: Path) -> None:
    """The same over a socket, where the server's own parser comes first; a gigabyte without end, too."""
    with serving(var) as (process, port):
        workers = children(process.pid)
        found: Counter[int | None] = Counter()
        for nasty in (nasty for make in GROUPS.values() for nasty in make()):
            found[answer_over(port, written(nasty))] += 1
        assert not [status for status in found if status is not None and status >= 500]
        assert None not in found
        sent, answer = endless_body(port)
        assert sent < 100_000_000
        assert answer.startswith(b"HTTP/1.1 413") or not answer
        assert (children(process.pid), process.poll()) == (workers, None)
        assert answer_over(port, written(Nasty("GET", "/v1/predictions?customer_id=c1"))) == 200
