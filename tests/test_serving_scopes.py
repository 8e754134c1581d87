"""Routes that answer by themselves where nothing was sent that could be wrong."""

from collections.abc import Iterator
from typing import Annotated

import pytest
from fastapi import Header, Query, Request, Response
from serving_runs import publish
from starlette.testclient import TestClient
from test_serving_api import open_client

from serving.web.scopes import PUBLIC, ScopedRoute, needs


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    var = tmp_path_factory.mktemp("var")
    publish(var)
    with open_client(var) as opened:
        yield opened


@pytest.mark.parametrize(
    "path",
    [
        "/v1/customers/a%2Fb/predictions",
        "/v1/customers/nobody/predictions",
        "/v1/customers/%ff/predictions",
        "/v1/audiences",
        "/v1/audiences/at-risk/members",
        "/v1/audiences/nothing/members",
        "/v1/audiences/at-risk/export.csv",
        "/v1/models/current",
        "/readyz",
    ],
)
def test_a_call_without_a_query_is_answered_as_with_one(client: TestClient, path: str) -> None:
    """A parameter that no route knows makes FastAPI read the query."""
    given = {"x-request-id": "same"}
    plain, read = client.get(path, headers=given), client.get(f"{path}?unknown=1", headers=given)
    assert (plain.status_code, plain.content) == (read.status_code, read.content)
    assert plain.headers == read.headers


async def asks_nothing(request: Request, limit: int = 3) -> Response:
    return Response()


async def asks_a_number(request: Request, number: int) -> Response:
    return Response()


async def asks_a_header(request: Request, agent: Annotated[str, Header()] = "") -> Response:
    return Response()


async def asks_a_query(request: Request, word: Annotated[str, Query()]) -> Response:
    return Response()


async def leaves_writing_to_the_framework(request: Request) -> dict[str, int]:
    return {}


async def knows_no_request() -> Response:
    return Response()


@pytest.mark.parametrize(
    ("endpoint", "is_direct"),
    [
        (asks_nothing, True),
        (asks_a_number, False),
        (asks_a_header, False),
        (asks_a_query, False),
        (leaves_writing_to_the_framework, False),
        (knows_no_request, False),
    ],
)
def test_what_has_to_be_read_goes_through_the_framework(endpoint: object, is_direct: bool) -> None:
    path = "/x/{number}" if endpoint is asks_a_number else "/x"
    route = ScopedRoute(path, endpoint, openapi_extra=needs(PUBLIC), response_model=None)  # type: ignore[arg-type]
    assert route._has_defaults_alone() is is_direct
