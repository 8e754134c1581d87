"""A server for the load benchmarks: a made-up run, a key, and the real command in a process of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from serving.databases import open_state
from serving.environment import Environment
from serving.segments.profile_traits import QUARTILES
from serving.segments.suggested import SUGGESTED
from serving.state.keys import Keys
from serving.state.migrate import make

PORT = 8970
_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


def publish_run(var: Path, customers: int) -> None:
    """Publish a run of the tests' made-up rows, for customers from c0 on, with what the console shows."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from console_documents import DOCUMENTS  # type: ignore[import-not-found]  # noqa: PLC0415 - the tests' own
    from serving_runs import publish  # type: ignore[import-not-found]  # noqa: PLC0415 - the tests' own

    told = {name for each in SUGGESTED for name in (*each.highest, *each.lowest)}
    # All rows are alike: with cuts that rise, suggestions are counted all the same.
    cuts = {name: [float(step) for step in range(19)] for name in (*told, *QUARTILES)}
    publish(var, [f"c{number}" for number in range(customers)], documents=DOCUMENTS, cuts=cuts)


def make_key(var: Path) -> str:
    """Return a key that no limit stops."""
    state = open_state(Environment(var=var))
    make(state)
    scopes = ["predictions:read", "audiences:read"]
    return Keys(state).add("load", scopes, calls_per_minute=10_000_000)[1]


@contextmanager
def postgresql() -> Iterator[None]:
    """Keep keys and scores in PostgreSQL within a block: a server of its own, on this machine."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from pg_server import PgServer  # type: ignore[import-not-found]  # noqa: PLC0415 - the tests' own

    server = PgServer()
    os.environ["REGULARS_DATABASE_URL"] = server.new_database()
    try:
        yield
    finally:
        del os.environ["REGULARS_DATABASE_URL"]
        server.close()


@contextmanager
def service(var: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Serve a folder as `make serve` does: one worker, a log line a request into a file, metrics counted."""
    with (var / "log").open("wb") as log:
        command = [sys.executable, "-m", "serving", "--port", str(PORT), "--var", str(var)]
        with _running(command, stderr=log) as process:
            yield process


@contextmanager
def bare_framework() -> Iterator["subprocess.Popen[bytes]"]:
    """Serve FastAPI with one constant answer, on the same HTTP server."""
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--factory", "--port", str(PORT)]
    words = ["--http", "1", "--log-level", "error", "--no-ws", "benchmarks.api_server:bare_app"]
    with _running([*command, *words]) as process:
        yield process


def bare_app() -> object:
    """Return FastAPI with one static JSON answer."""
    from fastapi import FastAPI, Response  # noqa: PLC0415 - only in the server's process

    app = FastAPI(openapi_url=None)

    @app.get("/bare")
    async def bare() -> Response:
        return Response(b'{"ok":true}', media_type="application/json")

    return app


@contextmanager
def _running(command: Sequence[str], **options: object) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(command, **options)  # type: ignore[call-overload]
    try:
        _wait_for_port()
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _wait_for_port() -> None:
    for _ in range(400):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", PORT)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("the server did not start")


def cpu_seconds(pid: int) -> float:
    """Return user and system time of a process and its children."""
    return sum(ticks for _, ticks, _ in _processes(pid)) / _CLOCK_TICKS


def resident_mb(pid: int, *, children_only: bool = False) -> float:
    """Return the memory of a process and its children, or of these alone (the workers)."""
    found = [pages for number, _, pages in _processes(pid) if not (children_only and number == pid)]
    return sum(found) * os.sysconf("SC_PAGE_SIZE") / 1e6


def _processes(pid: int) -> Iterator[tuple[int, int, int]]:
    """Yield (number, clock ticks, resident pages) of a process and its children."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(folder.name) == pid or int(fields[1]) == pid:
            yield int(folder.name), int(fields[11]) + int(fields[12]), int(fields[21])
