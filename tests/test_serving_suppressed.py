"""Whoever is suppressed is in no answer, list, export or feed from the moment of the request."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from export_shop import bearer, run_jobs
from privacy_shop import CANARY, OTHER, bench_of, client_of, fill, leave_export, live_store, run_all
from starlette.testclient import TestClient

from features.history import History
from features.ingest import load
from features.layout import Layout
from features.person_keys import customer_key, read_pepper
from features.report import Report
from features.sources import Request
from serving.inbound.hook_sources import HookSources
from serving.people.address_index import write_index
from serving.people.runner import Office
from serving.schemas.customers import Prediction
from serving.state.tables import KEYS

PATH = "/v1/privacy/requests"


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.delenv("REGULARS_DATABASE_URL", raising=False)
        yield fill(tmp_path_factory.mktemp("shop") / "var")


@pytest.fixture(scope="module")
def client(office: Office) -> Iterator[TestClient]:
    with client_of(office.layout.root) as opened:
        answer = opened.post(PATH, json={"type": "suppress", "customer_id": CANARY})
        assert answer.status_code == 202
        yield opened


def test_a_single_read_has_no_figure_and_says_why(client: TestClient) -> None:
    answer = client.get("/v1/predictions", params={"customer_id": CANARY})
    score = answer.json()
    Prediction.model_validate_json(answer.text)
    assert (answer.status_code, score["status"]) == (200, "suppressed")
    assert score["churn_probability"] is score["predicted_clv"] is score["reasons"] is None
    assert score["null_reasons"]["churn_probability"] == "suppressed"


def test_what_a_reader_holds_already_does_not_count(client: TestClient) -> None:
    known = client.get(f"/v1/customers/{OTHER}/predictions").headers["etag"]
    answer = client.get("/v1/predictions", params={"customer_id": CANARY}, headers={"if-none-match": known})
    assert answer.status_code == 200


def test_recommendations_are_the_shops_own(client: TestClient) -> None:
    path = "/v1/customers/canary-17%C3%9F/recommendations"
    nobody = client.get("/v1/customers/nobody/recommendations?on_missing=fallback").json()
    answer = client.get(path).json()
    assert answer["status"] == "suppressed"
    assert answer["lists"] == nobody["lists"] != {}


def test_in_a_batch_it_is_one_of_the_results(client: TestClient) -> None:
    body = {"customer_ids": [OTHER, CANARY, "nobody"]}
    results = client.post("/v1/predictions/batch", json=body).json()["results"]
    assert [each["status"] for each in results] == ["ok", "suppressed", "not_found"]
    assert results[1]["predicted_clv"] is None


@pytest.mark.parametrize(
    "path",
    [
        "/v1/audiences/at-risk/members?control=include",
        "/v1/audiences/at-risk/export.csv?control=include",
        "/v1/recommendations/export.csv",
        "/",
    ],
)
def test_no_list_holds_them(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert OTHER in answer.text
    assert CANARY not in answer.text


def test_no_export_holds_them_but_platforms_hear_that_they_left(client: TestClient, office: Office) -> None:
    leave_export(office, control="include")
    leave_export(office, control="include", profile="klaviyo", changes_only=True)
    whole, changed = run_jobs(bench_of(office))
    texts = [
        path.read_text()
        for job in (whole, changed)
        for path in (office.layout.exports / job.job_id).rglob("*.*")
        if path.is_file()
    ]
    assert CANARY not in texts[0]
    if CANARY in texts[1]:
        assert "churn_probability" not in texts[1]


def test_the_feed_tells_of_them_only_that_they_are_gone(client: TestClient, office: Office) -> None:
    before = client.get("/v1/changes?limit=1000").json()["changes"]
    assert {each["customer_id"] for each in before if each["kind"] != "removed"} == {OTHER}
    run_all(office)
    after = client.get("/v1/changes?limit=1000").json()["changes"]
    theirs = [each["kind"] for each in after if each["customer_id"] == CANARY]
    assert theirs == ["removed"]


def test_their_scores_go_and_their_orders_stay(client: TestClient, office: Office) -> None:
    run_all(office)
    assert (client.get(f"{PATH}/{office.requests.list_all()[0].request_id}").json()["status"]) == "done"
    paths = (office.layout.history).rglob("*.parquet")
    held = [
        pl.read_parquet(path) for path in paths if "order_lines" in str(path) and "g000009" not in str(path)
    ]
    assert CANARY in set(pl.concat(held)["customer_id"])
    ids = {info.customer_count for info in live_store(office.layout.root).list_runs()}
    assert ids == {2, 3}


def signed(client: TestClient, secret: str, topic: str, body: object) -> dict[str, object]:
    raw = json.dumps(body).encode()
    digest = base64.b64encode(hmac.digest(secret.encode(), raw, hashlib.sha256)).decode()
    headers = {"x-shopify-hmac-sha256": digest, "x-shopify-topic": topic, "content-type": "application/json"}
    answer = client.post("/v1/hooks/shopify/main", content=raw, headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, object] = answer.json()
    return found


def test_shopify_asks_for_erasure_and_access(client: TestClient, office: Office) -> None:
    secret = HookSources(office.layout.private).add("main", "shopify")
    person = {"shop_id": 1, "customer": {"id": 7, "email": "Redacted@example.com", "phone": "+49 170 99"}}
    asked = len(office.requests.list_all())
    assert signed(client, secret, "customers/redact", person)["accepted"] == 1
    assert signed(client, secret, "customers/redact", person)["duplicates"] == 1
    assert signed(client, secret, "customers/data_request", {**person, "x": 1})["accepted"] == 1
    assert signed(client, secret, "shop/redact", {"shop_id": 1})["ignored"] == "shop/redact"
    assert signed(client, secret, "customers/redact", {"customer": {"id": 7}})["ignored"]
    kinds = [request.kind for request in office.requests.list_all()[asked:]]
    assert kinds == ["erasure", "access"]
    key = customer_key("redacted@example.com", None, read_pepper(office.layout.private))
    found = client.get("/v1/predictions", params={"customer_id": str(key)}).json()
    assert found["status"] == "suppressed"


def test_a_batch_by_address_needs_its_scope_and_repeats_no_address(
    client: TestClient, office: Office
) -> None:
    write_index(office.layout.private)
    bench = bench_of(office)
    plain = bearer(bench, "predictions:read")
    people = bearer(bench, "predictions:read", "identity:read")
    client.app.state.context.guard.refresh()  # type: ignore[attr-defined]
    try:
        body = {"emails": ["Other@Example.com ", "nobody@example.com", "canary@example.com"]}
        assert client.post("/v1/predictions/batch", json=body, headers=plain).status_code == 403
        answer = client.post("/v1/predictions/batch", json=body, headers=people)
        results = answer.json()["results"]
        assert [each["status"] for each in results] == ["ok", "not_found", "suppressed"]
        assert results[0]["customer_id"] == OTHER
        assert "example.com" not in answer.text.lower()
        wrong = client.post("/v1/predictions/batch", json={"emails": ["canary"]}, headers=people)
        assert (wrong.status_code, "canary" in wrong.text) == (422, False)
        (office.layout.private / "addresses.sqlite").write_bytes(b"no database" * 1000)
        damaged = client.post("/v1/predictions/batch", json=body, headers=people)
        assert (damaged.status_code, damaged.headers["retry-after"]) == (503, "5")
    finally:
        write_index(office.layout.private)
        with office.state.writing() as connection:
            connection.execute(KEYS.delete())
        client.app.state.context.guard._by_digest = {}  # type: ignore[attr-defined]
        (office.layout.private / "keys-were-made").unlink()


def test_lifted_they_are_known_again(tmp_path: Path) -> None:
    office = fill(tmp_path / "var")
    with client_of(office.layout.root) as client:
        client.post(PATH, json={"type": "suppress", "customer_id": CANARY})
        assert office.suppressions.lift(CANARY)
        for _ in range(200):
            status = client.get("/v1/predictions", params={"customer_id": CANARY}).json()["status"]
            if status == "ok":
                break
            time.sleep(0.02)
        assert status == "ok"
        office.suppressions.copy_to(office.layout.private)
        assert not (office.layout.private / "suppressed").read_text().split()[1:]


def test_access_is_everything_that_is_held(tmp_path: Path) -> None:
    office = fill(tmp_path / "var")
    with client_of(office.layout.root) as client:
        url = client.post(PATH, json={"type": "access", "customer_id": CANARY}).headers["location"]
        assert client.get(f"{url}/file").status_code == 404
        (request,) = run_all(office)
        assert request.status == "done"
        assert client.get("/v1/predictions", params={"customer_id": CANARY}).json()["status"] == "ok"
        held = client.get(f"{url}/file").json()
        stores = held["stores"]
        assert len(stores["history.order_lines"]) == 6
        assert len(stores["scores"]) == 2
        assert "gap_over_usual" in json.dumps(stores["scores"])
        assert len(stores["state.inbox"]) == 3
        assert len(stores["ledger"]) == len(stores["tables.backtest/predictions.parquet"]) == 1
        assert "identities" not in stores
        assert "example.com" not in json.dumps(held)
        assert f'"{OTHER}"' not in json.dumps(held)


def test_a_load_by_file_leaves_them_out_and_counts(tmp_path: Path) -> None:
    office = fill(tmp_path / "var")
    with client_of(office.layout.root) as client:
        client.post(PATH, json={"type": "erasure", "customer_id": CANARY})
    run_all(office)
    layout = Layout(office.layout.root)
    path = tmp_path / "orders.csv"
    path.write_text(
        "order_id,customer_id,ordered_at,amount,currency\n"
        f"X1,{CANARY},2026-06-01,10,EUR\nX2,new,2026-06-01,10,EUR\n",
        encoding="utf-8",
    )
    report: Report = load(Request(files=(path,)), layout=layout)
    assert [(each.reason, each.line_count, each.amount) for each in report.left_out] == [
        ("suppressed", 1, 0.0)
    ]
    ids = set(History.open(layout.history).read("order_lines")["customer_id"])
    assert "new" in ids
    assert CANARY not in ids
