"""Load on one prediction and on a thousand: requests a second, latency, processor time; beside the framework.

    python -m benchmarks.api_load [--customers 20000] [--connections 32] [--seconds 5]

A server of one worker answers a made-up run, for a key whose calls are counted; the client is a small asyncio
one in this process, so on a machine of two cores client and server have one each. "Bare" is FastAPI on the
same server with one static JSON answer. Exit code 1 where a target is missed.
"""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.published import gates_text
from features.settings import Layout
from serving.state.database import State
from serving.state.keys import Keys
from serving.state.migrate import make

_PORT = 8970
_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Load:
    """What one bombardment measured."""

    name: str
    requests_per_second: float
    median_ms: float
    p99_ms: float
    cpu_us: float
    failures: int


def main(
    customers: Annotated[int, typer.Option(help="rows of the made-up run")] = 20_000,
    connections: Annotated[int, typer.Option(help="connections at once")] = 32,
    seconds: Annotated[float, typer.Option(help="how long each bombardment lasts")] = 5.0,
) -> None:
    """Print one table."""
    with tempfile.TemporaryDirectory() as folder:
        var = Path(folder)
        _publish(var, customers)
        secret = _make_key(var)
        paths = [f"/v1/customers/c{random.randrange(customers)}/predictions" for _ in range(5000)]
        with _server("benchmarks.api_load:bare_app", var) as process:
            bare = asyncio.run(
                _bombard(
                    "bare", _asks(["/bare"], secret), process.pid, connections=connections, seconds=seconds
                )
            )
        with _server("serving.api:create_app", var) as process:
            full = asyncio.run(
                _bombard(
                    "prediction",
                    _asks(paths, secret),
                    process.pid,
                    connections=connections,
                    seconds=seconds,
                )
            )
            many = asyncio.run(
                _bombard(
                    "1,000 ids", _batches(customers, secret), process.pid, connections=1, seconds=seconds
                )
            )
    print(f"{'':12}{'req/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'CPU µs':>9}{'failed':>8}")
    for load in (bare, full, many):
        numbers = f"{load.requests_per_second:9.0f}{load.median_ms:9.2f}{load.p99_ms:9.2f}{load.cpu_us:9.0f}"
        print(f"{load.name:12}{numbers}{load.failures:8}")
    lines = gate_lines(bare, full, many)
    sys.stdout.write(gates_text(lines))
    if not all(held for _, held in lines):
        raise SystemExit(1)


def gate_lines(bare: Load, full: Load, many: Load) -> list[tuple[str, bool]]:
    """Hold one prediction and a thousand against their targets, and one against the bare framework."""
    times = full.cpu_us / bare.cpu_us
    return [
        (f"{full.requests_per_second:,.0f} requests a second ≥ 2,500", full.requests_per_second >= 2_500),
        (f"p99 {full.p99_ms:.1f} ms ≤ 20", full.p99_ms <= 20),
        (f"{full.cpu_us:.0f} µs of processor time a request ≤ 380", full.cpu_us <= 380),
        (f"{times:.1f} × bare ≤ 4", times <= 4),
        (f"1,000 ids, p99 {many.p99_ms:.0f} ms ≤ 150", many.p99_ms <= 150),
        (f"{full.failures + many.failures} failed = 0", full.failures + many.failures == 0),
    ]


def bare_app() -> object:
    """Return FastAPI with one static JSON answer."""
    from fastapi import FastAPI, Response  # noqa: PLC0415 - only in the server's process

    app = FastAPI(openapi_url=None)

    @app.get("/bare")
    async def bare() -> Response:
        return Response(b'{"ok":true}', media_type="application/json")

    return app


def _publish(var: Path, customers: int) -> None:
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from serving_runs import publish  # type: ignore[import-not-found]  # noqa: PLC0415 - the tests' made-up rows

    publish(var, [f"c{number}" for number in range(customers)])


def _make_key(var: Path) -> str:
    state = State.of(Layout(var))
    make(state)
    return Keys(state).add("load", ["predictions:read"], calls_per_minute=10_000_000)[1]


def _asks(paths: Sequence[str], secret: str) -> list[bytes]:
    """Return whole requests."""
    head = f"HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {secret}\r\n\r\n"
    return [f"GET {path} {head}".encode() for path in paths]


def _batches(customers: int, secret: str) -> list[bytes]:
    """Return whole requests for the scores of a thousand customers each."""
    bodies = [
        json.dumps({"customer_ids": [f"c{random.randrange(customers)}" for _ in range(1000)]}).encode()
        for _ in range(50)
    ]
    head = f"POST /v1/predictions/batch HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {secret}\r\n"
    form = "Content-Type: application/json\r\nContent-Length: "
    return [f"{head}{form}{len(body)}\r\n\r\n".encode() + body for body in bodies]


@contextmanager
def _server(target: str, var: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--factory", "--port", str(_PORT)]
    process = subprocess.Popen(
        [*command, "--log-level", "error", "--no-ws", target], env={**os.environ, "REGULARS_VAR": str(var)}
    )
    try:
        _wait_for_port()
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def _wait_for_port() -> None:
    import socket  # noqa: PLC0415 - needed here alone

    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", _PORT)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("the server did not start")


async def _bombard(name: str, asks: list[bytes], pid: int, *, connections: int, seconds: float) -> Load:
    latencies: list[float] = []
    failures = [0]
    await asyncio.gather(*(_client(asks, 0.5, [], failures) for _ in range(connections)))
    cpu = _cpu_seconds(pid)
    begun = time.perf_counter()
    await asyncio.gather(*(_client(asks, seconds, latencies, failures) for _ in range(connections)))
    passed, used = time.perf_counter() - begun, _cpu_seconds(pid) - cpu
    latencies.sort()
    count = len(latencies)
    return Load(
        name,
        count / passed,
        1000 * latencies[count // 2],
        1000 * latencies[int(count * 0.99)],
        1e6 * used / count,
        failures[0],
    )


async def _client(asks: list[bytes], seconds: float, latencies: list[float], failures: list[int]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", _PORT)
    end = time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        writer.write(random.choice(asks))
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0])
        await reader.readexactly(length)
        latencies.append(time.perf_counter() - start)
        failures[0] += not head.startswith(b"HTTP/1.1 200")
    writer.close()


def _cpu_seconds(pid: int) -> float:
    """Return user and system time of a process and its children."""
    total = 0.0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(folder.name) == pid or int(fields[1]) == pid:
            total += (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS
    return total


if __name__ == "__main__":
    typer.run(main)
