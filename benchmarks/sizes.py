"""Error by size of the shop: no rung of the ladder should be worse than the one below, beyond noise.

    python -m benchmarks.sizes [--sets synthetic,cdnow,cj] [--sizes 50,200,1000,5000,20000,50000]

Made-up shops of every size, and real ones of which so many customers are kept, each scored as of a day by the
whole pipeline: `regulars` is what its back-test chose. Small sizes are drawn several times. A cell is the
recipe's loss over that of the simplest rung; below 1 is better.
"""

import subprocess
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import pandas as pd
import polars as pl
import typer

from benchmarks.published import OURS
from benchmarks.quality import Told, told_at
from benchmarks.sets import load_set
from features.console import Announce, progress, run_command
from features.history import History
from features.layout import Layout
from features.settings import load_settings
from features.synthetic.shop import SyntheticShop, write_shop
from features.synthetic.spec import ShopSpec
from models.registry_names import Task
from training.context import open_context
from training.metrics_churn import Floats, log_losses
from training.metrics_clv import deviances

RUNGS: Final[dict[Task, tuple[str, ...]]] = {
    "churn": ("base_rate", "recency", "btyd", "lightgbm", "lightgbm_btyd", OURS),
    "clv": ("formula_alone", "formula", "btyd", "hurdle", OURS),
}
MONEY_SCALE = 10_000
Loss = Callable[[Floats, Floats], Floats]


@dataclass(frozen=True, slots=True)
class Source:
    """Where shops come from: the horizon, the days on which they are scored, and how large they can be."""

    horizon_days: int
    as_of: date
    customers_max: int


SOURCES: Final = {
    "synthetic": Source(90, date(2026, 6, 1), 50_000),
    "cdnow": Source(91, date(1998, 4, 1), 23_570),
    "cj": Source(30, date(2017, 10, 19), 2_469),
}


def draws_of(size: int) -> int:
    """Return how many shops of a size are drawn: many small ones, few large ones."""
    return max(1, min(6, 2_000 // size))


def make_shop(name: str, size: int, draw: int, folder: Path) -> Path:
    """Load a shop of a size into a folder of its own, once; return its VAR."""
    var = folder / f"{name}-{size}-{draw}"
    if (var / "history" / "manifest.json").exists():
        return var
    lines = var / "order_lines.parquet"
    if name == "synthetic":
        write_shop(SyntheticShop(ShopSpec(customer_count=size, seed=100 + draw)), var)
    else:
        _keep_some(name, size, draw, lines)
    command = [sys.executable, "-m", "features.ingest", "--file", str(lines), "--format", "parquet"]
    subprocess.run([*command, "--mode", "replace", "--var", str(var)], check=True, capture_output=True)
    return var


def _keep_some(name: str, size: int, draw: int, path: Path) -> None:
    """Write the order lines of so many customers of a real set, chosen by hash."""
    var = load_set(name, Path("var/bench"))
    if var is None:
        raise ValueError(f"{name} is absent")
    lines = History.open(Layout(var).history).read("order_lines")
    customers = sorted(
        lines["customer_id"].unique().to_list(), key=lambda one: zlib.crc32(f"{draw}/{one}".encode())
    )
    kept = lines.filter(pl.col("customer_id").is_in(customers[:size]))
    path.parent.mkdir(parents=True, exist_ok=True)
    kept.select(
        "customer_id",
        "ordered_at",
        (pl.col("amount_minor") / MONEY_SCALE).alias("amount"),
        "order_id",
        "is_return",
    ).write_parquet(path)


def losses_at(name: str, var: Path, announce: Announce) -> dict[Task, pd.DataFrame]:
    """Return every rung's loss of every customer: index customer_id, one column a rung."""
    source = SOURCES[name]
    days = source.horizon_days
    context = open_context(Layout(var), load_settings(), as_of=str(source.as_of), headline_days=days)
    churn, clv = told_at(context, announce)
    found: dict[Task, pd.DataFrame] = {}
    tasks: tuple[tuple[Task, Told, Loss], ...] = (("churn", churn, log_losses), ("clv", clv, deviances))
    for task, told, loss in tasks:
        by_rung = {
            str(candidate): pd.Series(
                loss(rows["outcome"].to_numpy(float), rows["prediction"].to_numpy(float)),
                index=rows["customer_id"],
            )
            for candidate, rows in told.table.groupby("candidate", sort=False)
        }
        by_rung[OURS] = by_rung[told.winner]
        found[task] = pd.DataFrame(by_rung)
    return found


def curve_rows(name: str, size: int, draws: list[dict[Task, pd.DataFrame]]) -> list[dict[str, object]]:
    """Return one row a task: each rung's mean loss over the simplest one's, and whether ours is behind."""
    rows = []
    for task, rungs in RUNGS.items():
        losses = pd.concat([draw[task] for draw in draws], ignore_index=True)
        means = losses.mean()
        row: dict[str, object] = {"set": name, "customers": size, "task": task, "scored": len(losses)}
        row |= {rung: means[rung] / means[rungs[0]] if rung in means else np.nan for rung in rungs}
        rows.append(row | {"behind": ", ".join(_behind(losses, rungs))})
    return rows


def _behind(losses: pd.DataFrame, rungs: tuple[str, ...]) -> list[str]:
    """Return the rungs that ours is worse than beyond noise: by more than two standard errors."""
    found = []
    for rung in rungs[:-1]:
        if rung not in losses:
            continue
        gaps = (losses[OURS] - losses[rung]).dropna()
        if len(gaps) > 1 and gaps.mean() > 2.0 * gaps.std() / np.sqrt(len(gaps)):
            found.append(rung)
    return found


def _command(
    *,
    sets: Annotated[str, typer.Option(help="comma-separated: synthetic, cdnow, cj")] = "synthetic,cdnow,cj",
    sizes: Annotated[str, typer.Option(help="customers, comma-separated")] = "50,200,1000,5000,20000,50000",
    folder: Annotated[Path, typer.Option(help="where the shops are loaded to")] = Path("var/bench/sizes"),
) -> None:
    """Print the error of every rung by the size of the shop."""
    names, wanted = sets.split(","), [int(size) for size in sizes.split(",")]
    plan = [(name, size) for name in names for size in wanted if size <= SOURCES[name].customers_max]
    with progress("sizes", total=10 * sum(draws_of(size) for _, size in plan)) as announce:
        for name, size in plan:
            announce(f"{name}: {size:,} customers")
            shops = [make_shop(name, size, draw, folder) for draw in range(draws_of(size))]
            rows = curve_rows(name, size, [losses_at(name, var, announce) for var in shops])
            for row in rows:
                sys.stdout.write(_line(row) + "\n")
            sys.stdout.flush()


def _line(row: dict[str, object]) -> str:
    """Return one row as a line of text: where, then each rung's ratio, then whom ours is behind."""
    task = str(row["task"])
    rungs = RUNGS["churn" if task == "churn" else "clv"]
    ratios = (row[rung] for rung in rungs)
    cells = "  ".join(
        f"{rung} {ratio:.3f}" for rung, ratio in zip(rungs, ratios, strict=True) if _is_known(ratio)
    )
    behind = f"  behind {row['behind']}" if row["behind"] else ""
    return f"{row['set']!s:<10}{row['customers']:>7}  {task:<6}{row['scored']:>7} scored  {cells}{behind}"


def _is_known(ratio: object) -> bool:
    return isinstance(ratio, float) and not np.isnan(ratio)


if __name__ == "__main__":
    run_command(_command)
