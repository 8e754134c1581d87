"""Nasty requests over every route: each is answered, below 500, and nothing sent comes back in an error."""

import json
from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path

import pytest
from asgi_calls import Answer, Caller, calling
from nasty_requests import GROUPS, HOOK_SECRET, JSON_TYPE, KEPT_IDS, MARK, POSTS, Nasty
from serving_runs import publish

from features.settings import Layout
from serving.hook_sources import HookSources
from serving.problems import MEDIA_TYPE
from serving.schemas import Problem
from serving.state.database import State
from serving.state.inbox import Inbox
from serving.state.migrate import make

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
