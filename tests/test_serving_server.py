"""The server as a process: it ends what it has begun, outlives a worker, bears slow callers."""

import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from serving_runs import publish
from test_serving_main import ROOT, free_port, status, wait_until

EXPORT = b"GET /v1/audiences/at-risk/export.csv HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
LAST_PART = b"\r\n0\r\n\r\n"
MANY = [f"c{number}" for number in range(30_000)]


@contextmanager
def serving(
    var: Path, *, workers: int = 1, **settings: str
) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    port = free_port()
    command = [sys.executable, "-m", "serving", "--port", str(port), "--var", str(var)]
    with (var / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--workers", str(workers)],
            cwd=ROOT,
            env={**os.environ, "REGULARS_LOG": "errors", **settings},
            stderr=log,
        )
        try:
            wait_until(lambda: status(f"http://127.0.0.1:{port}/readyz") == 200)
            # A worker has its file of counts just before it takes connections.
            counted = var / "metrics" / str(port)
            wait_until(lambda: len(list(counted.glob("histogram_*.db"))) >= workers)
            yield process, port
        finally:
            process.terminate()
            process.wait(60)


def children(pid: int) -> set[int]:
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.add(int(folder.name))
    return found


def begin_export(port: int) -> socket.socket:
    """Ask for a list of many megabytes and read its first bytes only."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32_768)
    connection.sendall(EXPORT)
    assert connection.recv(15) == b"HTTP/1.1 200 OK"
    return connection


def rest_of(connection: socket.socket) -> bytes:
    received = bytearray()
    with suppress(ConnectionResetError):
        while part := connection.recv(65_536):
            received += part
    return bytes(received)


@pytest.mark.slow
def test_a_server_that_is_stopped_ends_what_it_has_begun(tmp_path: Path) -> None:
    """F20: an export under way is whole; nobody new is let in; idle connections hold nothing up."""
    publish(tmp_path, MANY)
    with (
        serving(tmp_path) as (process, port),
        socket.create_connection(("127.0.0.1", port)),
        begin_export(port) as export,
    ):
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: status(f"http://127.0.0.1:{port}/healthz") is None)
        assert process.poll() is None
        body = rest_of(export)
        assert body.endswith(LAST_PART)
        assert body.count(b"s_0001") == len(MANY)
        assert process.wait(60) == 0


@pytest.mark.slow
def test_a_reader_who_never_reads_does_not_hold_up_the_end(tmp_path: Path) -> None:
    publish(tmp_path, MANY)
    with serving(tmp_path, REGULARS_DRAIN_SECONDS="1") as (process, port), begin_export(port):
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) is not None


def test_workers_are_counted_together(tmp_path: Path) -> None:
    """Whoever is asked: requests to both workers, and the memory of both."""
    publish(tmp_path, ["c1"])
    with serving(tmp_path, workers=2) as (process, port):
        for _ in range(40):
            assert status(f"http://127.0.0.1:{port}/v1/customers/c1/predictions") == 200
        # The kernel may leave all calls to the one that was ready first.
        wait_until(lambda: memory_of(samples(port)) == children(process.pid))
        found = samples(port)
        route = "/v1/customers/{customer_id}/predictions"
        counted = [
            s.value for s in found if s.name == "regulars_requests_total" and s.labels["route"] == route
        ]
        assert counted == [40]


def samples(port: int) -> list[Sample]:
    """Return what Prometheus reads."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        families = text_string_to_metric_families(answer.read().decode())
        return [sample for family in families for sample in family.samples]


def memory_of(found: list[Sample]) -> set[int]:
    """Return the processes whose memory is told."""
    return {int(s.labels["pid"]) for s in found if s.name == "regulars_process_resident_bytes"}


def test_an_export_that_fails_half_way_is_no_whole_one(tmp_path: Path) -> None:
    """Without its last part: what the reader has is told from a list that is complete."""
    publish(tmp_path, MANY)
    run = tmp_path / "scores/runs/s_0001.sqlite"
    with serving(tmp_path) as (_, port), begin_export(port) as export:
        wait_until(lambda: b"s_0001" in export.recv(65_536))
        run.chmod(0o600)
        os.truncate(run, 1 << 20)
        received = rest_of(export)
    assert received.count(b"s_0001") < len(MANY) - 1
    assert not received.endswith(LAST_PART)


@pytest.mark.slow
def test_a_killed_worker_costs_its_own_requests_only(tmp_path: Path) -> None:
    """F1: the other one serves on, a new one takes the place of the dead, and the server stays."""
    publish(tmp_path, MANY)
    with serving(tmp_path, workers=2) as (process, port):
        under_way = [begin_export(port) for _ in range(4)]
        before = children(process.pid)
        victim = min(before)
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: victim not in children(process.pid))
        url = f"http://127.0.0.1:{port}/v1/customers/c1/predictions"
        # A connection that the dead one had taken is lost with it; the next one is another's.
        assert [status(url) for _ in range(50)].count(200) >= 48
        wait_until(lambda: len(list((tmp_path / "metrics" / str(port)).glob("histogram_*.db"))) == 3)
        assert process.poll() is None
        assert len(children(process.pid)) == 2
        assert children(process.pid) & before == before - {victim}
        assert [status(url) for _ in range(50)] == [200] * 50
        # Which worker had which export is the kernel's choice: each is whole or ends without its last part.
        for export in under_way:
            with export:
                received = rest_of(export)
                assert received.endswith(LAST_PART) == (received.count(b"s_0001") == len(MANY))


@pytest.mark.slow
def test_slow_callers_are_ended_and_ordinary_ones_answered(tmp_path: Path) -> None:
    """F10, what holds at any speed: `python -m benchmarks.api_slow` measures the latency."""
    publish(tmp_path, MANY)
    with serving(tmp_path) as (_, port):
        heads = [drip(port, b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ") for _ in range(1_000)]
        post = b"POST /v1/predictions/batch HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9999\r\n\r\n"
        bodies = [drip(port, post) for _ in range(200)]
        readers = [begin_export(port) for _ in range(50)]
        feeding = threading.Event()
        feeder = threading.Thread(target=feed, args=([*heads, *bodies], feeding))
        feeder.start()
        url = f"http://127.0.0.1:{port}/v1/customers/c1/predictions"
        try:
            assert [status(url) for _ in range(100)] == [200] * 100
            wait_until(lambda: all(is_ended(head) for head in heads))
            wait_until(lambda: all(is_ended(body) for body in bodies))
        finally:
            feeding.set()
            feeder.join()
        assert [status(url) for _ in range(100)] == [200] * 100
        for connection in (*heads, *bodies, *readers):
            connection.close()


def drip(port: int, begin: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.sendall(begin)
    connection.setblocking(False)
    return connection


def feed(connections: list[socket.socket], is_over: threading.Event) -> None:
    """Send a byte a second on every connection that still takes one."""
    while not is_over.wait(1.0):
        for connection in connections:
            try:
                connection.send(b" ")
            except OSError:
                continue


def is_ended(connection: socket.socket) -> bool:
    """Say whether the server has closed a connection; an answer before that counts as well."""
    try:
        return connection.recv(4_096) is not None
    except BlockingIOError:
        return False
    except OSError:
        return True
