"""Exports as jobs: what is asked for, what comes, who may have it, and calls that are repeated."""

import asyncio
import gzip
import hashlib
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from export_shop import bearer, export, fetched, follow, know_people, open_api, open_bench, publish_scores
from serving_runs import NASTY_IDS, publish
from starlette.testclient import TestClient

from serving.audiences.control_group import ControlGroup
from serving.exports.member_csv import HEADER
from serving.jobs import Bench
from serving.schemas.base import Problem
from serving.schemas.jobs import JobShape
from serving.state.idempotency import Repeatable
from serving.state.jobs import UNFINISHED_MAX, Order
from serving.web.problems import ProblemError

CSV = "/v1/audiences/at-risk/export.csv"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    publish(tmp_path)
    return open_bench(tmp_path)


@pytest.fixture
def client(bench: Bench) -> Iterator[TestClient]:
    with open_api(bench.layout.root) as opened:
        yield opened


def test_a_job_makes_the_very_file_that_streams(client: TestClient, bench: Bench) -> None:
    answer = client.post("/v1/exports", json={"audience": "at-risk"})
    assert answer.status_code == 202
    JobShape.model_validate_json(answer.text)
    assert (answer.json()["status"], answer.json()["files"]) == ("queued", [])
    job = export(client, bench, items=2)
    JobShape.model_validate_json(json.dumps(job))
    assert (job["status"], job["row_count"], job["error"]) == ("done", 2 + len(NASTY_IDS), None)
    assert job["score_run_id"] == "s_0001"
    (file,) = job["files"]
    content = fetched(client, job)
    assert content == client.get(f"{CSV}?items=2").content
    assert (file["name"], file["bytes"]) == ("at-risk-2026-11-22.csv", len(content))
    assert file["sha256"] == hashlib.sha256(content).hexdigest()


def test_a_job_writes_in_the_language_that_is_asked_for(client: TestClient, bench: Bench) -> None:
    job = export(client, bench, language="ko")
    assert job["request"]["language"] == "ko"
    assert fetched(client, job) == client.get(f"{CSV}?language=ko").content
    wrong = client.post("/v1/exports", json={"audience": "at-risk", "language": "fr"})
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/body/language")
    braze = {"audience": "at-risk", "profile": "braze", "language": "ko"}
    assert client.post("/v1/exports", json=braze).status_code == 422


def test_the_answer_of_a_file_is_kept_by_nobody_and_is_a_download(client: TestClient, bench: Bench) -> None:
    job = export(client, bench)
    answer = client.get(job["files"][0]["url"])
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-disposition"] == 'attachment; filename="at-risk-2026-11-22.csv"'
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    path = next(bench.layout.exports.rglob("*.csv"))
    assert path.stat().st_mode & 0o777 == 0o600
    assert bench.layout.exports.stat().st_mode & 0o777 == 0o700


def test_excel_is_what_streams_for_excel(client: TestClient, bench: Bench) -> None:
    job = export(client, bench, format="excel")
    assert fetched(client, job) == client.get(f"{CSV}?format=excel").content


def test_a_packed_file_holds_the_same_bytes(client: TestClient, bench: Bench) -> None:
    job = export(client, bench, gzip=True)
    assert job["files"][0]["name"] == "at-risk-2026-11-22.csv.gz"
    assert gzip.decompress(fetched(client, job)) == client.get(CSV).content


def test_ndjson_is_typed_and_keeps_ids_byte_for_byte(client: TestClient, bench: Bench) -> None:
    lines = fetched(client, export(client, bench, format="ndjson", items=1)).decode().splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["customer_id"] for row in rows] == ["c1", "c2", *NASTY_IDS]
    assert tuple(rows[0])[: len(HEADER)] == HEADER
    assert rows[0]["churn_probability"] == 0.49
    assert rows[0]["email_consent"] is True
    assert rows[0]["control_group"] is False
    assert rows[0]["item1_product_id"] == "00007"


def test_parquet_has_types(client: TestClient, bench: Bench) -> None:
    table = pl.read_parquet(io.BytesIO(fetched(client, export(client, bench, format="parquet", items=2))))
    assert table["customer_id"].to_list() == ["c1", "c2", *NASTY_IDS]
    assert tuple(table.columns)[: len(HEADER)] == HEADER
    assert {name: str(table.schema[name]) for name in WANTED_TYPES} == WANTED_TYPES
    assert table["last_order_at"][0].isoformat() == "2026-07-02T10:11:00+00:00"
    assert table["as_of"][0].isoformat() == "2026-11-22"


WANTED_TYPES = {
    "churn_probability": "Float64",
    "churn_horizon_days": "Int64",
    "historic_number_of_orders": "Int64",
    "last_order_at": "Datetime(time_unit='us', time_zone='UTC')",
    "next_order_p50_date": "Date",
    "email_consent": "Boolean",
    "control_group": "Boolean",
    "control_group_share": "Float64",
    "item2_price": "Float64",
    "reasons": "String",
}


