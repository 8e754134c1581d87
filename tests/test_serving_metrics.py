"""What Prometheus reads: bounded labels, all processes together, dead ones forgotten."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from inbound_words import track
from prometheus_client.parser import text_string_to_metric_families
from serving_runs import publish
from starlette.testclient import TestClient

from serving.api import create_app
from serving.databases import open_state
from serving.environment import Environment
from serving.server import prepare_metrics
from serving.state.migrate import make
from serving.state.tables import DELIVERIES, ENDPOINTS, INBOX
from serving.state.webhooks import Webhooks
from serving.web.calls import Call
from serving.web.metrics import FOLDER_VARIABLE, Metrics

ROOT = Path(__file__).parents[1]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    publish(tmp_path, ["c1", "c2"])
    app = create_app(Environment(var=tmp_path, log="off"))
    with TestClient(app, base_url="http://127.0.0.1:8000") as opened:
        yield opened


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Return every value by its name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def requests(text: str, **labels: str) -> float:
    """Return how many requests were counted with these labels."""
    return sum(
        value
        for (name, found), value in samples(text).items()
        if name == "regulars_requests_total" and labels.items() <= dict(found).items()
    )


def test_calls_are_counted_by_template_method_and_class(client: TestClient) -> None:
    for customer in ("c1", "c2", "nobody", "%00"):
        client.get(f"/v1/customers/{customer}/predictions")
    text = client.get("/metrics").text
    route = "/v1/customers/{customer_id}/predictions"
    assert requests(text, route=route, method="GET", status="2xx") == 2
    assert requests(text, route=route, method="GET", status="4xx") == 2
    assert samples(text)["regulars_request_seconds_count", (("route", route),)] == 4


def test_a_hundred_thousand_paths_are_one_label(client: TestClient) -> None:
    """F30, through the observers themselves; and a few hundred over the whole stack."""
    for number in range(300):
        client.get(f"/odd/{number}")
        client.request(f"ODD{number}", f"/v1/customers/c{number}/predictions")
    before = client.get("/metrics").text.count("\n")
    calls = client.app.state.context.calls  # type: ignore[attr-defined]
    for number in range(100_000):
        calls.note(Call(f"r{number}", "GET", "unmatched", 404, 0.001, f"k_{number}"))
    text = client.get("/metrics").text
    assert text.count("\n") - before <= 20  # the line of /metrics itself came in between
    assert requests(text, route="unmatched", status="4xx", method="GET") == 100_300
    assert requests(text, method="other") == 300


def test_refusals_are_counted_by_their_reason(client: TestClient) -> None:
    calls = client.app.state.context.calls  # type: ignore[attr-defined]
    for status, times in ((401, 3), (403, 2), (429, 1)):
        for _ in range(times):
            calls.note(Call("r", "GET", "/", status, 0.001, None))
    found = samples(client.get("/metrics").text)
    reasons = {reason: found["regulars_refused_calls_total", (("reason", reason),)] for reason in ("key", "scope", "limit")}  # fmt: skip  # noqa: E501
    assert reasons == {"key": 3, "scope": 2, "limit": 1}


def test_the_live_run_and_readiness_are_told(client: TestClient, tmp_path: Path) -> None:
    found = samples(client.get("/metrics").text)
    assert found["regulars_ready", ()] == 1
    assert found["regulars_run_customers", ()] == 2
    assert found["regulars_run_stale", ()] == 0
    assert found["regulars_run_scored_age_seconds", ()] >= 0
    assert found["regulars_process_resident_bytes", (("pid", str(os.getpid())),)] > 1 << 20
    (tmp_path / "scores/runs/s_0001.sqlite").unlink()
    assert samples(client.get("/metrics").text)["regulars_ready", ()] == 0


def test_without_a_run_there_are_metrics_too(tmp_path: Path) -> None:
    app = create_app(Environment(var=tmp_path, log="off"))
    with TestClient(app, base_url="http://127.0.0.1:8000") as client:
        found = samples(client.get("/metrics").text)
    assert found["regulars_ready", ()] == 0
    assert ("regulars_run_customers", ()) not in found


COUNTING = """
import sys, time
from serving.web.calls import Call
from serving.databases import open_state
from serving.web.metrics import Metrics
metrics = Metrics()
for _ in range(int(sys.argv[1])):
    metrics.note(Call("r", "GET", "/x", 200, 0.002, None))
