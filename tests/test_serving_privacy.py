"""Erasure reaches every store: whoever was erased is in no byte under `VAR`, decoded or not."""

import asyncio
import json
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from export_shop import bearer, run_jobs
from privacy_shop import (
    CANARY,
    OTHER,
    bench_of,
    client_of,
    files_with,
    fill,
    leave_export,
    live_store,
    order,
    run_all,
    still_in_database,
)
from serving_runs import publish
from starlette.testclient import TestClient

from features.console import run_command
from features.history import History
from features.suppression import read_suppressed
from serving.audiences.control_group import ControlGroup
from serving.backup import back_up
from serving.backups.files import BackupError, verified
from serving.environment import Environment
from serving.fold import fold_inbox
from serving.people.runner import Office, run_next_request
from serving.privacy import _command
from serving.schemas.privacy import PrivacyRequestShape
from serving.state.inbox import Inbox, Incoming
from serving.state.privacy import PrivacyRequests
from serving.store.records import Member, RunMeta

PATH = "/v1/privacy/requests"
SECRETS = (CANARY, json.dumps(CANARY)[1:-1], "canary@example.com", "491701234567")


@pytest.fixture
def var(tmp_path: Path) -> Path:
    return tmp_path / "var"


BOTH = pytest.mark.parametrize("office", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def office(var: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    monkeypatch.delenv("REGULARS_DATABASE_URL", raising=False)
    if getattr(request, "param", "sqlite") == "postgresql":
        request.getfixturevalue("pg_url")
    made = fill(var)
    yield made
    made.state.close()
    asyncio.run(made.store.aclose())


@pytest.fixture
def client(office: Office, var: Path) -> Iterator[TestClient]:
    with client_of(var) as opened:
        yield opened


def erase(client: TestClient, **who: str) -> str:
    answer = client.post(PATH, json={"type": "erasure", **(who or {"customer_id": CANARY})})
    assert answer.status_code == 202, answer.text
    return str(answer.headers["location"])


@BOTH
def test_an_erased_person_is_in_no_byte_under_var_nor_in_back_ups(
    client: TestClient, office: Office, var: Path, tmp_path: Path
) -> None:
    is_networked = office.store.is_networked
    back_up(office.layout, tmp_path / "backup")
    before = files_with(var, *SECRETS)
    folders = {name.split("/")[0] for name in before}
    assert folders >= {"history", "private", "exports", "ledger", "backtest", "outcomes"}
    assert folders >= {"ingest.portions", "scoring"}
    assert "history/g000009/order_lines/b000.parquet" in before
    if not is_networked:
        assert folders >= {"scores", "state"}
    assert files_with(tmp_path / "backup", *SECRETS)
    url = erase(client)
    (request,) = run_all(office)
    assert request.status == "done"
    assert request.subject is None
    assert files_with(var, *SECRETS) == set()
    assert files_with(tmp_path / "backup", *SECRETS) == set()
    verified(tmp_path / "backup")
    if is_networked:
        assert still_in_database(office, var) == []
    shown = client.get(url).json()
    PrivacyRequestShape.model_validate_json(json.dumps(shown))
    rows = {each["store"]: each["row_count"] for each in shown["stores"]}
    assert rows["history"] == 7  # six lines, and what is said of the customer
    assert rows["ledger"] == 1
    assert rows["tables"] == 2  # predictions of a back-test, and who was on a list that left
    assert rows["identities"] == 2
    assert rows["state.inbox"] == 3
    assert (
        rows["scores"] == 8
    )  # in each of two runs the score, the traits, the list, and the place in an audience
    assert CANARY not in json.dumps(shown, ensure_ascii=False)


def test_everybody_else_is_still_in_every_store(client: TestClient, office: Office, var: Path) -> None:
    before = files_with(var, OTHER)
    lines = History.open(office.layout.history).read("order_lines")
    erase(client)
    run_all(office)
    after = files_with(var, OTHER)
    assert {name.split("/")[0] for name in before - after} <= {"exports", "history"}
    left = History.open(office.layout.history).read("order_lines")
    assert left.height == lines.height - 6
    assert Inbox(office.state).list_of([OTHER], after=0)
    answer = client.get(f"/v1/customers/{OTHER}/predictions").json()
    assert (answer["status"], answer["churn_probability"]) == ("ok", 0.49)


def test_a_receipt_and_a_suppression_are_keyed_hashes(client: TestClient, office: Office, var: Path) -> None:
    erase(client)
    (request,) = run_all(office)
    (mark,) = request.marks
    assert len(mark) == 64
    assert mark in (var / "private" / "suppressed").read_text()
    assert CANARY in read_suppressed(var, office.layout.private)
    assert OTHER not in read_suppressed(var, office.layout.private)


@BOTH
def test_counts_of_lists_follow_and_places_stay(client: TestClient, office: Office, var: Path) -> None:
    first = client.get("/v1/audiences/at-risk/members?limit=1&control=include").json()
    assert first["members"][0]["customer_id"] == CANARY
    erase(client)
    run_all(office)
    members, facts = asyncio.run(_members(var))
    assert [(m.position, m.row[0]) for m in members] == [(2, "c0"), (3, OTHER)]
    assert facts.customer_count == 2
    assert facts.audiences["at-risk"].member_count == 2
    assert facts.audiences["at-risk"].value_at_risk_total == 62.8
    assert [info.customer_count for info in live_store(var).list_runs()] == [2, 3]
    rest = client.get(f"/v1/audiences/at-risk/members?cursor={first['next_cursor']}").json()
    assert [member["customer_id"] for member in rest["members"]] == ["c0", OTHER]


async def _members(var: Path) -> tuple[Sequence[Member], RunMeta]:
    store = live_store(var)
    run = store.open_run("s_0002")
    members = await run.list_members("at-risk")
    run.close()
    await store.aclose()
    return members, run.meta


def test_twice_and_of_somebody_unknown_is_clean(client: TestClient, office: Office) -> None:
    erase(client)
    erase(client)
    erase(client, customer_id="nobody at all")
    done = run_all(office)
    assert [request.status for request in done] == ["done"] * 3
    assert sum(receipt.row_count for receipt in done[1].receipts) == 0
    assert sum(receipt.row_count for receipt in done[2].receipts) == 0


def test_by_address_everybody_known_with_it_goes(client: TestClient, office: Office, var: Path) -> None:
    erase(client, email=" Canary@Example.com ")
    assert client.get("/v1/predictions", params={"customer_id": CANARY}).json()["status"] == "suppressed"
    assert "example.com" not in (var / "private" / "suppressed").read_text()
    (request,) = run_all(office)
    assert request.status == "done"
    assert files_with(var, *SECRETS) == set()


def test_a_damaged_index_of_addresses_is_told_and_made_anew_by_an_erasure(
    client: TestClient, office: Office, var: Path
) -> None:
    erase(client, email="canary@example.com")
    index = var / "private/addresses.sqlite"
    index.write_bytes(b"no database" * 1000)
    body = {"type": "erasure", "email": "other@example.com"}
    answer = client.post("/v1/privacy/requests", json=body)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    (request,) = run_all(office)
    assert request.status == "done"
    assert files_with(var, *SECRETS) == set()


def test_an_address_waits_as_a_keyed_hash(client: TestClient, office: Office, var: Path) -> None:
    erase(client, email="nobody.knows@example.com")
    assert files_with(var, "nobody.knows") == set()
    assert files_with(var, '"address_keys": ["h_') == {"state/state.sqlite"}


@BOTH
def test_an_erasure_waits_for_a_run_that_is_being_made(client: TestClient, office: Office, var: Path) -> None:
    with live_store(var).begin_run() as writer:
        writer.write_scores([])
        url = erase(client)
        _tried(office)
        shown = client.get(url).json()
        waiting = [each["store"] for each in shown["stores"] if each["status"] == "waiting"]
        assert (shown["status"], waiting) == ("queued", ["step scores"])
        assert client.get("/v1/predictions", params={"customer_id": CANARY}).json()["status"] == "suppressed"
    assert run_all(office)[-1].status == "done"
    assert files_with(var, *SECRETS) == set()


def _tried(office: Office) -> list[object]:
    return [run_next_request(office, again_seconds=0.0)]


def test_an_erasure_waits_for_an_export_that_runs(client: TestClient, office: Office) -> None:
    leave_export(office)
    jobs = bench_of(office).jobs
    job = jobs.claim(now=time.time())
    assert job is not None
    url = erase(client)
    _tried(office)
    assert client.get(url).json()["status"] == "queued"
    jobs.release(job)
    assert run_all(office)[-1].status == "done"
    (done,) = run_jobs(bench_of(office))
    assert done.result["row_count"] == len(_outside(office))
    assert files_with(office.layout.root, *SECRETS) == set()


def _outside(office: Office) -> list[str]:
    group = ControlGroup.of(office.layout.private)
    return [c for c in ("c0", OTHER) if not group.holds("at-risk", c, share=0.5)]


@BOTH
def test_what_comes_again_stays_away(client: TestClient, office: Office, var: Path) -> None:
    erase(client)
    run_all(office)
    track = {
        "type": "track",
        "messageId": "new",
        "userId": CANARY,
        "event": "Product Viewed",
        "timestamp": "2026-11-22T15:05:00Z",
        "context": {"traits": {"email": "canary@example.com"}},
        "properties": {"product_id": "p00"},
    }
    others = {**track, "messageId": "other", "userId": OTHER}
    answer = client.post("/v1/events/batch", json={"batch": [track, others]})
    assert answer.json() == {"accepted": 1, "duplicates": 0, "suppressed": 1, "rejected": []}
    # A process that has not heard of it yet asks the state.
    assert Inbox(office.state, office.suppressions).put([Incoming(order(CANARY), "events", "x")]) == [None]
    fold_inbox(Environment(var=var), time_zone="UTC", now=datetime(2026, 11, 23, tzinfo=UTC))
    assert files_with(var, CANARY, json.dumps(CANARY)[1:-1]) == set()


def test_a_back_up_that_is_gone_is_told(client: TestClient, office: Office, tmp_path: Path) -> None:
    back_up(office.layout, tmp_path / "one")
    back_up(office.layout, tmp_path / "two")
    shutil.rmtree(tmp_path / "one")
    erase(client)
    (request,) = run_all(office)
    assert request.status == "incomplete"
    (lost,) = [receipt for receipt in request.receipts if receipt.status == "out_of_reach"]
    assert lost.store.startswith("backup one of 20")
    assert "--backup-gone" in (lost.note or "")
    assert files_with(tmp_path / "two", *SECRETS) == set()


def test_a_second_back_up_that_is_refused_leaves_the_first_on_the_list(
    client: TestClient, office: Office, tmp_path: Path
) -> None:
    back_up(office.layout, tmp_path / "one")
    with pytest.raises(BackupError, match="is there already"):
        back_up(office.layout, tmp_path / "one")
    erase(client)
    (request,) = run_all(office)
    assert request.status == "done"
    assert files_with(tmp_path / "one", *SECRETS) == set()


@pytest.mark.parametrize("person", ["", "a\nb", "x" * 257])
def test_the_command_wants_somebody_and_touches_nothing_else(
    office: Office,
    var: Path,
    person: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lists = asyncio.run(_fallback(var))
    monkeypatch.setattr(sys, "argv", ["privacy", "--erase", person, "--var", str(var)])
    with pytest.raises(SystemExit) as stopped:
        run_command(_command)
    assert stopped.value.code == 2
    assert capsys.readouterr().err.startswith("error: name somebody: ")
    assert office.requests.list_all() == []
    assert asyncio.run(_fallback(var)) == lists != {}


async def _fallback(var: Path) -> Any:
    store = live_store(var)
    run = store.open_run("s_0002")
    lists = {kind: list(slots) for kind, slots in (await run.get_fallback()).items()}
    run.close()
    await store.aclose()
    return lists


def test_the_command_fails_where_a_copy_is_out_of_reach(
    office: Office,
    var: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    back_up(office.layout, tmp_path / "one")
    shutil.rmtree(tmp_path / "one")
    monkeypatch.setattr(sys, "argv", ["privacy", "--erase", CANARY, "--var", str(var)])
    with pytest.raises(SystemExit) as stopped:
        run_command(_command)
    assert stopped.value.code == 2
    shown = capsys.readouterr()
    assert "out_of_reach" in shown.out
    assert "error: not done everywhere" in shown.err


def test_killed_at_any_step_it_is_run_again(
    client: TestClient, office: Office, var: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    erase(client)
    steps = ("erase_exports", "forget_in_history", "forget_identities", "forget_in_tables", "write_index")
    for name in steps:
        with monkeypatch.context() as patched:
            patched.setattr(f"serving.people.erasure.{name}", _stop)
            with pytest.raises(SystemExit):
                _tried(office)
    with monkeypatch.context() as patched:
        patched.setattr(type(office.state), "wipe", _stop)
        with pytest.raises(SystemExit):
            _tried(office)
    assert run_all(office)[-1].status == "done"
    assert files_with(var, *SECRETS) == set()


def _stop(*_: object, **__: object) -> None:
    raise SystemExit(143)


def test_killed_after_its_end_the_last_words_are_wiped_by_the_next(
    client: TestClient, office: Office, var: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    erase(client)
    with monkeypatch.context() as patched:
        patched.setattr(PrivacyRequests, "close", _stop)
        with pytest.raises(SystemExit):
            _tried(office)
    (request,) = run_all(office)
    assert (request.status, request.subject) == ("done", None)
    assert files_with(var, *SECRETS) == set()


def test_a_new_run_of_the_same_id_is_not_answered_from_the_old_file(
    client: TestClient, office: Office, var: Path
) -> None:
    erase(client)
    run_all(office)
    office.suppressions.lift(CANARY)
    for _ in range(200):
        answer = client.get("/v1/predictions", params={"customer_id": CANARY})
        if answer.status_code == 404:
            break
        time.sleep(0.02)
    assert answer.status_code == 404
    publish(var, [CANARY])
    for _ in range(200):
        answer = client.get("/v1/predictions", params={"customer_id": CANARY})
        if answer.status_code == 200:
            break
        time.sleep(0.02)
    assert answer.json()["status"] == "ok"


def test_only_who_asked_sees_a_request(client: TestClient, office: Office) -> None:
    bench = bench_of(office)
    mine, theirs, admin = (
        bearer(bench, "privacy:write"),
        bearer(bench, "privacy:write"),
        bearer(bench, "admin"),
    )
    client.app.state.context.guard.refresh()  # type: ignore[attr-defined]
    body = {"type": "erasure", "customer_id": CANARY}
    url = client.post(PATH, json=body, headers=mine).headers["location"]
    codes = [client.get(url, headers=who).status_code for who in (mine, theirs, admin)]
    assert codes == [200, 404, 200]


def test_a_call_that_is_repeated_asks_once(client: TestClient, office: Office) -> None:
    body, named = {"type": "erasure", "email": "canary@example.com"}, {"idempotency-key": "k1"}
    first, again = (client.post(PATH, json=body, headers=named) for _ in range(2))
    assert first.json()["request_id"] == again.json()["request_id"]
    assert again.headers["idempotency-replayed"] == "true"
    other = client.post(PATH, json={"type": "erasure", "customer_id": "c9"}, headers=named)
    assert other.status_code == 422
    assert len(office.requests.list_all()) == 1


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"type": "erasure"},
        {"type": "delete", "customer_id": "c1"},
        {"type": "erasure", "customer_id": "c1", "email": "a@example.com"},
        {"type": "erasure", "customer_id": ""},
        {"type": "erasure", "customer_id": "x" * 257},
        {"type": "erasure", "customer_id": 7},
        {"type": "erasure", "email": "canary-not-an-address"},
        {"type": "erasure", "customer_id": "c1", "canary": 1},
    ],
)
def test_a_wrong_body_is_refused_and_not_repeated(client: TestClient, body: object) -> None:
    answer = client.post(PATH, json=body)
    assert answer.status_code == 422
    assert "canary" not in answer.text


def test_without_a_usable_pepper_nothing_is_promised(
    client: TestClient, office: Office, var: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGULARS_PRIVACY_PEPPER_FILE", str(var / "private" / "pepper"))
    answer = client.post(PATH, json={"type": "erasure", "customer_id": CANARY})
    assert answer.status_code == 503
    assert office.requests.list_all() == []


def test_with_another_pepper_nobody_is_shown(
    office: Office, client: TestClient, var: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    erase(client)
    assert client.get("/readyz").status_code == 200
    monkeypatch.setenv("REGULARS_PRIVACY_PEPPER", "another pepper than the one before")
    with client_of(var) as second:
        answer = second.get(f"/v1/customers/{OTHER}/predictions")
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:regulars:problem:no-suppressions")
        assert second.get("/readyz").json()["type"] == "urn:regulars:problem:no-suppressions"
