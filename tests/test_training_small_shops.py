"""Shops at the edge: each ends in scores with their method named, or in one line saying what is missing."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest
from made_up_shop import run, write_orders

STEPS = ("training.train", "training.backtest", "training.promote", "serving.score")


def scores_of(folder: Path, orders: Path) -> pl.DataFrame:
    """Take a file of orders through the whole line and return the scores."""
    loaded = run("features.ingest", "--file", str(orders), var=folder / "var")
    assert loaded.returncode == 0, loaded.stderr
    for module in STEPS:
        arguments = ("--out", str(folder / "out")) if module == "serving.score" else ()
        done = run(module, *arguments, var=folder / "var")
        assert done.returncode == 0, f"{module}: {done.stderr}"
        assert "Traceback" not in done.stderr
    return pl.read_parquet(folder / "out" / "scores.parquet")


def write_lines(path: Path, lines: list[str]) -> Path:
    path.write_text("customer_id,ordered_at,amount\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("one customer, one order", ["a,2026-01-05,10.00"]),
        ("one customer, five orders", [f"a,2026-0{month}-05,10.00" for month in range(1, 6)]),
        ("one order each", [f"c{n},2026-01-{1 + n % 28:02d},{5 + n}.00" for n in range(60)]),
        ("all on one day", [f"c{n},2026-01-05,{5 + n}.00" for n in range(40)]),
        ("all free of charge", [f"c{n % 20},2026-0{1 + n % 6}-05,0" for n in range(80)]),
    ],
)
def test_the_smallest_shops_get_an_answer(tmp_path: Path, name: str, lines: list[str]) -> None:
    scores = scores_of(tmp_path, write_lines(tmp_path / "orders.csv", lines))
    assert len(scores) == len({line.split(",")[0] for line in lines})
    assert scores["method"].is_in(["btyd", "formula", "baseline"]).all(), name
    probabilities = scores["churn_probability_90"]
    assert probabilities.is_between(0, 1).all()
    assert scores["predicted_clv"].is_between(0, 1e9).all()


def outage_lines() -> list[str]:
    """Eighty customers order every two weeks for a year; two months in the middle are missing."""
    days = [day for day in range(360) if not 150 <= day < 210]
    start = date(2025, 1, 1).toordinal()
    return [
        f"c{customer},{date.fromordinal(start + day)},{20 + customer % 7}.00"
        for day in days
        for customer in range(80)
        if (day + 3 * customer) % 14 == 0
    ]


@pytest.mark.slow
def test_a_shop_with_an_outage_is_told_so_and_does_not_learn_it_as_churn(tmp_path: Path) -> None:
    scores = scores_of(tmp_path, write_lines(tmp_path / "orders.csv", outage_lines()))
    assert scores["method"][0] in {"btyd", "baseline"}
    # Everybody comes every two weeks: only who is not due within the window can look like leaving.
    assert scores["churn_probability_60"].mean() < 0.15
    told = run("serving.score", "--out", str(tmp_path / "again"), var=tmp_path / "var").stdout
    assert "warning: no order between 2025-05-30 and 2025-07-30" in told
    assert "warning: 80 customers teach little" in told


@pytest.mark.slow
def test_a_shop_that_everybody_left_is_told_so(tmp_path: Path) -> None:
    """Customers order every ten days until the summer; one goes on alone."""
    start = date(2025, 1, 1).toordinal()
    lines = [
        f"c{customer},{date.fromordinal(start + day)},10.00"
        for day in range(300)
        for customer in range(60)
        if (day + customer) % 10 == 0 and (day < 150 or customer == 0)
    ]
    scores = scores_of(tmp_path, write_lines(tmp_path / "orders.csv", lines))
    left = scores.filter(pl.col("customer_id") != "c0")
    assert left["lapsed"].all()
    assert left["churn_probability"].min() > 0.8
    told = run("serving.score", "--out", str(tmp_path / "again"), var=tmp_path / "var").stdout
    assert "warning: 59 of 60 customers have been silent" in told


@pytest.mark.slow
def test_fifty_customers_get_an_answer(tmp_path: Path) -> None:
    scores = scores_of(tmp_path, write_orders(tmp_path / "orders.csv", customer_count=50))
    assert len(scores) == 50
    assert scores["churn_probability_30"].is_between(0, 1).all()
    assert scores["method"][0] in {"btyd", "baseline"}


@pytest.mark.slow
def test_strange_ids_survive_from_file_to_scores(tmp_path: Path) -> None:
    ids = ["00123", "NA", "=1+1", "a/b", "김철수", "null", "1e5", " b"]
    lines = [
        f"{name},2026-0{month}-0{1 + n},{10 + n}.00" for month in range(1, 6) for n, name in enumerate(ids)
    ]
    scores = scores_of(tmp_path, write_lines(tmp_path / "orders.csv", lines))
    assert sorted(scores["customer_id"]) == sorted(ids)
    shown = run("serving.explain", "--id", "a/b", var=tmp_path / "var")
    assert shown.stdout.startswith("a/b · ")
