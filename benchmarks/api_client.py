"""A small asyncio client for the load benchmarks: requests written beforehand, latencies measured."""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.api_server import PORT, cpu_seconds


@dataclass(frozen=True, slots=True)
class Load:
    """What one bombardment measured."""

    name: str
    requests_per_second: float
    median_ms: float
    p99_ms: float
    cpu_us: float
    failures: int

    def line(self) -> str:
        """Return a line of the table under `HEADING`."""
        times = f"{self.requests_per_second:9.0f}{self.median_ms:9.2f}{self.p99_ms:9.2f}"
        return f"{self.name:18}{times}{self.cpu_us:9.0f}{self.failures:8}"


HEADING = f"{'':18}{'req/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'CPU µs':>9}{'failed':>8}"


def asks(paths: Sequence[str], secret: str) -> list[bytes]:
    """Return whole requests with a key."""
    head = f"HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {secret}\r\n\r\n"
    return [f"GET {path} {head}".encode() for path in paths]


async def bombard(name: str, requests: list[bytes], pid: int, *, connections: int, seconds: float) -> Load:
    """Ask as fast as a number of connections can; the first half second does not count."""
    latencies: list[float] = []
    failures = [0]
    await asyncio.gather(*(_client(requests, 0.5, [], failures) for _ in range(connections)))
    cpu, begun = cpu_seconds(pid), time.perf_counter()
    await asyncio.gather(*(_client(requests, seconds, latencies, failures) for _ in range(connections)))
    passed, used = time.perf_counter() - begun, cpu_seconds(pid) - cpu
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


async def _client(requests: list[bytes], seconds: float, latencies: list[float], failures: list[int]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
    end = time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        writer.write(random.choice(requests))
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0])
        await reader.readexactly(length)
        latencies.append(time.perf_counter() - start)
        failures[0] += not head.startswith(b"HTTP/1.1 200")
    writer.close()
