"""Lists as calls return them: their size and rule, pages, and the control group that is left out."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serving_runs import publish
from starlette.testclient import TestClient
from test_serving_api import open_client

from serving.audiences.control_group import ControlGroup
from serving.schemas.lists import Audiences, Members

IDS = [f"c{number}" for number in range(700)]
MEMBERS = "/v1/audiences/at-risk/members"
EXPORT = "/v1/audiences/at-risk/export.csv"


@pytest.fixture(scope="module")
def var(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("var")
    publish(folder, IDS, control_group_share=0.1)
    return folder


@pytest.fixture(scope="module")
def client(var: Path) -> Iterator[TestClient]:
    with open_client(var) as opened:
        yield opened


@pytest.fixture(scope="module")
def drawn(client: TestClient, var: Path) -> list[str]:
    """Return who is in the control group, as the installation's secret has it."""
    group = ControlGroup.of(var / "private")
    return [c for c in IDS if group.holds("at-risk", c, share=0.1)]


def pages(client: TestClient, query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    url = f"{MEMBERS}?limit=90&{query}"
    while True:
        page = client.get(url).json()
        assert len(page["members"]) == 90 or page["next_cursor"] is None
        found += page["members"]
        if page["next_cursor"] is None:
            return found
        url = f"{MEMBERS}?limit=90&cursor={page['next_cursor']}"


def test_a_list_says_its_rule_and_whom_it_keeps_out(client: TestClient) -> None:
    answer = client.get("/v1/audiences").json()
    Audiences.model_validate(answer)
    (summary,) = answer["audiences"]
    assert (summary["slug"], summary["title"], summary["order"]) == (
        "at-risk",
        "At risk",
        "value_at_risk desc",
    )
    assert summary["rule"] == 'risk_band == "high" and lapsed != true'
    assert (summary["member_count"], summary["control_group_share"]) == (700, 0.1)


def test_members_leave_the_control_group_out_until_it_is_asked_for(
    client: TestClient, drawn: list[str]
) -> None:
    assert 40 <= len(drawn) <= 100
    assert [m["customer_id"] for m in pages(client, "")] == [c for c in IDS if c not in drawn]
    assert [m["customer_id"] for m in pages(client, "control=only")] == drawn
    marked = pages(client, "control=include")
    assert [m["customer_id"] for m in marked] == IDS
    assert [m["customer_id"] for m in marked if m["control_group"]] == drawn
    Members.model_validate(client.get(f"{MEMBERS}?limit=3&control=only").json())
    assert client.get(MEMBERS).json()["control_group_share"] == 0.1


def test_a_cursor_keeps_what_was_wanted(client: TestClient) -> None:
    cursor = client.get(f"{MEMBERS}?limit=2&control=only").json()["next_cursor"]
    assert client.get(f"{MEMBERS}?limit=2&control=only&cursor={cursor}").status_code == 200
    refused = client.get(f"{MEMBERS}?limit=2&control=include&cursor={cursor}")
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/query/control"
    assert client.get(f"{MEMBERS}?control=all").status_code == 422


def read(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def test_the_file_for_a_mailing_holds_nobody_of_the_control_group(
    client: TestClient, drawn: list[str]
) -> None:
    mailed = read(client.get(EXPORT).content)
    assert [row["customer_id"] for row in mailed] == [c for c in IDS if c not in drawn]
    assert {(row["control_group"], row["control_group_share"]) for row in mailed} == {("false", "0.1")}
    everybody = read(client.get(f"{EXPORT}?control=include").content)
    assert [row["customer_id"] for row in everybody if row["control_group"] == "true"] == drawn
    assert len(everybody) == 700


def test_one_customer_knows_of_no_control_group(client: TestClient, drawn: list[str]) -> None:
    one = client.get(f"/v1/customers/{drawn[0]}/predictions").json()
    assert "control_group" not in one


def test_a_list_can_come_with_the_items_of_another_kind(client: TestClient) -> None:
    first = read(client.get(f"{EXPORT}?items=1&kind=buy_again").content)[0]
    assert first["item1_product_id"] == ""
    assert read(client.get(f"{EXPORT}?items=1").content)[0]["item1_product_id"] == "00007"


def test_a_run_without_the_list_has_no_such_address(tmp_path: Path) -> None:
    publish(tmp_path, ["c1"], audiences={})
    with open_client(tmp_path) as client:
        assert client.get("/v1/audiences").json() == {"audiences": []}
        assert client.get(MEMBERS).status_code == 404
        assert client.get(EXPORT).status_code == 404
        assert client.get("/").status_code == 200
