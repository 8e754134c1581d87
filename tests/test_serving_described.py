"""The description holds: whatever is asked, the answer is one that docs/openapi.json declares."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import schemathesis
from asgi_calls import Caller, calling
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode, Response
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from serving_runs import publish

from features.layout import Layout
from serving.state.database import State
from serving.state.keys import Keys
from serving.state.migrate import make

URL = "http://127.0.0.1:8000"
DESCRIPTION = json.loads((Path(__file__).parents[1] / "docs/openapi.json").read_text(encoding="utf-8"))
OPERATIONS = {
    found.ok().label: found.ok() for found in schemathesis.openapi.from_dict(DESCRIPTION).get_all_operations()
}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
KNOWN = {"customer_id": "c1", "product_id": "00007", "slug": "at-risk"}


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Caller, str]]:
    """An application with a run, and a key that may do everything as often as it likes."""
    var = tmp_path_factory.mktemp("var")
    publish(var)
    state = State.of(Layout(var))
    make(state)
    _, secret = Keys(state).add("tests", ["admin"], calls_per_minute=1_000_000)
    with calling(var) as caller:
        yield caller, secret


def cases_of(operation: Any) -> st.SearchStrategy[Case]:
    """Draw calls that are well-formed, the same about what is known, and malformed ones."""
    names = {
        parameter["name"]
        for parameter in DESCRIPTION["paths"][operation.path][operation.method].get("parameters", [])
        if parameter["in"] == "path"
    }
    there = {name: KNOWN[name] for name in names & KNOWN.keys()}
    drawn = [operation.as_strategy(), operation.as_strategy(path_parameters=there)]
    return st.one_of(*drawn, operation.as_strategy(GenerationMode.NEGATIVE))


def answer_of(case: Case, caller: Caller, secret: str) -> Response:
    """Call for a case, with the key unless the case has a header of its own."""
    asked = requests.Request(**case.as_transport_kwargs(base_url=URL)).prepare()
    address = urlsplit(str(asked.url))
    headers = {"Authorization": f"Bearer {secret}"} | dict(asked.headers)
    body = asked.body.encode() if isinstance(asked.body, str) else asked.body or b""
    target = address.path + (f"?{address.query}" if address.query else "")
    sent = [(name, as_text(value)) for name, value in headers.items()]
    got = caller.call(str(asked.method), target, sent, body)
    shown = {name: [value] for name, value in got.headers.items()}
    return Response(got.status, shown, got.body, asked, 0.0, verify=True)


def as_text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


def hold_to_the_description(operation: Any, known: tuple[Caller, str], *, examples: int) -> None:
    statuses: set[int] = set()

    @seed(20261122)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases_of(operation))
    def check(case: Case) -> None:
        answer = answer_of(case, *known)
        statuses.add(answer.status_code)
        case.validate_response(answer, checks=CHECKS)

    check()
    assert statuses


def test_every_operation_is_asked() -> None:
    described = {(method.upper(), path) for path, each in DESCRIPTION["paths"].items() for method in each}
    assert {tuple(label.split(" ", 1)) for label in OPERATIONS} == described


@pytest.mark.parametrize("label", OPERATIONS)
def test_answers_are_those_of_the_description(label: str, known: tuple[Caller, str]) -> None:
    hold_to_the_description(OPERATIONS[label], known, examples=12)


@pytest.mark.slow
@pytest.mark.parametrize("label", OPERATIONS)
def test_many_answers_are_those_of_the_description(label: str, known: tuple[Caller, str]) -> None:
    hold_to_the_description(OPERATIONS[label], known, examples=150)
