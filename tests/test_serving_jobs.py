"""Running jobs: killed, stopped, failed or late, a file is whole and its job done, or there is none."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from export_shop import fetched, names_under, open_api, open_bench, publish_scores, run_jobs
from serving_runs import publish

from features.console import run_command
from features.settings import Settings
from serving import jobs as command
from serving.jobs import Bench, run_next_job
from serving.schemas.export_request import ExportRequest
from serving.state.jobs import ATTEMPTS_MAX, Job, LostJobError, Order


@pytest.fixture
def bench(tmp_path: Path, database: str) -> Bench:
    publish(tmp_path, ["c1", "c2", "c3"])
    return open_bench(tmp_path)


def leave(bench: Bench, *, key_id: str = "", **request: Any) -> str:
    asked = ExportRequest(audience="at-risk", **request)
    order = Order(key_id, asked.model_dump(), with_identity=False, destination=asked.destination)
    return bench.jobs.add(order).job_id


def job_of(bench: Bench, job_id: str) -> Job:
    job = bench.jobs.get(job_id)
    assert job is not None
    return job


@contextmanager
def interrupted(error: BaseException) -> Iterator[None]:
    """Make every file fail when it is to get its name."""

    def fail(*_: object) -> None:
        raise error

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("serving.exports.files.replace_durably", fail)
        yield


def test_jobs_run_in_order_and_are_kept_on_record(bench: Bench) -> None:
    first, second = leave(bench, key_id="k_1"), leave(bench, key_id="k_2", format="ndjson")
    done = run_jobs(bench)
    assert [job.job_id for job in done] == [first, second]
    assert [(job.key_id, job.status, job.result["row_count"]) for job in bench.jobs.list_all()] == [
        ("k_1", "done", 3),
        ("k_2", "done", 3),
    ]
    assert run_next_job(bench) is None


def test_a_stopped_job_is_given_back_and_leaves_no_file(bench: Bench) -> None:
    job_id = leave(bench)
    for _ in range(ATTEMPTS_MAX + 2):
        with interrupted(SystemExit(143)), pytest.raises(SystemExit):
            run_next_job(bench)
        assert names_under(bench.layout.exports) == set()
        assert (job_of(bench, job_id).status, job_of(bench, job_id).attempt) == ("queued", 0)
    assert [job.status for job in run_jobs(bench)] == ["done"]


def test_a_full_disk_fails_the_job_and_says_so(bench: Bench) -> None:
    job_id = leave(bench)
    with interrupted(OSError(errno.ENOSPC, "No space left on device")):
        run_next_job(bench)
    assert (job_of(bench, job_id).status, job_of(bench, job_id).error) == ("failed", "disk")
    assert names_under(bench.layout.exports) == set()
    with open_api(bench.layout.root) as client:
        shown = client.get(f"/v1/jobs/{job_id}").json()
    assert (shown["status"], shown["error"], shown["files"]) == ("failed", "disk", [])


def test_a_list_that_is_gone_by_then_fails_the_job(bench: Bench, tmp_path: Path) -> None:
    gone = leave(bench)
    publish(tmp_path, ["c1"], audiences={})
    run_jobs(bench)
    assert job_of(bench, gone).error == "unknown_audience"


@pytest.mark.usefixtures("database")
def test_no_run_at_all_fails_the_job(tmp_path: Path) -> None:
    bench = open_bench(tmp_path)
    job_id = leave(bench)
    run_jobs(bench)
    assert job_of(bench, job_id).error == "no_scores"


def test_a_job_whose_runner_died_is_run_by_the_next(bench: Bench) -> None:
    job_id = leave(bench)
    now = time.time()
    dead = bench.jobs.claim(now=now, lease_seconds=30)
    assert dead is not None
    assert bench.jobs.claim(now=now + 29) is None
    taken = bench.jobs.claim(now=now + 31, lease_seconds=-40)
    assert taken is not None
    assert (taken.job_id, taken.attempt) == (job_id, 2)
    for late in (
        lambda: bench.jobs.renew(dead, now=now),
        lambda: bench.jobs.finish(dead, {}, keep_days=7),
        lambda: bench.jobs.fail(dead, "internal"),
        lambda: bench.jobs.release(dead),
    ):
        with pytest.raises(LostJobError):
            late()
    assert [(job.status, job.attempt) for job in run_jobs(bench)] == [("done", 3)]


def test_a_job_that_kills_its_runners_is_given_up(bench: Bench) -> None:
    job_id = leave(bench)
    for attempt in range(1, ATTEMPTS_MAX + 1):
        claimed = bench.jobs.claim(now=time.time(), lease_seconds=-1)
        assert claimed is not None
        assert claimed.attempt == attempt
    assert bench.jobs.claim(now=time.time()) is None
    assert (job_of(bench, job_id).status, job_of(bench, job_id).error) == ("failed", "gave_up")


def test_two_jobs_of_one_destination_never_run_at_once(bench: Bench) -> None:
    first = leave(bench, profile="braze")
    leave(bench, profile="braze")
    other = leave(bench, profile="klaviyo")
    now = time.time()
    claimed = [bench.jobs.claim(now=now) for _ in range(3)]
    assert [job and job.job_id for job in claimed] == [first, other, None]


def test_files_are_deleted_after_their_time_and_the_record_stays(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = leave(bench)
    run_jobs(bench)
    with open_api(bench.layout.root) as client:
        job = client.get(f"/v1/jobs/{job_id}").json()
        assert fetched(client, job).startswith(b"customer_id,")
        days = datetime.fromisoformat(job["expires_at"]) - datetime.fromisoformat(job["finished_at"])
        assert days.days in (6, 7)
        later = datetime.now(UTC) + timedelta(days=7, seconds=1)
        monkeypatch.setattr(command, "datetime", type("Later", (), {"now": lambda _: later}))
        assert run_next_job(bench) is None
        assert names_under(bench.layout.exports) == set()
        assert client.get(f"/v1/jobs/{job_id}").json()["status"] == "expired"
        gone = client.get(job["files"][0]["url"])
    assert (gone.status_code, gone.json()["type"]) == (410, "urn:regulars:problem:files-expired")
    assert job_of(bench, job_id).result["row_count"] == 3


@pytest.mark.slow
def test_killed_at_any_moment_there_is_the_whole_file_or_none(tmp_path: Path) -> None:
    """A runner is killed at random moments; the next one finishes, and what is there is right."""
    ids = [f"c{number}" for number in range(6_000)]
    publish_scores(tmp_path, {c: {} for c in ids})
    bench = open_bench(tmp_path)
    for delay in (0.0, 0.05, 0.1, 0.2, 0.3):
        job_id = leave(bench, format="ndjson")
        runner = start_runner(tmp_path)
        wait_until(lambda: job_of(bench, job_id).status == "running" or runner.poll() is not None)  # noqa: B023
        time.sleep(delay)
        os.kill(runner.pid, signal.SIGKILL)
        runner.wait()
        files = names_under(bench.layout.exports / job_id)
        assert job_of(bench, job_id).status == "done" or files <= {
            ".at-risk-2026-11-22.ndjson.partial",
            "at-risk-2026-11-22.ndjson",
        }
        expire_lease(bench)
        run_jobs(bench)
        assert job_of(bench, job_id).status == "done"
        (path,) = (bench.layout.exports / job_id).rglob("*.*")
        assert [json.loads(line)["customer_id"] for line in path.read_bytes().splitlines()] == ids


def test_a_runner_that_is_asked_to_stop_gives_its_job_back(tmp_path: Path) -> None:
    publish_scores(tmp_path, {f"c{number}": {} for number in range(30_000)})
    bench = open_bench(tmp_path)
    job_id = leave(bench, format="ndjson")
    runner = start_runner(tmp_path)
    wait_until(lambda: names_under(bench.layout.exports) != set())
    runner.terminate()
    assert runner.wait() == 143
    assert (job_of(bench, job_id).status, job_of(bench, job_id).attempt) == ("queued", 0)
    assert names_under(bench.layout.exports) == set()


def start_runner(var: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "serving.jobs", "--var", str(var)])


def wait_until(holds: Callable[[], bool]) -> None:
    for _ in range(2_000):
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError("it never came to that")


def expire_lease(bench: Bench) -> None:
    """Act as if whoever ran a job had been silent for long."""
    stale = bench.jobs.claim(now=time.time() + 10_000, lease_seconds=-20_000)
    if stale is not None:
        bench.jobs.release(stale)


def test_the_command_runs_what_waits_and_lists_who_exported_what(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    job_id = leave(bench, key_id="k_1")

    def run(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["jobs", *words, "--var", str(bench.layout.root)])
        before = signal.getsignal(signal.SIGTERM)
        try:
            with suppress(SystemExit):
                run_command(command._command)
        finally:
            signal.signal(signal.SIGTERM, before)
        return capsys.readouterr().out

    assert run("--list").endswith(f"{job_id}  k_1  at-risk for generic: queued\n")
    assert run().endswith("at-risk for generic: done, 3 rows\n")
    assert run() == ""
    assert run("--list").endswith("at-risk for generic: done, 3 rows\n")


def test_the_keep_time_is_a_setting() -> None:
    assert Settings().exports.keep_days == 7
