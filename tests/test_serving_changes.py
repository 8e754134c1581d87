"""GET /v1/changes: every change once and in order, cursors that say when something was missed."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from change_runs import log_of, made_state, row, run
from serving_runs import NASTY_IDS, publish
from starlette.testclient import TestClient
from test_serving_api import open_client
from test_serving_guard import bearer, lose

from serving.schemas.base import Problem
from serving.schemas.changes import Changes
from serving.state.database import State
from serving.state.keys import Keys
from serving.state.tables import CHANGE_LOG


@pytest.fixture
def state(tmp_path: Path, database: str) -> State:
    publish(tmp_path, ["c1"])
    return made_state(tmp_path)


@pytest.fixture
def client(tmp_path: Path, state: State) -> Iterator[TestClient]:
    with open_client(tmp_path) as opened:
        yield opened


def get(client: TestClient, **query: Any) -> Any:
    answer = client.get("/v1/changes", params=query)
    assert answer.status_code == 200, answer.text
    Changes.model_validate_json(answer.content)
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()


def refused(client: TestClient, status: int, **query: Any) -> Problem:
    answer = client.get("/v1/changes", params=query)
    assert answer.status_code == status, answer.text
    return Problem.model_validate(answer.json())


def test_a_poller_sees_every_change_once_and_in_order(client: TestClient, state: State) -> None:
    log = log_of(state)
    log.report_run([row(name) for name in NASTY_IDS], run(1))
    page, seen = get(client, limit=7), []
    while True:
        seen += page["changes"]
        if not page["has_more"]:
            break
        page = get(client, limit=7, cursor=page["next_cursor"])
    assert [change["customer_id"] for change in seen] == list(NASTY_IDS)
    assert [change["sequence"] for change in seen] == list(range(1, len(NASTY_IDS) + 1))
    empty = get(client, cursor=page["next_cursor"])
    assert (empty["changes"], empty["has_more"]) == ([], False)
    log.report_run([row("a/b", historic_number_of_orders=5)], run(2))
    more = get(client, cursor=empty["next_cursor"])["changes"]
    assert [(change["customer_id"], change["event"] or change["kind"]) for change in more[:2]] == [
        ("a/b", "scores"),
        ("a/b", "nth_order"),
    ]
    assert {change["kind"] for change in more[2:]} == {"removed"}
    assert len(more) == 1 + len(NASTY_IDS)


def test_a_change_says_what_is_new_with_all_that_is_needed(client: TestClient, state: State) -> None:
    log = log_of(state)
    log.report_run([row()], run(1))
    log.report_run([row(churn_probability=0.6, value_at_risk=38.5)], run(2))
    first, second = get(client)["changes"]
    assert first["changed"] == [name for name in first["scores"] if name in first["changed"]]
    assert (second["changed"], second["event"], second["values"]) == (
        ["churn_probability", "value_at_risk"],
        None,
        None,
    )
    assert second["scores"] == {
        "status": "ok",
        "churn_probability": 0.6,
        "risk_band": "high",
        "lapsed": False,
        "lifecycle_stage": "slipping",
        "rfm_segment": "PREVIOUSLY_LOYAL",
        "predicted_clv": 122.0,
        "historic_clv": 401.0,
        "value_at_risk": 38.5,
        "historic_number_of_orders": 3,
        "last_order_at": "2026-11-17T10:00:00Z",
        "expected_date_of_next_order": "2027-02-17",
        "email_consent": True,
        "churn_horizon_days": 90,
        "clv_horizon_days": 365,
        "currency": "EUR",
        "clv_basis": "net",
    }
    assert (second["as_of"], second["score_run_id"], second["kind"]) == ("2026-11-22", "s_0002", "scores")


def test_whoever_begins_with_the_newest_sees_what_is_yet_to_come(client: TestClient, state: State) -> None:
    log = log_of(state)
    log.report_run([row("a"), row("b")], run(1))
    page = get(client, begin="newest")
    assert page["changes"] == []
    log.report_run([row("a"), row("b", historic_number_of_orders=4)], run(2))
    (change,) = get(client, cursor=page["next_cursor"])["changes"]
    assert change["customer_id"] == "b"


def test_before_the_first_run_the_log_is_empty_and_its_cursor_lasts(client: TestClient, state: State) -> None:
    page = get(client)
    assert page["changes"] == []
    log_of(state).report_run([row()], run(1))
    assert len(get(client, cursor=page["next_cursor"])["changes"]) == 1


def test_a_cursor_behind_which_changes_are_gone_is_told_so(client: TestClient, state: State) -> None:
    log = log_of(state, now=lambda: datetime(2026, 11, 22, tzinfo=UTC))
    log.report_run([row("a"), row("b")], run(1))
    behind = get(client, limit=1)["next_cursor"]
    log.report_run([row("b", historic_number_of_orders=4)], run(2))
    up_to_date = get(client)["next_cursor"]
    later = log_of(state, now=lambda: datetime(2027, 1, 22, tzinfo=UTC))
    assert later.remove_old() == 3
    problem = refused(client, 410, cursor=behind)
    assert problem.type == "urn:regulars:problem:cursor-expired"
    assert "Begin anew: call without a cursor" in problem.detail
    assert get(client, cursor=up_to_date)["changes"] == []
    anew = get(client, limit=1)
    assert [change["customer_id"] for change in anew["changes"]] == ["b"]
    assert get(client, cursor=anew["next_cursor"])["changes"] == []


def test_a_reader_of_the_thinned_out_log_is_not_sent_back(client: TestClient, state: State) -> None:
    log = log_of(state, now=lambda: datetime(2026, 11, 22, tzinfo=UTC))
    log.report_run([row("a"), row("b"), row("c")], run(1))
    log.report_run([row("a"), row("b"), row("c", historic_number_of_orders=4)], run(2))
    later = log_of(state, now=lambda: datetime(2027, 1, 22, tzinfo=UTC))
    later.remove_old()
    page, seen = get(client, limit=1), []
    while page["changes"]:
        seen += [change["customer_id"] for change in page["changes"]]
        page = get(client, limit=1, cursor=page["next_cursor"])
    assert seen == ["a", "b", "c"]


def test_a_cursor_of_another_log_is_told_so(client: TestClient, state: State) -> None:
    log_of(state).report_run([row()], run(1))
    cursor = get(client)["next_cursor"]
    with state.writing() as connection:
        connection.execute(sa.update(CHANGE_LOG).values(log_id="another"))
    assert refused(client, 410, cursor=cursor).type == "urn:regulars:problem:cursor-expired"


@pytest.mark.parametrize("cursor", ["", "x", "WyJjaGFuZ2VzIl0.x", "null", "🙂", "a" * 2000])
def test_what_is_no_cursor_is_malformed(client: TestClient, cursor: str) -> None:
    problem = refused(client, 422, cursor=cursor)
    assert problem.errors[0].pointer == "/query/cursor"


def test_a_cursor_of_a_list_is_no_cursor_of_the_log(client: TestClient, state: State, tmp_path: Path) -> None:
    publish(tmp_path, ["a", "b"])
    with open_client(tmp_path) as opened:
        of_list = opened.get("/v1/audiences/at-risk/members?limit=1").json()["next_cursor"]
        of_log = get(opened)["next_cursor"]
        refused(opened, 422, cursor=of_list)
        assert opened.get("/v1/audiences/at-risk/members", params={"cursor": of_log}).status_code == 422


@pytest.mark.parametrize(
    "query", [{"limit": 0}, {"limit": 1001}, {"begin": "middle"}, {"cursor": "a" * 2049}]
)
def test_a_wrong_parameter_is_malformed(client: TestClient, query: dict[str, Any]) -> None:
    assert refused(client, 422, **query).status == 422


@pytest.mark.parametrize("damage", ["gone", "noise"])
def test_a_log_that_cannot_be_read_is_no_empty_one(
    state: State, tmp_path: Path, database: str, damage: str
) -> None:
    # With a key, since the door that is open without any closes where the state cannot be read.
    _, secret = Keys(state).add("reader", ["audiences:read"])
    with open_client(tmp_path) as client:
        client.headers.update(bearer(secret))
        assert get(client)["changes"] == []
        lose(state, database, damage)
        assert refused(client, 503).type == "urn:regulars:problem:no-changes"


def test_the_example_of_the_description_is_a_true_one() -> None:
    described = json.loads((Path(__file__).parent.parent / "docs/openapi.json").read_text(encoding="utf-8"))
    content = described["paths"]["/v1/changes"]["get"]["responses"]["200"]["content"]["application/json"]
    example = Changes.model_validate(content["example"])
    assert [change.sequence for change in example.changes] == sorted(
        change.sequence for change in example.changes
    )
    assert {change.kind for change in example.changes} == {"scores", "removed", "event"}
