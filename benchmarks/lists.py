"""Recommendations on Complete Journey, at the published date and before, beside the rules, with their gates.

    python -m benchmarks.lists [--folder var/bench]

Coupons, petrol and other lines that are no goods are left out; of the rest the 6,000 items with most lines
before day 315 of 2017 are kept. Judged are customers who were known before the date and bought something in
the 14 days from it: means over customers, at 10 (docs/recommender.md, "Quality page"). Discovery judges the
lists `cross_sell` of those who bought from a category new to them. Seven windows end to end are judged; the
gates are for the published one and the three before it (docs/decisions/0014-which-earlier-dates.md). Exit
code 1 where a gate is missed.
"""

import shutil
import sys
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import pandas as pd
import polars as pl
import typer

from benchmarks.lists_speed import speed_of
from benchmarks.published import gates_text
from benchmarks.sets import load_set
from features.console import progress, run_command
from features.generation import GenerationWriter
from features.history import History, bucket_of
from features.layout import Layout
from features.settings import load_settings
from features.snapshot import Snapshot
from models.recommender.candidates import recommender_candidates
from models.recommender.material import build_material
from training.list_results import LISTS, add_exposure
from training.list_truth import read_purchases
from training.recommender_rounds import LIST_METRICS, RecommenderRound, recommender_round
from training.resampling import Resample, interval
from training.scorecard import PAIRED_METRICS
from training.summaries import Findings, differences, mean_draws, measure
from training.verdicts import field_of

OURS, RULE, TASTE = "blend", "top_freq", "als"
PUBLISHED: Final = date(2017, 12, 10)
DAYS: Final = tuple(PUBLISHED - timedelta(days=14 * windows) for windows in range(6, -1, -1))
GATED_DAYS: Final = DAYS[-4:]
GATES: Final = {"recall_at_10": 0.174, "ndcg_at_10": 0.360, "hit_at_10": 0.80}
TIMES_RULE_MIN = 1.05
RECALL = "recall_at_10"
DISCOVERY, POPULAR_DISCOVERY = "discovery_at_10", "popular_discovery_at_10"
DISCOVERY_MIN = 0.51
OF_LISTS = tuple(f"{name}_at_10" for name in LIST_METRICS if "discovery" not in name)
SHOWN: Final = (*OF_LISTS, "coverage_at_10", "exposure_gini_at_10")
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


def round_at(history: History, day: date) -> RecommenderRound:
    """Fit every recommender at a date and judge it on the 14 days from it."""
    settings, origin = load_settings(), Snapshot(day)
    material = build_material(history, origin, settings=settings)
    bought = read_purchases(history, origin, outcome_days=settings.recommender.outcome_days)
    sold = bought.join(material.items.select("product_id"), on="product_id", how="semi")
    return recommender_round(recommender_candidates(settings), material, sold)


def findings_of(rounds: Sequence[RecommenderRound]) -> Findings:
    """Return the metrics of every recommender at every date, with the draws behind their differences."""
    settings = load_settings()
    days = settings.recommender.outcome_days
    rows = pd.concat([found.metrics for found in rounds], ignore_index=True)
    resample = Resample(rows["customer_id"], draw_count=settings.backtest.bootstrap_count, seed=settings.seed)
    findings = measure(rows.assign(horizon_days=days), LISTS, resample=resample, judged_days=days)
    exposures = {key: shown for found in rounds for key, shown in found.exposures.items()}
    add_exposure(findings, exposures, rows, resample=resample, judged_days=days)
    return findings


def table_at(findings: Findings, day: date) -> pd.DataFrame:
    """Return the metrics of every recommender at a date, a row each, the best first."""
    names = {name: name.removesuffix("_at_10") for name in SHOWN}
    rows = {
        candidate: {short: _at(findings, candidate, name, day) for name, short in names.items()}
        for candidate in findings.summaries
    }
    return pd.DataFrame.from_dict(rows, orient="index").sort_values("recall", ascending=False)


def discovery_text(findings: Findings, day: date) -> str:
    """Say how often cross_sell named a new category that was then bought, beside the most popular ones."""
    own, popular = (_at(findings, OURS, name, day) for name in (DISCOVERY, POPULAR_DISCOVERY))
    return f"discovery hit@10: cross_sell {own:.4f}, most popular new categories {popular:.4f}"