def test_an_empty_list_is_a_file_with_a_head(tmp_path: Path) -> None:
    publish(tmp_path, [])
    bench = open_bench(tmp_path)
    with open_api(tmp_path) as client:
        assert fetched(client, export(client, bench)).decode() == ",".join(HEADER) + "\r\n"
        table = pl.read_parquet(io.BytesIO(fetched(client, export(client, bench, format="parquet"))))
        assert (table.height, tuple(table.columns)) == (0, HEADER)


def test_the_control_group_is_left_out_marked_or_alone(tmp_path: Path) -> None:
    ids = [f"c{number}" for number in range(600)]
    publish(tmp_path, ids, control_group_share=0.1)
    bench, group = open_bench(tmp_path), ControlGroup.of(tmp_path / "private")
    drawn = [c for c in ids if group.holds("at-risk", c, share=0.1)]
    with open_api(tmp_path) as client:
        jobs = {
            control: export(client, bench, format="ndjson", control=control)
            for control in ("exclude", "include", "only")
        }
        rows = {
            control: [json.loads(line) for line in fetched(client, job).splitlines()]
            for control, job in jobs.items()
        }
    assert [row["customer_id"] for row in rows["exclude"]] == [c for c in ids if c not in drawn]
    assert [row["customer_id"] for row in rows["include"] if row["control_group"]] == drawn
    assert [row["customer_id"] for row in rows["only"]] == drawn
    assert jobs["only"]["control_group_share"] == rows["include"][0]["control_group_share"] == 0.1


def test_a_filter_counts(client: TestClient, bench: Bench) -> None:
    assert export(client, bench, min_clv=122.5)["row_count"] == 0
    assert export(client, bench, min_clv=122)["row_count"] == 2 + len(NASTY_IDS)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/body/audience"),
        ({"audience": 5}, "/body/audience"),
        ({"audience": "at-risk", "format": "pdf"}, "/body/format"),
        ({"audience": "at-risk", "profile": "mailchimp"}, "/body/profile"),
        ({"audience": "at-risk", "min_clv": "5"}, "/body/min_clv"),
        ({"audience": "at-risk", "min_clv": None, "<script>": 1}, "/body"),
        ({"audience": "at-risk", "items": 11}, "/body/items"),
        ({"audience": "at-risk", "control": "all"}, "/body/control"),
        ({"audience": "at-risk", "changes_only": True}, "/body/changes_only"),
        ({"audience": "at-risk", "format": "parquet", "gzip": True}, "/body/gzip"),
        ({"audience": "at-risk", "profile": "braze", "format": "csv"}, "/body/format"),
        ({"audience": "at-risk", "profile": "braze", "items": 2}, "/body/items"),
        ({"audience": "at-risk", "profile": "klaviyo", "gzip": True}, "/body/gzip"),
        ([], "/body"),
        (None, "/body"),
        ("at-risk", "/body"),
    ],
)
def test_a_mistake_is_named_where_it_is_and_not_repeated(client: TestClient, body: Any, pointer: str) -> None:
    answer = client.post("/v1/exports", json=body)
    problem = Problem.model_validate(answer.json())
    assert answer.status_code == 422
    assert [error.pointer for error in problem.errors] == [pointer]
    assert "script" not in answer.text
    assert "mailchimp" not in answer.text


def test_a_list_that_is_not_there_is_404(client: TestClient) -> None:
    answer = client.post("/v1/exports", json={"audience": "vip"})
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:regulars:problem:unknown-audience")


def test_large_and_odd_bodies_are_refused(client: TestClient) -> None:
    assert client.post("/v1/exports", content=b"[" * 20_000).status_code == 413
    assert (
        client.post("/v1/exports", content=b"audience=x", headers={"content-type": "a/b"}).status_code == 415
    )


def test_only_the_key_that_left_a_job_sees_it_and_admin(client: TestClient, bench: Bench) -> None:
    mine, other = bearer(bench, "audiences:read"), bearer(bench, "audiences:read")
    admin, reader = bearer(bench, "admin"), bearer(bench, "predictions:read")
    job = export(client, bench, headers=mine)
    url, file = f"/v1/jobs/{job['job_id']}", job["files"][0]["url"]
    for address in (url, file):
        statuses = [client.get(address, headers=who).status_code for who in (mine, other, admin, reader, {})]
        assert statuses == [200, 404, 200, 403, 401]
    assert client.get(f"{url}/files/other.csv", headers=mine).status_code == 404
    assert client.get(f"{url}/files/..%2F..%2Fstate", headers=mine).status_code == 404
    assert client.get("/v1/jobs/j_unknown", headers=mine).status_code == 404


