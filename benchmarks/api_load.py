"""Load on one prediction and on a thousand: requests a second, latency, processor time; beside the framework.

    python -m benchmarks.api_load [--customers 20000] [--connections 32] [--seconds 5] [--rounds 3]

The service runs as `make serve` starts it, with one worker, for a key whose calls are counted; every call is
written to the log and counted in the metrics. The client is a small asyncio one in this process, so on a
machine of two cores client and server have one each. "Bare" is FastAPI on the same server with one constant
answer. Both take turns, and the round in the middle counts, by processor time. The same calls follow with
keys and scores in PostgreSQL on this machine, held to the same targets. Exit code 1 where one is missed.
"""

import asyncio
import json
import os
import random
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.api_client import HEADING, Load, asks, bombard
from benchmarks.api_server import bare_framework, make_key, postgresql, publish_run, service
from benchmarks.published import gates_text


def main(
    customers: Annotated[int, typer.Option(help="rows of the made-up run")] = 20_000,
    connections: Annotated[int, typer.Option(help="connections at once")] = 32,
    seconds: Annotated[float, typer.Option(help="how long each bombardment lasts")] = 5.0,
    rounds: Annotated[int, typer.Option(help="how often bare and full take turns")] = 3,
) -> None:
    """Print one table."""
    os.environ.pop("REGULARS_DATABASE_URL", None)
    bare, full = [], []

    def measure(name: str, requests: list[bytes], pid: int, *, at_once: int = connections) -> Load:
        return asyncio.run(bombard(name, requests, pid, connections=at_once, seconds=seconds))

    with tempfile.TemporaryDirectory() as folder:
        single, batches = _prepare(Path(folder), customers)
        for _ in range(rounds):
            with bare_framework() as process:
                bare.append(measure("bare", asks(["/bare"], ""), process.pid))
            with service(Path(folder)) as process:
                full.append(measure("one prediction", single, process.pid))
        with service(Path(folder)) as process:
            many = measure("1,000 ids", batches, process.pid, at_once=1)
    with postgresql(), tempfile.TemporaryDirectory() as folder:
        single, batches = _prepare(Path(folder), customers)
        with service(Path(folder)) as process:
            networked = measure("one, PostgreSQL", single, process.pid)
            many_networked = measure("1,000, PostgreSQL", batches, process.pid, at_once=1)
    loads = (*bare, *full, many, networked, many_networked)
    sys.stdout.write("\n".join([HEADING, *(load.line() for load in loads)]) + "\n")
    typical = _middle(bare)
    lines = gate_lines(typical, _middle(full), many, "") + gate_lines(
        typical, networked, many_networked, "PostgreSQL: "
    )
    sys.stdout.write(gates_text(lines) + _times(networked, _middle(full)) + _times(many_networked, many))
    if not all(held for _, held in lines):
        raise SystemExit(1)


def _prepare(var: Path, customers: int) -> tuple[list[bytes], list[bytes]]:
    """Publish a run; return requests for one customer each, and for a thousand each."""
    publish_run(var, customers)
    secret = make_key(var)
    paths = [f"/v1/customers/c{random.randrange(customers)}/predictions" for _ in range(5000)]
    return asks(paths, secret), _batches(customers, secret)


def _times(networked: Load, file: Load) -> str:
    median, cpu = networked.median_ms / file.median_ms, networked.cpu_us / file.cpu_us
    return f"{networked.name}: p50 {median:.1f} ×, processor time {cpu:.1f} × SQLite\n"


def _middle(loads: list[Load]) -> Load:
    return sorted(loads, key=lambda load: load.cpu_us)[len(loads) // 2]


def gate_lines(bare: Load, full: Load, many: Load, store: str) -> list[tuple[str, bool]]:
    """Hold one prediction and a thousand against their targets, and one against the bare framework."""
    times, rate = full.cpu_us / bare.cpu_us, full.requests_per_second
    return [
        (f"{store}{rate:,.0f} requests a second ≥ 2,500", rate >= 2_500),
        (f"{store}p99 {full.p99_ms:.1f} ms ≤ 20", full.p99_ms <= 20),
        (f"{store}{full.cpu_us:.0f} µs of processor time a request ≤ 380", full.cpu_us <= 380),
        (f"{store}{times:.1f} × bare ≤ 4", times <= 4),
        (f"{store}1,000 ids, p99 {many.p99_ms:.0f} ms ≤ 150", many.p99_ms <= 150),
        (f"{store}{full.failures + many.failures} failed = 0", full.failures + many.failures == 0),
    ]


def _batches(customers: int, secret: str) -> list[bytes]:
    """Return whole requests for the scores of a thousand customers each."""
    bodies = [
        json.dumps({"customer_ids": [f"c{random.randrange(customers)}" for _ in range(1000)]}).encode()
        for _ in range(50)
    ]
    head = f"POST /v1/predictions/batch HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {secret}\r\n"
    form = "Content-Type: application/json\r\nContent-Length: "
    return [f"{head}{form}{len(body)}\r\n\r\n".encode() + body for body in bodies]


if __name__ == "__main__":
    typer.run(main)
