"""Slow callers: what ordinary ones notice of 1,000 slow heads, 200 slow bodies and 50 slow readers.

    python -m benchmarks.api_slow [--customers 20000] [--seconds 25]

Slow heads and bodies come a byte a second, and begin again when the server has enough of them; slow readers
ask for a whole list and read a kilobyte a second. Meanwhile eight ordinary connections ask for one customer,
at most fifty times a second each. Exit code 1 where a target is missed.
"""

import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.api_client import asks
from benchmarks.api_server import PORT, make_key, publish_run, resident_mb, service
from benchmarks.published import gates_text

HEADS, BODIES, READERS, ORDINARY = 1_000, 200, 50, 8


def main(
    customers: Annotated[int, typer.Option(help="rows of the made-up run")] = 20_000,
    seconds: Annotated[float, typer.Option(help="how long the slow callers stay")] = 25.0,
) -> None:
    """Print latencies without and with slow callers."""
    with tempfile.TemporaryDirectory() as folder:
        var = Path(folder)
        publish_run(var, customers)
        secret = make_key(var)
        with service(var) as process:
            alone, _ = asyncio.run(_measure(secret, 5.0, slow=False))
            before = resident_mb(process.pid)
            beside, ended = asyncio.run(_measure(secret, seconds, slow=True))
            memory = resident_mb(process.pid) - before
    for name, latencies in (("alone", alone), ("beside slow callers", beside)):
        p50, p99 = _quantile_ms(latencies, 0.5), _quantile_ms(latencies, 0.99)
        sys.stdout.write(f"{name:22}{len(latencies):7} calls   p50 {p50:6.2f} ms   p99 {p99:6.2f} ms\n")
    sys.stdout.write(f"slow connections that the server ended: {ended}; {memory:.0f} MB more memory\n")
    p99 = _quantile_ms(beside, 0.99)
    lines = [(f"p99 beside slow callers {p99:.1f} ms ≤ 100", p99 <= 100)]
    lines += [(f"{ended} slow connections ended ≥ {HEADS}", ended >= HEADS)]
    sys.stdout.write(gates_text(lines))
    if not all(held for _, held in lines):
        raise SystemExit(1)


def _quantile_ms(latencies: list[float], share: float) -> float:
    return 1000 * sorted(latencies)[int(len(latencies) * share)]


async def _measure(secret: str, seconds: float, *, slow: bool) -> tuple[list[float], int]:
    """Return the latencies of ordinary calls, and how many slow connections the server ended."""
    latencies: list[float] = []
    ended = [0]
    crowd = [asyncio.create_task(caller) for caller in _slow_callers(secret, ended)] if slow else []
    if slow:
        await asyncio.sleep(2.0)  # until they are all there
    await asyncio.gather(*(_ordinary(secret, seconds, latencies) for _ in range(ORDINARY)))
    for task in crowd:
        task.cancel()
    await asyncio.gather(*crowd, return_exceptions=True)
    return latencies, ended[0]


def _slow_callers(secret: str, ended: list[int]) -> list[Coroutine[Any, Any, None]]:
    key = f"Host: 127.0.0.1\r\nAuthorization: Bearer {secret}\r\n"
    head = f"GET /v1/models/current HTTP/1.1\r\n{key}".encode()
    body = f"POST /v1/predictions/batch HTTP/1.1\r\n{key}Content-Length: 100000\r\n\r\n".encode()
    whole = f"GET /v1/audiences/at-risk/export.csv HTTP/1.1\r\n{key}\r\n".encode()
    return [
        *(_drip(head, b"X", ended) for _ in range(HEADS)),
        *(_drip(body, b" ", ended) for _ in range(BODIES)),
        *(_read_slowly(whole) for _ in range(READERS)),
    ]


async def _drip(begin: bytes, more: bytes, ended: list[int]) -> None:
    """Send a beginning and then a byte a second; begin again where the server has enough."""
    await asyncio.sleep(random.random())
    while True:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
            writer.write(begin)
            gone = asyncio.create_task(reader.read())
            while not gone.done():
                writer.write(more)
                await asyncio.wait([gone], timeout=1.0)
            gone.exception()  # looked at: an end is an end, be it a reset
            ended[0] += 1
            writer.close()


async def _read_slowly(request: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT, limit=4096)
    writer.write(request)
    while await reader.read(1024):
        await asyncio.sleep(1.0)
    writer.close()


async def _ordinary(secret: str, seconds: float, latencies: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
    requests = asks([f"/v1/customers/c{number}/predictions" for number in range(1000)], secret)
    end = time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        writer.write(random.choice(requests))
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0])
        await reader.readexactly(length)
        latencies.append(time.perf_counter() - start)
        await asyncio.sleep(0.02)
    writer.close()


if __name__ == "__main__":
    typer.run(main)