def times_rule(findings: Findings, days: Sequence[date]) -> tuple[float, float, float]:
    """Return our mean recall over the rule's at some dates, with its 95 % interval."""
    own, rule = (np.mean([_at(findings, who, RECALL, day) for day in days]) for who in (OURS, RULE))
    drawn = [mean_draws(findings.draws[who][RECALL], days) for who in (OURS, RULE)]
    ends = interval(float(own / rule), drawn[0] / drawn[1])
    assert ends is not None  # noqa: S101 - thousands of customers
    return float(own / rule), *ends


def times_text(findings: Findings, days: Sequence[date]) -> str:
    """Say how many times the recall of repetition ours is, at each date and over all of them."""
    rows = [(str(day), times_rule(findings, [day])) for day in days]
    rows.append((f"all {len(days)} dates", times_rule(findings, days)))
    told = (f"  {name:<12} {value:.3f} ({low:.3f} … {high:.3f})\n" for name, (value, low, high) in rows)
    return "".join([f"\nrecall@10 as a multiple of that of {RULE}, 95 % intervals\n", *told])


def gate_lines(findings: Findings, days: Sequence[date]) -> list[tuple[str, bool]]:
    """Hold ours against the published figures, the rule of repetition, ALS alone and the strongest rule."""
    lines = []
    for name, least in (GATES | {DISCOVERY: DISCOVERY_MIN}).items():
        value = _at(findings, OURS, name, PUBLISHED)
        lines.append((f"{PUBLISHED} {name} {value:.4f} ≥ {least:g}", value >= least))
    for day in days:
        own, taste = (_at(findings, who, RECALL, day) for who in (OURS, TASTE))
        times = times_rule(findings, [day])[0]
        lines.append((f"{day} recall@10 {times:.3f} × {RULE} ≥ {TIMES_RULE_MIN:g}", times >= TIMES_RULE_MIN))
        lines.append((f"{day} recall@10 {own:.4f} ≥ {TASTE} {taste:.4f}", own >= taste))
    times = times_rule(findings, DAYS)[0]
    lines.append((f"all {len(DAYS)} dates, recall@10 {times:.3f} × {RULE} ≥ 1.05", times >= TIMES_RULE_MIN))
    return lines + _against_rules(findings)


def _against_rules(findings: Findings) -> list[tuple[str, bool]]:
    """Compare ours with the rule that is best in each metric, all dates together."""
    settings, lines = load_settings(), []
    days = settings.recommender.outcome_days
    for metric in PAIRED_METRICS["recommender"]:
        gaps = [
            differences(findings, rule, names=[metric], judged_days=days)[OURS][metric]
            for rule in sorted(field_of("recommender", settings).rules)
        ]
        nearest = min(gaps, key=lambda gap: gap.mean)
        words = f"{metric} better than {nearest.rival} by {nearest.mean:.4f}"
        lines.append((f"{words} (95 % interval {nearest.low:.4f} … {nearest.high:.4f})", nearest.low > 0))
    return lines


def _at(findings: Findings, candidate: str, name: str, day: date) -> float:
    days = load_settings().recommender.outcome_days
    value = findings.summaries[candidate][days][name].by_origin[day]
    return float("nan") if value is None else value


def _command(
    *, folder: Annotated[Path, typer.Option(help="where the set is loaded to")] = Path("var/bench")
) -> None:
    """Print how often recommendations come true on Complete Journey, and whether the gates are met."""
    rounds = []
    with progress("lists", total=2 + len(DAYS)) as announce:
        announce("goods")
        var = load_set("cj", folder)
        if var is None:
            raise typer.BadParameter("Complete Journey is not installed; run `make bench`")
        root = folder / "cj_goods" / "history"
        shutil.rmtree(root, ignore_errors=True)
        history = write_goods(History.open(Layout(var).history), root)
        for day in DAYS:
            announce(str(day))
            rounds.append(round_at(history, day))
        announce("speed")
        speed = speed_of(OURS, root, PUBLISHED)
    findings = findings_of(rounds)
    for day in GATED_DAYS:
        table = table_at(findings, day).round(4).to_string(na_rep="–")
        sys.stdout.write(f"\n14 days from {day}\n{table}\n{discovery_text(findings, day)}\n")
    sys.stdout.write(times_text(findings, DAYS))
    lines = gate_lines(findings, GATED_DAYS) + speed.gate_lines()
    sys.stdout.write(gates_text(lines))
    if not all(held for _, held in lines):
        raise SystemExit(1)


if __name__ == "__main__":
    run_command(_command)
