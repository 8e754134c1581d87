"""Streaming a list of a million members as CSV: time, first byte, memory of the server.

    python -m benchmarks.export_load [--members 1000000]

A server of one worker streams a made-up list in which everybody differs, six reasons and a recommendation
each, to one reader; meanwhile another asks for single customers. Exit code 1 where a target is missed.
"""

import json
import random
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.api_server import PORT, service
from benchmarks.published import gates_text
from features.layout import Layout
from features.slots import Slot, item_number, pack_slots
from serving.exports.csv_lines import plain_lines
from serving.exports.member_csv import LINE_NAMES, STORED_CELLS, MemberCells
from serving.present import RunView
from serving.rows import STORED_NAMES
from serving.store.records import AudienceCounts, Item
from serving.store.sqlite_store import SqliteStore
from serving.wording import Wording

_ITEMS = 500
_CHUNK = 1 << 16
_CELLS = itemgetter(*(STORED_NAMES.index(name) for name in STORED_CELLS))


@dataclass(frozen=True, slots=True)
class Download:
    """What one download of the whole list measured; `waited_ms` is the longest wait of others meanwhile."""

    seconds: float
    first_byte_ms: float
    megabytes: float
    line_count: int
    extra_megabytes: float
    waited_ms: float


def main(members: Annotated[int, typer.Option(help="members of the made-up list")] = 1_000_000) -> None:
    """Print what one download measured."""
    with tempfile.TemporaryDirectory() as folder:
        _publish(Path(folder), members)
        with service(Path(folder)) as process:
            _read("/v1/customers/c1/predictions")
            found = _download(process.pid)
    sys.stdout.write(
        f"{found.line_count - 1:,} members, {found.megabytes:.0f} MB in {found.seconds:.1f} s, "
        f"first byte after {found.first_byte_ms:.0f} ms, {found.extra_megabytes:.0f} MB more memory; "
        f"others waited {found.waited_ms:.0f} ms at most\n"
    )
    lines = gate_lines(found, members)
    sys.stdout.write(gates_text(lines))
    if not all(held for _, held in lines):
        raise SystemExit(1)


def gate_lines(found: Download, members: int) -> list[tuple[str, bool]]:
    """Hold a download against its targets."""
    return [
        (f"{found.seconds:.1f} s ≤ {10 * members / 1_000_000:g}", found.seconds <= 10 * members / 1_000_000),
        (f"first byte after {found.first_byte_ms:.0f} ms ≤ 200", found.first_byte_ms <= 200),
        (f"{found.extra_megabytes:.0f} MB more memory ≤ 64", found.extra_megabytes <= 64),
        (f"{found.line_count - 1:,} lines = {members:,}", found.line_count == members + 1),
    ]


def _publish(var: Path, count: int) -> None:
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from serving_runs import meta  # type: ignore[import-not-found]  # noqa: PLC0415 - the tests'

    items = {number: Item(number, f"p{number}", name=f"Product {number}") for number in range(_ITEMS)}
    # The order of a list is not that of the rows.
    members = random.Random(7).sample(range(count), count)
    counts = AudienceCounts(title="At risk", member_count=count)
    run = meta(audiences={"at-risk": counts})
    with SqliteStore.of(Layout(var)).begin_run() as writer:
        cells = MemberCells(
            RunView(run, Wording()), run.model_copy(update={"score_run_id": writer.score_run_id})
        )
        writer.write_scores(map(_row, range(count)))
        writer.write_recommendations((f"c{number}", "for_you", _list(number)) for number in range(count))
        writer.write_items(items.values())
        lines = plain_lines(
            cells.of(_CELLS(_row(number)), items[item_number(_list(number))]) for number in members
        )
        writer.write_audience("at-risk", (f"c{number}" for number in members), lines)
        writer.publish(run.model_copy(update={"line_columns": list(LINE_NAMES)}))


def _row(number: int) -> Sequence[Any]:
    from serving_runs import stored_row  # noqa: PLC0415 - the tests'

    row: Sequence[Any] = stored_row(f"c{number}", **_changes(random.Random(number)))
    return row


def _changes(dice: random.Random) -> dict[str, Any]:
    value = dice.random()
    return {
        "churn_probability": round(value, 9),
        "predicted_clv": round(200 * dice.random(), 2),
        "value_at_risk": round(90 * dice.random(), 2),
        "historic_clv": round(900 * dice.random(), 2),
        "reasons": json.dumps(list(_reasons(dice))),
    }


def _reasons(dice: random.Random) -> Iterator[dict[str, Any]]:
    days, orders = dice.randrange(10, 400), dice.randrange(1, 60)
    values: dict[str, dict[str, float]] = {
        "gap_over_usual": {"days": days, "usual_days": dice.randrange(5, 90)},
        "order_count": {"orders": orders, "recent_orders": orders // 3, "window_days": 90},
        "tenure": {"tenure_days": days + dice.randrange(900)},
        "spend_level": {
            "mean_order_value": round(99 * dice.random(), 2),
            "spend_total": round(5_000 * dice.random(), 2),
        },
        "rhythm": {"usual_days": dice.randrange(5, 90), "last_gap_days": days},
        "breadth": {"products": dice.randrange(1, 80)},
    }
    for number, (code, shown) in enumerate(values.items()):
        effect = round(dice.random() / 5, 6)
        yield {
            "code": code,
            "direction": "up" if number % 2 else "down",
            "effect": effect,
            "values": shown,
        }


def _list(number: int) -> bytes:
    numbers = random.Random(f"list {number}").sample(range(_ITEMS), 10)
    return pack_slots(Slot(number, 0.5, "bought_before", "personalised", value=3) for number in numbers)


def _download(pid: int) -> Download:
    stopped, waits = threading.Event(), [0.0]
    before, peak = _resident_megabytes(pid), [0.0]
    others = threading.Thread(target=_ask_meanwhile, args=(stopped, waits))
    watcher = threading.Thread(target=_watch, args=(pid, stopped, peak))
    watcher.start()
    others.start()
    begun = time.perf_counter()
    first, size, lines = 0.0, 0, 0
    with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/v1/audiences/at-risk/export.csv") as answer:
        while chunk := answer.read1(_CHUNK):
            first = first or time.perf_counter() - begun
            size += len(chunk)
            lines += chunk.count(b"\n")
    seconds = time.perf_counter() - begun
    stopped.set()
    others.join()
    watcher.join()
    return Download(seconds, 1000 * first, size / 1e6, lines, peak[0] - before, 1000 * waits[0])


def _ask_meanwhile(stopped: threading.Event, waits: list[float]) -> None:
    while not stopped.wait(0.05):
        begun = time.perf_counter()
        _read("/v1/customers/c1/predictions")
        waits[0] = max(waits[0], time.perf_counter() - begun)


def _read(path: str) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{PORT}{path}") as answer:
        answer.read()


def _watch(pid: int, stopped: threading.Event, peak: list[float]) -> None:
    while not stopped.wait(0.1):
        peak[0] = max(peak[0], _resident_megabytes(pid))


def _resident_megabytes(pid: int) -> float:
    """Return the private memory of a process and its children; pages of the run's file do not count."""
    total = 0.0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            status = (folder / "status").read_text()
        except OSError:
            continue
        if int(folder.name) == pid or int(fields[1]) == pid:
            total += int(status.partition("RssAnon:")[2].split()[0]) / 1000
    return total


if __name__ == "__main__":
    typer.run(main)
