"""A shop whose lists are exported: runs with scores of their own, a state, keys, jobs that are run here."""

import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import polars as pl
from serving_runs import meta, stored_row
from starlette.testclient import TestClient

from features.identity import merge_identities
from features.layout import Layout
from features.settings import Settings
from serving.api import create_app
from serving.databases import open_state, open_store
from serving.environment import Environment
from serving.jobs import Bench, run_next_job
from serving.state.jobs import Job
from serving.state.keys import Keys
from serving.state.migrate import make
from serving.store.records import AudienceCounts

ROOT = Path(__file__).parents[1]
Customers = Mapping[str, Mapping[str, Any]]


def publish_scores(
    var: Path, customers: Customers, *, listed: Sequence[str] | None = None, share: float = 0.0
) -> None:
    """Publish a run: customers with what is special about each; `listed` (default: all) are at risk."""
    members = list(customers) if listed is None else list(listed)
    counts = AudienceCounts(title="At risk", member_count=len(members), control_group_share=share)
    with open_store(Environment(var=var)).begin_run() as writer:
        writer.write_scores(stored_row(customer, **changes) for customer, changes in customers.items())
        writer.write_audience("at-risk", members)
        writer.publish(meta(audiences={"at-risk": counts}))


def open_bench(var: Path) -> Bench:
    """Return what runs the jobs of a folder; its state is made."""
    environment = Environment(var=var)
    state = open_state(environment)
    make(state)
    return Bench(environment.layout, state, open_store(environment), Settings())


def run_jobs(bench: Bench) -> list[Job]:
    """Run every job that waits."""
    done = []
    while job := run_next_job(bench):
        done.append(job)
    return done


def open_api(var: Path) -> TestClient:
    """Return a client of the API over a folder."""
    app = create_app(Environment(var=var, poll_seconds=0.05))
    return TestClient(app, base_url="http://127.0.0.1:8000", raise_server_exceptions=False)


def follow(client: TestClient) -> None:
    """Wait until the API has the newest run, and make it see the newest keys."""
    context = client.app.state.context  # type: ignore[attr-defined]
    context.guard.refresh()
    newest = open_store(context.environment).live_run_id()
    while context.runs.current().meta.score_run_id != newest:
        time.sleep(0.01)


def bearer(bench: Bench, *scopes: str) -> dict[str, str]:
    """Return the header of a new key."""
    return {"authorization": f"Bearer {Keys(bench.state).add('test', scopes)[1]}"}


def know_people(var: Path, emails: Mapping[str, str]) -> None:
    """Write who is behind some ids."""
    ids = list(emails)
    rows = {"customer_id": ids, "email": [emails[c] for c in ids], "phone": [None] * len(ids)}
    schema = {"customer_id": pl.String, "email": pl.String, "phone": pl.String}
    merge_identities(Layout(var).private, pl.DataFrame(rows, schema=schema))


def export(client: TestClient, bench: Bench, *, headers: Mapping[str, str] | None = None, **body: Any) -> Any:
    """Ask for an export of at-risk, run it, and return the finished job as the API shows it."""
    follow(client)
    asked = client.post("/v1/exports", json={"audience": "at-risk", **body}, headers=headers)
    assert asked.status_code == 202, asked.text
    run_jobs(bench)
    return client.get(asked.headers["location"], headers=headers).json()


def fetched(client: TestClient, job: Any, headers: Mapping[str, str] | None = None) -> bytes:
    """Return the only file of a job."""
    (file,) = job["files"]
    answer = client.get(file["url"], headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.content


def names_under(folder: Path) -> set[str]:
    """Return the names of all files under a folder."""
    with suppress(FileNotFoundError):
        return {path.name for path in folder.rglob("*") if path.is_file()}
    return set()


@contextmanager
def serving(bench: Bench) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Serve a folder over a real socket, with its jobs being run; yield the address and the process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "serving", "--port", str(port), "--var", str(bench.layout.root)]
    stopped = threading.Event()
    runner = threading.Thread(target=run_until, args=(bench, stopped))
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    runner.start()
    try:
        address = f"http://127.0.0.1:{port}"
        wait_for(f"{address}/readyz")
        yield address, process
    finally:
        stopped.set()
        runner.join()
        process.terminate()
        process.wait()


def run_until(bench: Bench, stopped: threading.Event) -> None:
    while not stopped.is_set():
        run_next_job(bench)
        stopped.wait(0.05)


def wait_for(url: str) -> None:
    for _ in range(600):
        try:
            with urllib.request.urlopen(url):  # noqa: S310 - our own server
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)
    raise AssertionError(f"{url} did not answer")
