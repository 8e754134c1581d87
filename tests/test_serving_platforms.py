"""What a platform is told, when, and in how large bodies."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from export_shop import bearer, export, fetched, know_people, open_api, open_bench, publish_scores, run_jobs
from serving_runs import COMPLETE, stored_row
from starlette.testclient import TestClient

from serving.exports.platforms import PLATFORMS, Bodies, changes_to_send, score_attributes
from serving.jobs import Bench
from serving.state.jobs import Order
from serving.state.last_sent import LastSent

LIST = "regulars_list_at_risk"
SCORE = {
    "regulars_risk_band": "high",
    "regulars_churn_probability": 0.49,
    "regulars_churn_percentile": 91,
    "regulars_predicted_clv": 122.0,
    "regulars_value_at_risk": 31.4,
    "regulars_expected_date_of_next_order": "2027-02-17",
    "regulars_as_of": "2026-11-22",
}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return open_bench(tmp_path)


@pytest.fixture
def client(bench: Bench) -> Iterator[TestClient]:
    publish_scores(bench.layout.root, {"a": {}, "b": {}, "c": {}}, listed=["a", "b"])
    with open_api(bench.layout.root) as opened:
        yield opened


def sent(client: TestClient, bench: Bench, **body: Any) -> dict[str, dict[str, Any]]:
    """Export to Braze; return the attributes of each customer that went."""
    job = export(client, bench, profile="braze", **body)
    assert job["error"] is None
    users = [user for line in fetched(client, job).splitlines() for user in json.loads(line)["attributes"]]
    assert job["row_count"] == len(users)
    assert all(user.pop("_update_existing_only") is True for user in users)
    return {user.pop("external_id"): user for user in users}


def test_attributes_are_flat_typed_and_few() -> None:
    attributes = score_attributes(stored_row("a"))
    assert attributes == SCORE
    assert len(attributes) + 2 <= 10
    assert all(len(str(value).encode()) <= 512 for value in attributes.values())
    assert (
        score_attributes(stored_row("a", churn_probability=0.123456))["regulars_churn_probability"] == 0.1235
    )
    assert score_attributes(stored_row("a", churn_probability=None))["regulars_churn_probability"] is None


def test_the_first_export_tells_everything_and_the_next_one_nothing(client: TestClient, bench: Bench) -> None:
    assert sent(client, bench) == {c: {**SCORE, LIST: True} for c in ("a", "b")}
    assert sent(client, bench) == {}
    assert sent(client, bench, changes_only=False) == {c: {**SCORE, LIST: True} for c in ("a", "b")}


def test_only_what_changed_goes(client: TestClient, bench: Bench) -> None:
    sent(client, bench)
    changed = {
        "a": {"churn_probability": 0.539, "predicted_clv": 130.0},
        "b": {"churn_probability": 0.54, "predicted_clv": 130.0},
    }
    publish_scores(bench.layout.root, changed)
    # 0.049 is no news, 0.05 is; then everything goes that is another.
    assert sent(client, bench) == {"b": {"regulars_churn_probability": 0.54, "regulars_predicted_clv": 130.0}}
    publish_scores(bench.layout.root, {"a": {"churn_probability": 0.5401}, "b": changed["b"]})
    # What did not go is still measured against what was sent last: it cannot creep away unseen.
    assert sent(client, bench) == {"a": {"regulars_churn_probability": 0.5401}}


def test_a_band_that_changed_goes_and_what_has_no_value_any_more_is_taken_away(
    client: TestClient, bench: Bench
) -> None:
    sent(client, bench)
    explained = json.loads(COMPLETE["null_reasons"]) | {"expected_date_of_next_order": "beyond_365_days"}
    none = {"expected_date_of_next_order": None, "null_reasons": json.dumps(explained)}
    publish_scores(bench.layout.root, {"a": {"risk_band": "medium", **none}, "b": none}, listed=["a", "b"])
    assert sent(client, bench) == {
        "a": {"regulars_risk_band": "medium", "regulars_expected_date_of_next_order": None}
    }
    assert sent(client, bench, changes_only=False)["b"]["regulars_expected_date_of_next_order"] is None


def test_whoever_left_the_list_is_told_so_once(client: TestClient, bench: Bench) -> None:
    sent(client, bench)
    left = {"risk_band": "low", "churn_probability": 0.1}
    publish_scores(bench.layout.root, {"a": {}, "b": left}, listed=["a"])
    assert sent(client, bench) == {
        "b": {"regulars_risk_band": "low", "regulars_churn_probability": 0.1, LIST: False}
    }
    assert sent(client, bench) == {}
    publish_scores(bench.layout.root, {"a": {}}, listed=["a"])
    assert sent(client, bench) == {}
    publish_scores(bench.layout.root, {"a": {}, "b": {}}, listed=["a", "b"])
    assert sent(client, bench)["b"][LIST] is True
    publish_scores(bench.layout.root, {"a": {}}, listed=["a"])
    assert sent(client, bench) == {"b": {LIST: False}}


def test_platforms_and_lists_are_told_apart(client: TestClient, bench: Bench) -> None:
    sent(client, bench)
    job = export(client, bench, profile="klaviyo")
    assert job["row_count"] == 2
    assert export(client, bench, profile="klaviyo")["row_count"] == 0


def test_a_job_that_failed_or_was_stopped_told_nothing(
    client: TestClient, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError

    bench.jobs.add(Order("", {"audience": "at-risk", "profile": "braze"}, False, "braze:at-risk"))
    with monkeypatch.context() as broken:
        broken.setattr("serving.exports.files.replace_durably", fail)
        assert [job.status for job in run_jobs(bench)] == ["failed"]
    assert LastSent(bench.state, "braze:at-risk").read(["a", "b"]) == {}
    assert set(sent(client, bench)) == {"a", "b"}


def test_what_a_killed_runner_noted_does_not_count(client: TestClient, bench: Bench) -> None:
    bench.jobs.add(Order("", {"audience": "at-risk", "profile": "braze"}, False, "braze:at-risk"))
    dead = bench.jobs.claim(now=0.0, lease_seconds=-1)
    assert dead is not None
    last = LastSent(bench.state, "braze:at-risk")
    last.write(dead.job_number, {"a": {LIST: True}, "z": {LIST: True}})
    assert last.read(["a", "z"]) == {}
    (job,) = run_jobs(bench)
    assert (job.attempt, job.result["row_count"]) == (2, 2)
    assert set(last.read(["a", "b", "z"])) == {"a", "b"}


def test_what_newer_rows_replaced_is_removed(client: TestClient, bench: Bench) -> None:
    for _ in range(3):
        sent(client, bench, changes_only=False)
    with bench.state.reading() as connection:
        rows = connection.exec_driver_sql("SELECT customer_id FROM last_sent").all()
    assert sorted(rows) == [("a",), ("b",)]


def test_the_control_group_is_told_only_where_it_is_asked_for(bench: Bench) -> None:
    ids = [f"c{number}" for number in range(300)]
    publish_scores(bench.layout.root, {c: {} for c in ids}, share=0.1)
    with open_api(bench.layout.root) as client:
        mailed = sent(client, bench)
        everybody = sent(client, bench, control="include")
    held = {c for c, attributes in everybody.items() if attributes.get("regulars_control_at_risk")}
    assert 10 <= len(held) <= 60
    assert mailed.keys() == set(ids) - held
    assert not any("regulars_control_at_risk" in attributes for attributes in mailed.values())
    assert len(everybody) == 300


def test_whoever_falls_into_the_control_group_leaves_the_list(bench: Bench) -> None:
    """A list that grew to the size where one is kept out: those people were told of it before."""
    ids = [f"c{number}" for number in range(300)]
    publish_scores(bench.layout.root, {c: {} for c in ids})
    with open_api(bench.layout.root) as client:
        sent(client, bench)
        publish_scores(bench.layout.root, {c: {} for c in ids}, share=0.1)
        left = sent(client, bench)
    assert 10 <= len(left) <= 60
    assert all(attributes == {LIST: False} for attributes in left.values())


def test_addresses_go_where_the_key_may_see_them(client: TestClient, bench: Bench) -> None:
    know_people(bench.layout.root, {"a": "ann@example.com"})
    sees = bearer(bench, "audiences:read", "identity:read")
    job = export(client, bench, headers=sees, profile="klaviyo")
    (line,) = fetched(client, job, sees).splitlines()
    people = [p["attributes"] for p in json.loads(line)["data"]["attributes"]["profiles"]["data"]]
    assert [(p["external_id"], p.get("email")) for p in people] == [("a", "ann@example.com"), ("b", None)]
    assert people[0]["properties"] == {**SCORE, LIST: True}


@pytest.mark.parametrize("name", ["braze", "klaviyo"])
def test_bodies_keep_within_rows_and_bytes(name: str) -> None:
    platform = PLATFORMS[name]
    bodies, written = Bodies(platform), []
    for number in range(25_000):
        written += bodies.add(f"c{number}", None, {**SCORE, LIST: True})
    written += bodies.rest()
    assert not list(bodies.rest())
    assert all(body.endswith(b"\n") and body.count(b"\n") == 1 for body in written)
    assert all(len(body) - 1 <= platform.bytes_max for body in written)
    counts = [body.count(b'"external_id"') for body in written]
    assert max(counts) <= platform.rows_max
    assert sum(counts) == 25_000
    assert len(counts) == -(-25_000 // max(counts))


def test_large_rows_make_smaller_bodies() -> None:
    platform, written = PLATFORMS["klaviyo"], []
    bodies = Bodies(platform)
    for number in range(200):
        written += bodies.add(f"c{number}", None, {"note": "é" * 40_000})
    written += bodies.rest()
    assert max(len(body) - 1 for body in written) <= 5_000_000
    assert [len(json.loads(body)["data"]["attributes"]["profiles"]["data"]) for body in written] == [
        62,
        62,
        62,
        14,
    ]


def test_ids_that_a_platform_does_not_take_are_counted_and_left_out(bench: Bench) -> None:
    publish_scores(bench.layout.root, {"a": {}, "é" * 128: {}, "x" * 256: {}})
    with open_api(bench.layout.root) as client:
        klaviyo = export(client, bench, profile="klaviyo")
        braze = export(client, bench, profile="braze")
    assert (klaviyo["row_count"], klaviyo["skipped_count"]) == (1, 2)
    assert (braze["row_count"], braze["skipped_count"]) == (3, 0)


@pytest.mark.parametrize(
    ("before", "now", "wanted"),
    [
        (None, {"x": None, "y": 1}, {"y": 1}),
        ({"y": 1}, {"y": 2}, None),
        ({"y": 1, LIST: True}, {"y": 2, LIST: False}, {"y": 2, LIST: False}),
        (
            {"regulars_churn_probability": None},
            {"regulars_churn_probability": 0.0},
            {"regulars_churn_probability": 0.0},
        ),
        (
            {"regulars_churn_probability": 0.3},
            {"regulars_churn_probability": 0.35},
            {"regulars_churn_probability": 0.35},
        ),
        ({"regulars_churn_probability": 0.3}, {"regulars_churn_probability": 0.3499}, None),
        ({"regulars_risk_band": "low"}, {"regulars_risk_band": None}, {"regulars_risk_band": None}),
    ],
)
def test_what_is_news(before: Any, now: Any, wanted: Any) -> None:
    assert changes_to_send(before, now, whole=False) == wanted
