"""Counting and listing segments of a million customers, in SQLite and in PostgreSQL.

    python -m benchmarks.segments [--customers 1000000] [--only sqlite,postgresql]

Everybody differs, with ten products bought each out of 5,000. Each condition is counted once in a run just
opened (`first`) and five times again with another number in it, of which the slowest counts. A profile is
read with the size of its segment, as its page does; the cards are all suggestions together, once a run.
Exit code 1 where a count or a profile takes longer than a second.
"""

import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from benchmarks.api_server import postgresql
from benchmarks.published import gates_text
from serving.databases import open_store
from serving.environment import Environment
from serving.rows import STORED, Column
from serving.segments.profile import read_cards, read_profile, read_size
from serving.segments.profile_traits import QUARTILES
from serving.segments.traits import ATTRIBUTES
from serving.segments.words import compile_segment
from serving.store.contract import ScoreRun, ScoreStore
from serving.store.records import RunMeta, SegmentOrder

_AS_OF: Final = date(2026, 11, 22)
_PRODUCTS: Final = 5_000
_BOUGHT: Final = 10
_REPEATS: Final = 5
_SECONDS_MAX: Final = 1.0
_CUTS: Final = [float(10 * step) for step in range(1, 20)]
_CHANCES: Final = (
    "churn_probability_30",
    "churn_probability_90",
    "reactivation_probability",
    "second_order_probability_60",
)
_PREDICTED: Final = ("predicted_clv",)
_PROFILED: Final = (
    "churn_probability_90 > 0.6 and predicted_clv > 100",
    "country == 'KR'",
    "predicted_clv > 199.9",
)
_CONDITIONS: Final = {
    "the issue's": "churn_probability_90 > 0.{0} and predicted_clv > 100 and not bought('p1', 180d)",
    "one number": "predicted_clv > 10{0}",
    "days": "last_order_at >= days_ago(9{0}) or first_order_at >= days_ago(3{0})",
    "the last columns": "last_click_at >= days_ago(9{0}) or due_in_days <= 0 or loyalty_tier == 3",
    "a top share": "top(average_order_value, 20) and recency_days > 9{0}",
    "a category": "bought_category('c1', 36{0}d) and country in ['KR', 'GB']",
    "24 comparisons": " or ".join(
        f"({name} > {{0}} and {name} < 10.5 and country == 'KR')"
        for name in ("predicted_clv_30", "spend_90", "spend_365", "historic_clv", "item_count", "view_count",
                     "order_count_90", "click_count_90")
    ),
}  # fmt: skip


def main(
    customers: Annotated[int, typer.Option(help="customers of the made-up run")] = 1_000_000,
    only: Annotated[str, typer.Option(help="sqlite, postgresql, or both")] = "sqlite,postgresql",
) -> None:
    """Print how long counts and pages take on either store."""
    lines: list[tuple[str, bool]] = []
    for name in only.split(","):
        with (
            postgresql() if name == "postgresql" else nullcontext(),
            tempfile.TemporaryDirectory() as folder,
        ):
            store = open_store(Environment(var=Path(folder)))
            began = time.perf_counter()
            _publish(store, customers)
            sys.stdout.write(f"{name}: written in {time.perf_counter() - began:.0f} s\n")
            lines += asyncio.run(_measured(name, store))
    sys.stdout.write(gates_text(lines))
    if not all(held for _, held in lines):
        raise SystemExit(1)


async def _measured(name: str, store: ScoreStore) -> list[tuple[str, bool]]:
    lines = []
    for title, text in _CONDITIONS.items():
        run = store.open_run(store.live_run_id())
        first, count = await _seconds(run, text.format(9))
        slowest = max([(await _seconds(run, text.format(number)))[0] for number in range(_REPEATS)])
        page = await _page_seconds(run, text.format(9))
        sys.stdout.write(
            f"  {title:18} {count:9,} first {first * 1000:5.0f} ms, again {slowest * 1000:5.0f} ms, "
            f"a sorted page {page * 1000:5.0f} ms\n"
        )
        lines.append((f"{name}, {title}: {slowest:.2f} s ≤ {_SECONDS_MAX:g}", slowest <= _SECONDS_MAX))
        run.close()
    lines.append(await _portraits(name, store))
    await store.aclose()
    return lines


