"""The server as it is started: refusals before it opens a port, and real answers over a real socket."""

import os
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from serving_runs import publish

from features.layout import Layout
from serving.__main__ import ServeError, check_start
from serving.environment import Environment, EnvironmentSettingError
from serving.state.database import State, StateGoneError
from serving.state.keys import Keys
from serving.state.migrate import make
from serving.store.errors import StoreError

ROOT = Path(__file__).parents[1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_damaged_run_is_a_clear_refusal(tmp_path: Path) -> None:
    publish(tmp_path, ["c1"])
    path = tmp_path / "scores/runs/s_0001.sqlite"
    path.chmod(0o600)
    path.write_bytes(b"")
    with pytest.raises(StoreError, match="make score"):
        check_start(Environment(var=tmp_path, port=free_port()))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.5", "example.org", ""])  # noqa: S104
def test_only_this_machine_may_call_without_keys(tmp_path: Path, host: str) -> None:
    publish(tmp_path, ["c1"])
    with pytest.raises(ServeError, match="API keys"):
        check_start(Environment(var=tmp_path, host=host, port=free_port()))


def test_with_a_key_it_may_listen_on_a_network(tmp_path: Path) -> None:
    publish(tmp_path, ["c1"])
    environment = Environment(var=tmp_path, host="0.0.0.0", port=free_port())  # noqa: S104
    with pytest.raises(ServeError, match="API keys"):
        check_start(environment)
    state = State.of(Layout(tmp_path))
    make(state)
    Keys(state).add("proxy", ["admin"])
    check_start(environment)
    with sqlite3.connect(state.path) as connection:
        connection.execute("DELETE FROM api_keys")
    connection.close()
    for host in ("0.0.0.0", "127.0.0.1"):  # noqa: S104
        with pytest.raises(StateGoneError, match="put the back-up back"):
            check_start(environment.model_copy(update={"host": host}))


def test_a_busy_port_is_a_clear_refusal(tmp_path: Path) -> None:
    publish(tmp_path, ["c1"])
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(ServeError, match="--port"):
            check_start(Environment(var=tmp_path, port=other.getsockname()[1]))


def test_without_scores_it_leads_to_the_set_up(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "serving", "--var", str(tmp_path), "--port", str(port)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT) as server:
        try:
            base = f"http://127.0.0.1:{port}"
            wait_until(lambda: status(f"{base}/healthz") == 200)
            assert status(f"{base}/readyz") == 503
            assert status(f"{base}/setup") == 200
        finally:
            server.terminate()
        assert f"no scores yet: begin at {base}/setup" in server.stderr.read()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "value"),
    [("LOG", "loud"), ("DRAIN_SECONDS", "0"), ("STALE_AFTER_DAYS", "soon"), ("POLL_SECONDS", "-1")],
)
def test_a_wrong_setting_is_one_line_that_names_it(tmp_path: Path, name: str, value: str) -> None:
    command = [sys.executable, "-m", "serving", "--var", str(tmp_path)]
    given = {**os.environ, f"REGULARS_{name}": value}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=given, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: REGULARS_{name}: input should be ")
    assert done.stderr.count("\n") == 1


def test_wrong_settings_are_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGULARS_WORKERS", "sesame")
    with pytest.raises(EnvironmentSettingError) as refused:
        Environment(port=-1)
    assert "REGULARS_WORKERS" in str(refused.value)
    assert "REGULARS_PORT" in str(refused.value)
    assert "sesame" not in str(refused.value)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    var = tmp_path_factory.mktemp("var")
    publish(var)
    port = free_port()
    command = [sys.executable, "-m", "serving", "--port", str(port), "--var", str(var)]
    environment = {**os.environ, "REGULARS_POLL_SECONDS": "0.05"}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE) as process:
        try:
            wait_until(lambda: status(f"http://127.0.0.1:{port}/healthz") == 200)
            yield f"http://127.0.0.1:{port}", var
        finally:
            process.terminate()
            process.wait(20)


def wait_until(is_done: object, *, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not is_done():  # type: ignore[operator]
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def status(url: str, headers: dict[str, str] | None = None) -> int | None:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=30) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def read(url: str) -> dict[str, object]:
    with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own address
        return dict(orjson.loads(answer.read()))


@pytest.mark.parametrize(
    ("written", "customer_id"),
    [
        ("00123", "00123"),
        ("a%2Fb", "a/b"),
        ("a/b", "a/b"),
        ("a//b", "a//b"),
        ("%EA%B9%80%EC%B2%A0%EC%88%98", "김철수"),
        ("%252f", "%2f"),
        ("..%2Fx", "../x"),
        ("trail%20", "trail "),
        ("%3D1%2B1", "=1+1"),
        ("+44", "+44"),
    ],
)
def test_ids_over_a_real_socket(served: tuple[str, Path], written: str, customer_id: str) -> None:
    assert read(f"{served[0]}/v1/customers/{written}/predictions")["customer_id"] == customer_id


@pytest.mark.parametrize("written", ["%ff", "%00", "%ED%A0%80", "%C0%AF"])
def test_no_ids_over_a_real_socket(served: tuple[str, Path], written: str) -> None:
    assert status(f"{served[0]}/v1/customers/{written}/predictions") == 422


def test_a_page_elsewhere_cannot_read_through_a_browser(served: tuple[str, Path]) -> None:
    assert status(f"{served[0]}/v1/customers/c1/predictions", {"Host": "evil.example"}) == 421


def test_a_new_run_is_served_without_a_restart_or_a_failure(served: tuple[str, Path]) -> None:
    url, var = served
    before = read(f"{url}/readyz")["score_run_id"]
    publish(var, churn_probability=0.77)
    seen = []

    def is_new() -> bool:
        score = read(f"{url}/v1/customers/c1/predictions")
        seen.append((score["score_run_id"], score["churn_probability"]))
        return score["score_run_id"] != before

    wait_until(is_new)
    assert {probability for run, probability in seen if run == before} <= {0.49}
    assert {probability for run, probability in seen if run != before} == {0.77}
