"""Same data, settings and seed, same bytes; and what is worse does not take a champion's place."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from made_up_shop import FIRST_DAY, run, write_orders

AS_OF = "2025-12-01"
SETTINGS = """
[churn]
snapshots_max = 6
supported_outcomes_min = 50
[churn.boosting]
tree_count = {trees}
[clv.boosting]
tree_count = {trees}
[recommender]
factor_count = 8
iteration_count = 3
[backtest]
origin_count = 2
bootstrap_count = 200
"""
CHOOSE = (
    ("training.train", "--as-of", AS_OF, "--horizon", "30"),
    ("training.backtest", "--as-of", AS_OF),
    ("training.promote", "--as-of", AS_OF),
)


def take_through(folder: Path, steps: tuple[tuple[str, ...], ...], *, trees: int) -> str:
    """Run commands on a shop; return what the last one printed."""
    for module, *arguments in steps:
        done = run(module, *arguments, var=folder / "var", settings=SETTINGS.format(trees=trees))
        assert done.returncode == 0, f"{module}: {done.stderr}"
    return done.stdout


def load(folder: Path, orders: Path) -> None:
    take_through(folder, (("features.ingest", "--file", str(orders)),), trees=40)


@pytest.mark.slow
def test_one_thread_and_two_give_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    orders = write_orders(tmp_path / "orders.csv", customer_count=260)
    found = {}
    for threads in ("1", "2"):
        for name in ("OMP_NUM_THREADS", "POLARS_MAX_THREADS", "OPENBLAS_NUM_THREADS"):
            monkeypatch.setenv(name, threads)
        folder = tmp_path / threads
        folder.mkdir()
        load(folder, orders)
        score = ("serving.score", "--as-of", AS_OF, "--out", str(folder / "out"))
        take_through(folder, (*CHOOSE, score), trees=40)
        scores = pl.read_parquet(folder / "out" / "scores.parquet").drop("scored_at")
        found[threads] = (
            scores.write_csv(),
            (folder / "out" / "recommendations.parquet").read_bytes(),
            pl.read_parquet(folder / "var" / "backtest" / "clv.parquet").write_csv(),
        )
    assert found["1"] == found["2"]
    assert len(found["1"][0]) > 10_000


def write_regulars(path: Path) -> Path:
    """Write a shop of clockwork customers, whose missed order a model reads at once and BTYD hardly."""
    generator = np.random.default_rng(4)
    lines = ["customer_id,ordered_at,amount"]
    for number in range(300):
        gap, usual = float(generator.choice([5.0, 12.0, 25.0])), float(generator.lognormal(3.0, 0.8))
        day, last = float(generator.uniform(0, 60)), float(generator.uniform(60, 500))
        while day < min(last, 334.0):
            at = FIRST_DAY + timedelta(days=day)
            lines.append(f"c{number},{at.isoformat()},{usual * generator.lognormal(0, 0.1):.2f}")
            day += gap * float(generator.uniform(0.9, 1.1))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.slow
def test_a_worse_recipe_does_not_take_the_champions_place(tmp_path: Path) -> None:
    load(tmp_path, write_regulars(tmp_path / "orders.csv"))
    assert "churn: version none → 1 (lightgbm" in take_through(tmp_path, CHOOSE, trees=80)
    # Two trees say next to nothing.
    told = take_through(tmp_path, CHOOSE, trees=2)
    assert "churn: the champion stays: " in told
    assert "is worse beyond doubt, log-loss higher by " in told
    standing = take_through(tmp_path, (("training.promote", "--list"),), trees=2)
    assert standing.startswith("churn        version 1: lightgbm")
