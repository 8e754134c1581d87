"""Many customers at once, and bodies that are not what they should be."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import Request
from serving_runs import NASTY_IDS, publish
from starlette.testclient import TestClient

from serving.api import create_app
from serving.environment import Environment
from serving.routes.batch import BODY_BYTES_MAX, IDS_MAX
from serving.schemas.base import Problem
from serving.schemas.customers import PredictionBatch
from serving.web.bodies import read_json
from serving.web.problems import ProblemError

PATH = "/v1/predictions/batch"
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    var = tmp_path_factory.mktemp("var")
    publish(var, [*(f"c{number}" for number in range(1_200)), *NASTY_IDS])
    app = create_app(Environment(var=var))
    with TestClient(app, base_url="http://127.0.0.1:8000", raise_server_exceptions=False) as opened:
        yield opened


def ask(client: TestClient, ids: list[Any]) -> Any:
    answer = client.post(PATH, json={"customer_ids": ids})
    assert answer.status_code == 200
    PredictionBatch.model_validate(answer.json())
    return answer.json()


def test_rows_come_in_the_order_asked_and_equal_those_of_one_call(client: TestClient) -> None:
    ids = ["c7", "nobody", "c3", "c7", *NASTY_IDS]
    found = ask(client, ids)
    assert [row["customer_id"] for row in found["results"]] == ids
    assert [row["status"] for row in found["results"]][:4] == ["ok", "not_found", "ok", "ok"]
    for row in found["results"]:
        one = client.get(
            "/v1/predictions", params={"customer_id": row["customer_id"], "on_missing": "fallback"}
        )
        expected = one.json()
        expected.pop("recommendations", None)
        assert row == expected
    assert {row["score_run_id"] for row in found["results"]} == {found["score_run_id"]}


def test_a_thousand_at_once_and_not_one_more(client: TestClient) -> None:
    ids = [f"c{number}" for number in range(IDS_MAX)]
    assert [row["customer_id"] for row in ask(client, ids)["results"]] == ids
    refused = client.post(PATH, json={"customer_ids": [*ids, "c1"]})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/body/customer_ids"
    longest = ["\U0001f600" * 256] * IDS_MAX
    assert len(json.dumps({"customer_ids": longest})) < BODY_BYTES_MAX
    assert {row["status"] for row in ask(client, longest)["results"]} == {"not_found"}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ("", "/body"),
        ("{", "/body"),
        ("[]", "/body"),
        ("null", "/body"),
        ('"c1"', "/body"),
        ("{}", "/body"),
        ('{"customer_ids": ["c1"], "more": 1}', "/body"),
        ('{"customer_ids": []}', "/body/customer_ids"),
        ('{"customer_ids": "c1"}', "/body/customer_ids"),
        ('{"customer_ids": {"0": "c1"}}', "/body/customer_ids"),
        ('{"customer_ids": ["c1", 7]}', "/body/customer_ids/1"),
        ('{"customer_ids": [null]}', "/body/customer_ids/0"),
        ('{"customer_ids": [true]}', "/body/customer_ids/0"),
        ('{"customer_ids": [["c1"]]}', "/body/customer_ids/0"),
        ('{"customer_ids": [""]}', "/body/customer_ids/0"),
        ('{"customer_ids": ["' + "a" * 257 + '"]}', "/body/customer_ids/0"),
        ('{"customer_ids": ["a\\u0000b"]}', "/body/customer_ids/0"),
        ('{"customer_ids": ["a\\nb"]}', "/body/customer_ids/0"),
        ('{"customer_ids": ["\\ud800"]}', "/body"),
        ('{"customer_ids": [NaN]}', "/body"),
        ('{"customer_ids": [Infinity]}', "/body"),
        ('{"customer_ids": [1e400]}', "/body"),
        ('{"customer_ids": [' + "9" * 5_000 + "]}", "/body"),
        ("[" * 100_000 + "]" * 100_000, "/body"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "/body"),
        (b"\xef\xbb\xbf" + b'{"customer_ids": ["c1"]}', "/body"),
        (b'{"customer_ids": ["\xff\xfe"]}', "/body"),
        ('{"customer_ids": ["c1"]}'.encode("utf-16"), "/body"),
        (gzip.compress(b'{"customer_ids": ["c1"]}', mtime=0), "/body"),
    ],
)
def test_a_body_that_is_no_list_of_ids_is_refused(
    client: TestClient, body: str | bytes, pointer: str
) -> None:
    answer = client.post(PATH, content=body, headers=JSON)
    assert answer.status_code == 422
    (error,) = Problem.model_validate(answer.json()).errors
    assert error.pointer.startswith(pointer)


def test_a_key_written_twice_counts_once(client: TestClient) -> None:
    answer = client.post(PATH, content='{"customer_ids": ["c1"], "customer_ids": ["c2"]}', headers=JSON)
    assert answer.status_code == 200
    assert [row["customer_id"] for row in answer.json()["results"]] == ["c2"]


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "application/json", "content-encoding": "gzip"},
        {"content-type": "application/json", "content-encoding": "br"},
    ],
)
def test_another_or_a_packed_format_is_refused(client: TestClient, headers: dict[str, str]) -> None:
    answer = client.post(PATH, content=b'{"customer_ids": ["c1"]}', headers=headers)
    assert answer.status_code == 415
    assert answer.json()["type"] == "urn:regulars:problem:unsupported-format"


def test_a_body_that_is_too_large_is_refused_declared_or_not(client: TestClient) -> None:
    large = b" " * (BODY_BYTES_MAX + 1)
    assert client.post(PATH, content=large, headers=JSON).status_code == 413
    assert client.post(PATH, content=iter([large[:-1], b"  "]), headers=JSON).status_code == 413
    assert client.post(PATH, content=b"{}", headers=JSON | {"content-length": "9" * 30}).status_code == 413


def body_read(chunks: AsyncIterator[dict[str, Any]], **headers: str) -> Any:
    """Read a body that comes as a test wants it to come."""
    scope = {
        "type": "http",
        "method": "POST",
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
    }
    request = Request(scope, receive=lambda: anext(chunks))  # type: ignore[arg-type]
    return asyncio.run(read_json(request, bytes_max=100, deadline_seconds=0.05))  # type: ignore[arg-type]


async def stream(
    *parts: bytes, pause_seconds: float = 0.0, ends: bool = True
) -> AsyncIterator[dict[str, Any]]:
    for part in parts:
        yield {"type": "http.request", "body": part, "more_body": True}
    await asyncio.sleep(pause_seconds)
    yield {"type": "http.request", "body": b"", "more_body": False} if ends else {"type": "http.disconnect"}


def test_a_body_in_parts_is_read_whole() -> None:
    assert body_read(stream(b'{"a": ', b"1}")) == {"a": 1}


@pytest.mark.parametrize(
    ("chunks", "status"),
    [
        (stream(b"{", pause_seconds=5.0), 408),
        (stream(b"{", ends=False), 400),
        (stream(*[b" " * 50] * 3, pause_seconds=5.0), 413),
    ],
)
def test_a_body_that_does_not_come_is_not_waited_for(
    chunks: AsyncIterator[dict[str, Any]], status: int
) -> None:
    with pytest.raises(ProblemError) as refused:
        body_read(chunks)
    assert refused.value.status == status


def test_what_is_declared_too_large_is_not_read(tmp_path: Path) -> None:
    async def never() -> AsyncIterator[dict[str, Any]]:
        raise AssertionError("the body was read")
        yield {}

    with pytest.raises(ProblemError) as refused:
        body_read(never(), content_length="101")
    assert refused.value.status == 413