async def _portraits(name: str, store: ScoreStore) -> tuple[str, bool]:
    run = store.open_run(store.live_run_id())
    began = time.perf_counter()
    await read_cards(run)
    cards = time.perf_counter() - began
    slowest = max([await _profile_seconds(run, text) for text in _PROFILED])
    sys.stdout.write(f"  a profile {slowest * 1000:5.0f} ms, all cards once {cards * 1000:5.0f} ms\n")
    run.close()
    return f"{name}, a profile: {slowest:.2f} s ≤ {_SECONDS_MAX:g}", slowest <= _SECONDS_MAX


async def _profile_seconds(run: ScoreRun, text: str) -> float:
    began = time.perf_counter()
    size = await read_size(run, compile_segment(text, run.meta))
    await read_profile(run, text, member_count=size.member_count)
    return time.perf_counter() - began


async def _seconds(run: ScoreRun, text: str) -> tuple[float, int]:
    began = time.perf_counter()
    count = await run.count_segment(compile_segment(text, run.meta))
    return time.perf_counter() - began, count


async def _page_seconds(run: ScoreRun, text: str) -> float:
    began = time.perf_counter()
    condition = compile_segment(text, run.meta)
    await run.list_segment(condition, limit=100, order=SegmentOrder("predicted_clv"))
    return time.perf_counter() - began


def _publish(store: ScoreStore, customers: int) -> None:
    dice = random.Random(6)
    with store.begin_run() as writer:
        writer.write_scores(_scores(customers))
        writer.write_traits((number, *_values(dice, number)) for number in range(1, customers + 1))
        writer.write_sold_products((each, f"p{each}", f"c{each % 50}") for each in range(1, _PRODUCTS + 1))
        writer.write_purchases(_purchases(dice, customers))
        writer.publish(
            RunMeta(
                as_of=_AS_OF,
                scored_at=datetime(2026, 11, 22, tzinfo=UTC),
                currency="EUR",
                clv_basis="net",
                customer_count=customers,
                lapsed_after_days=60.0,
                clv_horizon_days=365,
                cuts={name: _CUTS for name in (*QUARTILES, *_PREDICTED)}
                | {name: [each / 200 for each in _CUTS] for name in _CHANCES},
            )
        )


def _scores(customers: int) -> Iterator[tuple[Any, ...]]:
    """Yield rows of which only the id matters here."""
    empty = {column.name: None if column.nullable else "" for column in STORED}
    missing = ", ".join(f'"{column.name}": "no_model"' for column in STORED if column.nullable)
    for number in range(1, customers + 1):
        row = empty | {"customer_id": f"c{number}", "status": "ok", "null_reasons": f"{{{missing}}}"}
        yield tuple(row[column.name] for column in STORED)


def _values(dice: random.Random, number: int) -> Iterator[Any]:
    for column in ATTRIBUTES:
        yield f"c{number}" if column.name == "customer_id" else _value(dice, column)


def _value(dice: random.Random, column: Column) -> Any:  # noqa: ANN401 - as typed as the column
    if column.kind == "string":
        return dice.choice(("KR", "GB", "US", "high", "ok"))
    if column.kind == "boolean":
        return dice.randrange(2)
    if column.kind in ("date", "datetime"):
        day = (_AS_OF - timedelta(days=dice.randrange(700))).isoformat()
        return day if column.kind == "date" else f"{day}T10:11:12Z"
    if column.unit in ("probability", "share"):
        return round(dice.random(), 9)
    return dice.randrange(12) if column.kind == "integer" else round(dice.random() * 200, 2)


def _purchases(dice: random.Random, customers: int) -> Iterator[tuple[int, int, int]]:
    for row in range(1, customers + 1):
        for product in {1 + int(_PRODUCTS * dice.random() ** 3) for _ in range(_BOUGHT)}:
            yield product, row, dice.randrange(1, 700)


if __name__ == "__main__":
    typer.run(main)
