"""Recommendations on Complete Journey at published and earlier dates, beside the rules, with their gates.

    python -m benchmarks.lists [--folder var/bench]

Coupons, petrol and other lines that are no goods are left out; of the rest the 6,000 items with most lines
before day 315 of 2017 are kept. Judged are customers who were known before the date and bought something in
the 14 days from it: recall, NDCG and hit at 10, means over customers. Exit code 1 where a gate is missed.
"""

import shutil
import sys
from datetime import date
from pathlib import Path
from typing import Annotated, Final

import pandas as pd
import polars as pl
import typer

from benchmarks.published import gates_text
from benchmarks.sets import load_set
from features.console import progress, run_command
from features.history import GenerationWriter, History, bucket_of
from features.settings import Layout, load_settings
from features.snapshot import Snapshot
from models.recommender.candidates import recommender_candidates
from models.recommender.material import build_material
from training.list_truth import read_purchases
from training.recommender_rounds import recommender_round

OURS, RULE = "blend", "top_freq"
METRICS = ("recall", "ndcg", "hit")
PUBLISHED: Final = date(2017, 12, 10)
EARLIER: Final = (date(2017, 9, 17), date(2017, 10, 15), date(2017, 11, 12))
GATES: Final = {"recall": 0.174, "ndcg": 0.360, "hit": 0.80}
TIMES_RULE_MIN = 1.05
_ITEM_COUNT = 6_000
_ITEMS_KNOWN_BEFORE = date(2017, 11, 12)
_NO_GOODS = ("COUPON/MISC ITEMS", "MISC SALES TRANS", "FUEL")
_BUCKET_COUNT = 4


def write_goods(whole: History, root: Path) -> History:
    """Write a history of the goods that are judged, and nothing else."""
    products = whole.read("products")
    goods = products.filter(pl.col("category").is_not_null() & ~pl.col("category").is_in(_NO_GOODS))
    lines = whole.read("order_lines").join(goods.select("product_id"), on="product_id", how="semi")
    known = lines.filter(
        ~pl.col("is_return") & (pl.col("ordered_days") < Snapshot(_ITEMS_KNOWN_BEFORE).end_days)
    )
    counts = known.group_by("product_id").len().sort("len", "product_id", descending=[True, False])
    kept = counts.head(_ITEM_COUNT)
    lines = lines.join(kept, on="product_id", how="semi")
    buckets = pl.Series([bucket_of(customer, _BUCKET_COUNT) for customer in lines["customer_id"]])
    with GenerationWriter(root, bucket_count=_BUCKET_COUNT, currency=whole.manifest.currency) as writer:
        for bucket in range(_BUCKET_COUNT):
            writer.write("order_lines", lines.filter(buckets == bucket), bucket=bucket)
        writer.write("products", products.join(kept, on="product_id", how="semi"))
        return writer.commit()


def metrics_at(history: History, day: date) -> pd.DataFrame:
    """Return the mean metrics of every recommender at a date: a row each."""
    settings, origin = load_settings(), Snapshot(day)
    material = build_material(history, origin, settings=settings, only_ranking=True)
    bought = read_purchases(history, origin, outcome_days=settings.recommender.outcome_days)
    sold = bought.join(material.items.select("product_id"), on="product_id", how="semi")
    found = recommender_round(recommender_candidates(settings), material, sold)
    means: pd.DataFrame = found.metrics.groupby("candidate")[list(METRICS)].mean()
    return means.sort_values("recall", ascending=False)


def _at(table: pd.DataFrame, candidate: str, name: str) -> float:
    return float(table[name].to_dict()[candidate])


def gate_lines(tables: dict[date, pd.DataFrame]) -> list[tuple[str, bool]]:
    """Hold ours against the published figures, and at every date against the best rule of repetition."""
    lines = []
    for name, least in GATES.items():
        value = _at(tables[PUBLISHED], OURS, name)
        lines.append((f"{PUBLISHED} {name}@10 {value:.4f} ≥ {least:g}", value >= least))
    for day, table in tables.items():
        times = _at(table, OURS, "recall") / _at(table, RULE, "recall")
        lines.append((f"{day} recall@10 {times:.3f} × {RULE} ≥ {TIMES_RULE_MIN:g}", times >= TIMES_RULE_MIN))
    return lines


def _command(
    *, folder: Annotated[Path, typer.Option(help="where the set is loaded to")] = Path("var/bench")
) -> None:
    """Print how often recommendations come true on Complete Journey, and whether the gates are met."""
    tables = {}
    with progress("lists", total=1 + len(EARLIER) + 1) as announce:
        announce("goods")
        var = load_set("cj", folder)
        if var is None:
            raise typer.BadParameter("Complete Journey is not installed; run `make bench`")
        root = folder / "cj_goods" / "history"
        shutil.rmtree(root, ignore_errors=True)
        history = write_goods(History.open(Layout(var).history), root)
        for day in (*EARLIER, PUBLISHED):
            announce(str(day))
            tables[day] = metrics_at(history, day)
            sys.stdout.write(f"\n14 days from {day}\n{tables[day].round(4).to_string()}\n")
            sys.stdout.flush()
    lines = gate_lines(tables)
    sys.stdout.write(gates_text(lines))
    if not all(held for _, held in lines):
        raise SystemExit(1)


if __name__ == "__main__":
    run_command(_command)