def test_addresses_are_for_whoever_may_see_people(client: TestClient, bench: Bench) -> None:
    know_people(bench.layout.root, {"c1": "ann@example.com", "00123": "bob@example.com"})
    plain, sees = bearer(bench, "audiences:read"), bearer(bench, "audiences:read", "identity:read")
    without = fetched(client, export(client, bench, headers=plain), plain)
    assert b"email," not in without
    assert b"example.com" not in without
    job = export(client, bench, headers=sees, format="ndjson", items=1)
    rows = [json.loads(line) for line in fetched(client, job, sees).splitlines()]
    assert list(rows[0])[len(HEADER)] == "email"
    assert {row["customer_id"]: row["email"] for row in rows if row["email"]} == {
        "c1": "ann@example.com",
        "00123": "bob@example.com",
    }
    admin = bearer(bench, "admin")
    follow(client)
    assert client.get(f"/v1/jobs/{job['job_id']}", headers=admin).json()["with_identity"] is True
    assert client.get(job["files"][0]["url"], headers=admin).status_code == 403


def test_the_open_door_shows_no_addresses(client: TestClient, bench: Bench) -> None:
    know_people(bench.layout.root, {"c1": "ann@example.com"})
    job = export(client, bench)
    assert job["with_identity"] is False
    assert b"example.com" not in fetched(client, job)


def ask(client: TestClient, name: str, **body: Any) -> Any:
    return client.post("/v1/exports", json={"audience": "at-risk", **body}, headers={"idempotency-key": name})


def test_the_same_call_again_leaves_no_second_job(client: TestClient, bench: Bench) -> None:
    first, again = ask(client, "one"), ask(client, "one")
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["job_id"] == again.json()["job_id"]
    assert ("idempotency-replayed" in first.headers, again.headers["idempotency-replayed"]) == (False, "true")
    assert ask(client, "one", format="csv").json()["type"].endswith("idempotency-key-reused")
    assert ask(client, "one", format="ndjson").status_code == 422
    assert ask(client, "two").json()["job_id"] != first.json()["job_id"]
    assert len(bench.jobs.list_all()) == 2


def test_a_restart_forgets_no_call(client: TestClient, bench: Bench) -> None:
    first = ask(client, "one").json()["job_id"]
    with open_api(bench.layout.root) as restarted:
        assert ask(restarted, "one").json()["job_id"] == first


def test_a_day_later_the_name_may_be_used_again(
    client: TestClient, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ask(client, "one").json()["job_id"]
    later = time.time() + 86_401
    monkeypatch.setattr("serving.state.jobs.time.time", lambda: later)
    assert ask(client, "one", format="ndjson").json()["job_id"] != first


def test_keys_do_not_share_names(client: TestClient, bench: Bench) -> None:
    one, two = bearer(bench, "audiences:read"), bearer(bench, "audiences:read")
    follow(client)
    answers = [
        client.post("/v1/exports", json={"audience": "at-risk"}, headers={**who, "idempotency-key": "x"})
        for who in (one, two)
    ]
    assert answers[0].json()["job_id"] != answers[1].json()["job_id"]


@pytest.mark.parametrize("name", ["", " ", "a b", "x" * 256, "\x7f"])
def test_odd_names_are_refused(client: TestClient, name: str) -> None:
    assert ask(client, name).status_code == 422


def test_a_call_that_is_still_being_answered_is_409(client: TestClient) -> None:
    desk = client.app.state.context.jobs  # type: ignore[attr-defined]
    call = Repeatable.of("", "exports", "one", b"body")
    order = Order("", {"audience": "at-risk"}, with_identity=False)

    async def twice() -> list[Any]:
        return await asyncio.gather(desk.leave(order, call), desk.leave(order, call), return_exceptions=True)

    first, second = asyncio.run(twice())
    assert first.job.status == "queued"
    assert isinstance(second, ProblemError)
    assert (second.status, second.slug) == (409, "idempotency-in-flight")


def test_a_key_has_so_many_unfinished_jobs_and_no_more(client: TestClient, bench: Bench) -> None:
    for _ in range(UNFINISHED_MAX):
        assert client.post("/v1/exports", json={"audience": "at-risk"}).status_code == 202
    refused = client.post("/v1/exports", json={"audience": "at-risk"})
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
    export_key = bearer(bench, "audiences:read")
    follow(client)
    assert client.post("/v1/exports", json={"audience": "at-risk"}, headers=export_key).status_code == 202


def test_without_a_state_there_is_a_clear_503(tmp_path: Path) -> None:
    publish_scores(tmp_path, {"c1": {}})
    with open_api(tmp_path) as client:
        answer = client.post("/v1/exports", json={"audience": "at-risk"})
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:regulars:problem:no-state")
        assert answer.headers["retry-after"] == "5"