print("counted", flush=True)
sys.stdin.readline()
from prometheus_client import generate_latest
sys.stdout.buffer.write(generate_latest(metrics.registry()))
print("memory", *(pid for pid, _ in metrics.resident_bytes()))
"""


def counting(folder: Path, times: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", COUNTING, str(times)]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, FOLDER_VARIABLE: str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "counted\n"
    return process


@pytest.mark.slow
def test_processes_add_up_and_the_dead_keep_only_their_counts(tmp_path: Path) -> None:
    first, second, third = (counting(tmp_path, times) for times in (3, 4, 5))
    second.kill()
    second.communicate()
    text, _ = first.communicate("\n")
    assert requests(text.partition("memory")[0], route="/x") == 12
    assert text.splitlines()[-1].split() == ["memory", *sorted([str(first.pid), str(third.pid)], key=int)]
    third.communicate("\n")


def test_of_many_dead_processes_the_newest_are_kept(tmp_path: Path) -> None:
    """No process has a number of eight digits."""
    for number in range(200):
        path = tmp_path / f"counter_{10_000_000 + number}.db"
        path.write_bytes(b"")
        os.utime(path, (number, number))
    process = counting(tmp_path, 1)
    process.communicate("\n")
    kept = sorted(int(path.stem.rpartition("_")[2]) for path in tmp_path.glob("counter_*.db"))
    assert kept == [process.pid, *range(10_000_100, 10_000_200)]


def test_a_start_forgets_what_the_last_one_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    monkeypatch.setenv(FOLDER_VARIABLE, "put back when the test ends")
    prepare_metrics(Environment(var=tmp_path, port=8001))
    folder = tmp_path / "metrics/8001"
    (folder / "counter_1.db").write_bytes(b"")
    prepare_metrics(Environment(var=tmp_path, port=8002))
    assert (folder / "counter_1.db").exists()
    prepare_metrics(Environment(var=tmp_path, port=8001))
    assert list(folder.iterdir()) == []
    assert os.environ[FOLDER_VARIABLE] == str(folder.resolve())


def test_without_a_place_to_count_the_service_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "nowhere"))
    metrics = Metrics()
    assert not metrics.is_counting
    assert "calls are not counted" in caplog.text
    metrics.note(Call("r", "GET", "/x", 200, 0.002, None))


def test_the_page_names_every_metric(client: TestClient) -> None:
    page = (ROOT / "docs/operations.md").read_text()
    section = page.partition("\n### Metrics\n")[2].partition("\n### ")[0]
    told = set(re.findall(r"^\| `(regulars_[a-z_]+)", section, re.MULTILINE))
    client.get("/v1/customers/c1/predictions")
    families = {family.name for family in text_string_to_metric_families(client.get("/metrics").text)}
    counters = ("regulars_requests", "regulars_refused_calls")
    there = {
        f"{name}_total" if name in counters else name for name in families if not name.endswith("_created")
    }
    assert told == there


def delivery(endpoint_id: str, sequence: int) -> dict[str, object]:
    return {
        "endpoint_id": endpoint_id,
        "sequence": sequence,
        "message_id": f"m{sequence}",
        "customer_id": "c1",
        "body": "{}",
        "attempts": 0,
        "next_at": "2026-01-01T00:00:00+00:00",
    }


@pytest.mark.usefixtures("database")
def test_what_waits_for_a_worker_is_told_with_its_age(tmp_path: Path) -> None:
    publish(tmp_path, ["c1"])
    environment = Environment(var=tmp_path, log="off")
    state = open_state(environment)
    make(state)
    app = create_app(environment)
    with TestClient(app, base_url="http://127.0.0.1:8000") as client:
        before = samples(client.get("/metrics").text)
        works = {
            dict(labels)["work"]: value for (name, labels), value in before.items() if "waiting_age" in name
        }
        assert works == dict.fromkeys(("rescore", "fold", "export", "privacy", "webhook"), 0.0)
        words = {"batch": [track(messageId="m1", userId="c1"), track(messageId="m2", userId="c1")]}
        assert client.post("/v1/events/batch", json=words).status_code == 202
        assert client.post("/v1/exports", json={"audience": "at-risk"}).status_code == 202
        person = {"type": "access", "customer_id": "c1"}
        assert client.post("/v1/privacy/requests", json=person).status_code == 202
        with state.writing() as connection:
            connection.execute(sa.update(INBOX).values(received_at="2026-01-01T00:00:00+00:00"))
        deliveries = Webhooks(state).add("https://example.com/in", {"nth_order"})
        with state.writing() as connection:
            connection.execute(sa.insert(DELIVERIES), [delivery(deliveries.endpoint_id, n) for n in range(3)])
        waiting = samples(client.get("/metrics").text)
        assert waiting["regulars_waiting", (("work", "webhook"),)] == 3
        with state.writing() as connection:
            connection.execute(sa.update(ENDPOINTS).values(disabled_at="2026-01-01T00:00:00+00:00"))
            # Set aside: the worker passes it over.
            connection.execute(sa.update(INBOX).where(INBOX.c.sequence == 2).values(standing="aside"))
        after = samples(client.get("/metrics").text)
    state.close()
    for work, count in {"rescore": 1, "fold": 1, "export": 1, "privacy": 1, "webhook": 0}.items():
        assert after["regulars_waiting", (("work", work),)] == count
    assert after["regulars_waiting_age_seconds", (("work", "rescore"),)] > 86_400
    assert after["regulars_disabled_webhooks", ()] == 1
