"""F3–F6: a full disk, a folder that cannot be written, databases that are gone, damaged or locked."""

import os
import resource
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest
from asgi_calls import Caller, calling
from inbound_words import track
from serving_runs import publish
from test_serving_main import ROOT, free_port, status, wait_until
from test_serving_server import children, serving

from features.layout import Layout
from serving.schemas.base import Problem
from serving.state.database import State
from serving.state.inbox import Inbox
from serving.state.keys import Keys
from serving.state.migrate import make
from serving.web.problems import MEDIA_TYPE

JSON = [("content-type", "application/json")]
EXPORT = orjson.dumps({"audience": "at-risk", "format": "csv"})


def events(*names: str) -> bytes:
    return orjson.dumps({"batch": [track(messageId=name) for name in names]})


def post(url: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
    asked = urllib.request.Request(url, data=body, headers=dict(JSON))  # noqa: S310 - our own address
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:  # noqa: S310
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read()


@contextmanager
def files_end_at(bytes_max: int, pids: set[int]) -> Iterator[None]:
    """Let processes write no file beyond so many bytes, as a full disk would not."""
    before = {pid: resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in pids}
    for pid, (_, most) in before.items():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (bytes_max, most))
    try:
        yield
    finally:
        for pid, limits in before.items():
            resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_refuses_writes_and_nothing_else(tmp_path: Path) -> None:
    """F3: 503 for what cannot be kept, reads go on, and it goes on by itself when there is room again."""
    publish(tmp_path, ["c1"])
    with serving(tmp_path) as (process, port):
        url = f"http://127.0.0.1:{port}"
        assert post(f"{url}/v1/events/batch", events("before"))[0] == 202
        workers = children(process.pid)
        with files_end_at(2_048, workers):
            for path, body in (("/v1/events/batch", events("refused")), ("/v1/exports", EXPORT)):
                code, headers, said = post(url + path, body)
                assert (code, headers["content-type"]) == (503, MEDIA_TYPE)
                assert int(headers["retry-after"]) > 0
                assert Problem.model_validate_json(said).status == 503
            for path in ("/v1/customers/c1/predictions", "/v1/audiences/at-risk/members", "/readyz"):
                assert status(url + path) == 200
        assert post(f"{url}/v1/events/batch", events("before", "after"))[0] == 202
        assert post(f"{url}/v1/exports", EXPORT)[0] == 202
        assert children(process.pid) == workers
    inbox = Inbox(State.of(Layout(tmp_path)))
    assert len(inbox.list_after(0, limit=10)) == 2


def start_read_only(var: Path) -> "subprocess.CompletedProcess[str]":
    """Start the service on a folder that it may not write; for root, mounted so in a space of its own."""
    command = [sys.executable, "-m", "serving", "--port", str(free_port()), "--var", str(var)]
    if os.geteuid() == 0:
        mounts = f'mount --bind "{var}" "{var}" && mount -o remount,ro,bind "{var}" && exec "$@"'
        command = ["unshare", "--mount", "sh", "-c", mounts, "sh", *command]
        if subprocess.run([*command[:4], "true"], capture_output=True, check=False).returncode:
            pytest.skip("root may mount nothing here")
    else:
        var.chmod(0o500)
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    finally:
        var.chmod(0o700)


@pytest.mark.parametrize("with_key", [False, True])
def test_a_folder_that_cannot_be_written_is_a_clear_refusal(tmp_path: Path, with_key: bool) -> None:
    """F4: it starts not at all; one line names the file."""
    publish(tmp_path, ["c1"])
    if with_key:
        state = State.of(Layout(tmp_path))
        make(state)
        Keys(state).add("first", ["admin"])
    done = start_read_only(tmp_path)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert str(tmp_path) in done.stderr


DAMAGES = {
    "deleted": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "overwritten": lambda path: path.write_bytes(b"\x5a" * path.stat().st_size),
}
FILES = ("scores/control.sqlite", "scores/runs/s_0001.sqlite", "state/state.sqlite")


@pytest.fixture
def key(tmp_path: Path) -> str:
    """A published run of many pages, and a key."""
    publish(tmp_path, [f"c{number}" for number in range(500)])
    state = State.of(Layout(tmp_path))
    make(state)
    return Keys(state).add("first", ["admin"])[1]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("is_running", [False, True])
def test_a_database_that_is_gone_is_not_taken_for_an_empty_one(
    tmp_path: Path, key: str, name: str, damage: str, is_running: bool
) -> None:
    """F5: not ready, and no list that is empty; whether it happens before the start or after it."""
    path = tmp_path / name

    def harm() -> None:
        path.chmod(0o600)
        DAMAGES[damage](path)

    if not is_running:
        harm()
    with calling(tmp_path) as caller:
        if is_running:
            assert members(caller, key) == 500
            harm()
        wait_until(lambda: caller.call("GET", "/readyz").status == 503)
        assert members(caller, key) in {None, 500}


def members(caller: Caller, key: str) -> int | None:
    """Return how many members a list is said to have; None where the service says that it cannot tell."""
    target = "/v1/audiences/at-risk/members?limit=1000"
    answer = caller.call("GET", target, [("authorization", f"Bearer {key}")])
    if answer.status != 200:
        assert answer.status in {401, 503}
        return None
    return len(orjson.loads(answer.body)["members"])


@pytest.mark.slow
def test_a_locked_database_says_when_to_come_again(tmp_path: Path) -> None:
    """F6: whoever writes is told to wait; whoever reads is answered."""
    publish(tmp_path, ["c1"])
    make(State.of(Layout(tmp_path)))
    with calling(tmp_path) as caller, sqlite3.connect(tmp_path / "state/state.sqlite") as held:
        held.execute("BEGIN EXCLUSIVE")
        for path, body in (("/v1/events/batch", events("m")), ("/v1/exports", EXPORT)):
            answer = caller.call("POST", path, JSON, body)
            assert (answer.status, answer.headers["content-type"]) == (503, MEDIA_TYPE)
            assert int(answer.headers["retry-after"]) > 0
        assert caller.call("GET", "/v1/customers/c1/predictions").status == 200
        held.rollback()
        assert caller.call("POST", "/v1/events/batch", JSON, events("m")).status == 202
    held.close()
