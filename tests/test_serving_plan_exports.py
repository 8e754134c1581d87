"""Whom a plan contacts, as a file: the same people in the same order, and a control group cut alike."""

import csv
import io
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from export_shop import export, fetched, open_api, open_bench, publish_scores
from starlette.testclient import TestClient
from test_serving_plans import CAMPAIGN, FOUR, PLAN

from serving.audiences.kept_members import keep_members
from serving.jobs import Bench
from serving.state.list_exports import ListExports

CSV = "/v1/audiences/at-risk/export.csv"
# Half of them leave for certain and spend 20 to 2,000: profit 0.05 s - 2, so from a spend of 41 on it pays.
MANY: dict[str, dict[str, Any]] = {
    f"{n:03}": {"churn_probability": 1.0, "value_at_risk": 20.0 * (1 + n % 100)} for n in range(400)
}


def planned(bench: Bench, share: float = 0.0, people: dict[str, dict[str, Any]] = FOUR) -> TestClient:
    publish_scores(bench.layout.root, people, share=share)
    return open_api(bench.layout.root)


@pytest.fixture
def bench(database: str, tmp_path: Path) -> Bench:
    return open_bench(tmp_path)


def ids(text: str) -> list[str]:
    return [row["customer_id"] for row in csv.DictReader(io.StringIO(text))]


def taken(client: TestClient, **asked: Any) -> str:
    answer = client.get(CSV, params=CAMPAIGN | {"plan": "true"} | asked)
    assert answer.status_code == 200, answer.text
    return answer.text


def test_the_file_holds_whom_the_plan_contacts_in_its_order(bench: Bench) -> None:
    with planned(bench) as client:
        plan = client.post(PLAN, json=CAMPAIGN).json()
        whole = client.get(CSV).text.splitlines()
        part = taken(client)
        job = export(client, bench, plan=CAMPAIGN)
        file = fetched(client, job).decode()
    assert ids(part) == ids(file) == [each["customer_id"] for each in plan["contacts"]] == ["4", "1"]
    # Each line is the one that stands in the whole list's file.
    assert part.splitlines() == [whole[0], whole[4], whole[1]]
    assert (job["row_count"], job["contact_count"]) == (2, 2)
    assert job["request"]["plan"] == {
        **CAMPAIGN,
        "response_low": 0.05,
        "response_high": 0.15,
        "loyal_redeem_share": 1.0,
        "budget": None,
    }
    of_job, of_csv, _ = ListExports(bench.state).page(before=None, limit=10)
    for left in (of_job, of_csv):
        assert left.request["plan"] == job["request"]["plan"] | {"contact_count": 2}
        assert (left.row_count, left.audience, left.members) == (2, "at-risk", "none")


def test_nobody_is_an_empty_file_that_says_so(bench: Bench) -> None:
    with planned(bench, 0.3, MANY) as client:
        header = client.get(CSV).text.splitlines()[0]
        empty = taken(client, offer_cost=5000.0)
        job = export(client, bench, plan=CAMPAIGN | {"offer_cost": 5000.0})
        assert fetched(client, job).decode().splitlines() == empty.splitlines() == [header]
        left = client.get("/v1/exports").json()["exports"][1]
    assert (job["status"], job["row_count"], job["contact_count"]) == ("done", 0, 0)
    assert (left["row_count"], left["request"]["plan"]["contact_count"]) == (0, 0)
    # Nobody was contacted: there is nothing to compare.
    assert (left["members"], left["control_group_count"]) == ("none", 0)


def test_the_control_group_is_cut_by_the_same_rule(bench: Bench) -> None:
    with planned(bench, 0.3, MANY) as client:
        everybody = client.get("/v1/audiences/at-risk/members?control=only&limit=500").json()["members"]
        held = {member["customer_id"] for member in everybody}
        pays = {customer_id for customer_id, row in MANY.items() if row["value_at_risk"] > 40.0}
        assert set(ids(taken(client))) == pays - held
        assert set(ids(taken(client, control="only"))) == pays & held
        both = list(csv.DictReader(io.StringIO(taken(client, control="include"))))
    assert {row["customer_id"] for row in both} == pays
    assert {row["customer_id"] for row in both if row["control_group"] == "true"} == pays & held
    spends = [MANY[row["customer_id"]]["value_at_risk"] for row in both]
    assert spends == sorted(spends, reverse=True)
    left = ListExports(bench.state).page(before=None, limit=10, with_pages=False)
    assert [each.control_group_count for each in left] == [len(pays & held)] * 3
    assert {row["control_group_share"] for row in both} == {"0.3"}


def test_the_outcome_compares_those_within_the_cut(bench: Bench) -> None:
    with planned(bench, 0.3, MANY) as client:
        # 60 contacts of 2.0: of the 100 spends the highest, which four people have each.
        contacted = ids(taken(client, budget=120.0))
    assert len(contacted) == 60
    lowest = MANY[contacted[-1]]["value_at_risk"]
    assert keep_members(bench.layout, bench.state, bench.store) == 1
    (path,) = bench.layout.outcomes.iterdir()
    kept = pl.read_parquet(path)
    assert kept.filter(~pl.col("is_control"))["customer_id"].to_list() == contacted
    control = kept.filter(pl.col("is_control"))["customer_id"].to_list()
    assert 0 < len(control) < 60
    assert all(MANY[customer_id]["value_at_risk"] >= lowest for customer_id in control)


def test_a_platform_gets_the_cut_alone(bench: Bench) -> None:
    with planned(bench) as client:
        whole = export(client, bench, profile="braze")
        part = export(client, bench, profile="braze", plan=CAMPAIGN)
        text = fetched(client, part).decode()
    assert whole["row_count"] == 4
    # Two leave the list, nothing else is new.
    assert part["row_count"] == 2
    assert text.count('"regulars_list_at_risk":false') == 2


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("plan=true&min_clv=5", "/query/min_clv"),
        ("offer_cost=5", "/query/offer_cost"),
        ("plan=true&margin_share=2", "/query/margin_share"),
        ("plan=true&response_share=0.1&response_high=0.05", "/query/response_share"),
    ],
)
def test_a_wrong_campaign_of_a_csv_is_named(tmp_path: Path, query: str, pointer: str) -> None:
    publish_scores(tmp_path, FOUR)
    with open_api(tmp_path) as client:
        answer = client.get(f"{CSV}?{query}")
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"plan": {"margin_share": 2.0}}, "/body/plan/margin_share"),
        ({"plan": {"response_share": 0.1, "response_high": 0.05}}, "/body/plan/response_share"),
        ({"plan": {"limit": 5}}, "/body/plan"),
        ({"plan": {}, "min_clv": 5.0}, "/body/min_clv"),
        ({"version": 1}, "/body/version"),
        ({"segment": "large-order"}, "/body/audience"),
    ],
)
def test_a_wrong_campaign_of_an_export_is_named(tmp_path: Path, body: Any, pointer: str) -> None:
    publish_scores(tmp_path, FOUR)
    open_bench(tmp_path)
    with open_api(tmp_path) as client:
        answer = client.post("/v1/exports", json={"audience": "at-risk", **body})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
