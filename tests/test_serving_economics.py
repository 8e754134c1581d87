"""`POST /v1/economics`: the figures of the trade for channels that are sent, and clear mistakes."""

from collections.abc import Iterator
from typing import Any

import pytest
from serving_runs import publish
from starlette.testclient import TestClient
from test_serving_api import open_client


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    var = tmp_path_factory.mktemp("var")
    publish(var, ["c1"])
    with open_client(var) as opened:
        yield opened


def test_channels_are_answered_in_their_order(client: TestClient) -> None:
    search = {"name": "search", "clv": 100, "spend": 15000, "new_customer_count": 500, "conversion_rate": 0.1}
    body = {"channels": [search, {"name": "friends", "clv": 600, "cac": 100}, {"name": "unknown", "clv": 5}]}
    answer = client.post("/v1/economics", json=body)
    assert answer.status_code == 200
    first, second, third = answer.json()["channels"]
    assert (first["name"], first["cac"], first["break_even_bid"]) == ("search", 30.0, 10.0)
    assert first["target_bid"] == pytest.approx(10 / 3)
    assert first["payback_months"] == pytest.approx(3.6)
    assert (second["ltv_to_cac"], second["is_good"], second["roi"]) == (6.0, True, 500.0)
    assert (third["cac"], third["is_good"], third["payback_months"]) == (None, None, None)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ([], "/body"),
        ({"channels": []}, "/body/channels"),
        ({"channels": [{"name": "a"}]}, "/body/channels/0/clv"),
        ({"channels": [{"name": "a", "clv": "x"}]}, "/body/channels/0/clv"),
        ({"channels": [{"name": "a", "clv": 1e300}]}, "/body/channels/0/clv"),
        ({"channels": [{"name": "a", "clv": 1, "cac": -1}]}, "/body/channels/0/cac"),
        ({"channels": [{"name": "a", "clv": 1, "spend": 5}]}, "/body/channels/0"),
        (
            {"channels": [{"name": "a", "clv": 1, "cac": 1, "spend": 5, "new_customer_count": 1}]},
            "/body/channels/0",
        ),
        ({"channels": [{"name": "a", "clv": 1, "conversion_rate": 0}]}, "/body/channels/0/conversion_rate"),
        ({"channels": [{"name": "a", "clv": 1, "<b>": 0}]}, "/body/channels/0"),
        ({"channels": [{"name": "a", "clv": 1}], "target_ratio": 0}, "/body/target_ratio"),
    ],
)
def test_a_mistake_is_named_with_its_place(client: TestClient, body: Any, pointer: str) -> None:
    answer = client.post("/v1/economics", json=body)
    assert answer.status_code == 422
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]
    assert "<b>" not in answer.text


def test_what_is_not_finite_is_no_number(client: TestClient) -> None:
    for text in ("NaN", "Infinity", "1e999"):
        body = f'{{"channels": [{{"name": "a", "clv": {text}}}]}}'
        answer = client.post("/v1/economics", content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 422
