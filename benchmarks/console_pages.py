"""How long the pages of the console take at a shop of 100,000 customers.

    python -m benchmarks.console_pages [--customers 100000]

Every page is asked for again and again, then once more right after a new run was published. Exit code 1 where
a target is missed.
"""

import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Annotated, Final

import typer

from benchmarks.api_server import PORT, publish_run, service
from benchmarks.published import gates_text
from serving.console.pages import NAVIGATION

_TIMES: Final = 40
_PAGE_MS: Final = 300
_FIRST_MS: Final = 1_000
_PATHS: Final = (
    *(path for path, _ in NAVIGATION),
    "/customers/c77",
    "/moves?by=stages",
    "/value?clv=100&cac=20",
    "/recommendations?id=c77",
    "/lists/at-risk/plan",
    "/lists/at-risk?sort=predicted_clv",
    "/segments?q=predicted_clv+%3E+100",
    "/segments/high-value",
)


def main(customers: Annotated[int, typer.Option(help="customers of the made-up shop")] = 100_000) -> None:
    """Print how long each page takes."""
    with tempfile.TemporaryDirectory() as folder:
        publish_run(Path(folder), customers)
        with service(Path(folder)):
            usual = {path: sorted(_milliseconds(path) for _ in range(_TIMES)) for path in _PATHS}
            first = {}
            for path in _PATHS:
                publish_run(Path(folder), customers)
                time.sleep(2)
                first[path] = _milliseconds(path)
    sys.stdout.write(f"{'page':<42}{'median ms':>11}{'p95 ms':>9}{'first ms':>10}\n")
    for path, found in usual.items():
        p95 = found[int(0.95 * _TIMES)]
        sys.stdout.write(f"{path:<42}{found[_TIMES // 2]:>11.1f}{p95:>9.1f}{first[path]:>10.1f}\n")
    slowest = max(found[int(0.95 * _TIMES)] for found in usual.values())
    lines = [
        (f"the slowest page's p95 {slowest:.0f} ms ≤ {_PAGE_MS}", slowest <= _PAGE_MS),
        (f"the slowest first {max(first.values()):.0f} ms ≤ {_FIRST_MS}", max(first.values()) <= _FIRST_MS),
    ]
    sys.stdout.write(gates_text(lines))
    if not all(held for _, held in lines):
        raise SystemExit(1)


def _milliseconds(path: str) -> float:
    begun = time.perf_counter()
    with urllib.request.urlopen(f"http://127.0.0.1:{PORT}{path}") as answer:
        answer.read()
    return 1_000 * (time.perf_counter() - begun)


if __name__ == "__main__":
    typer.run(main)
