"""How many customers a second are scored? CDNOW's 23,570, with reasons and without.

    python -m benchmarks.scoring [--set cdnow] [--folder var/bench]

The shipped recipes are fitted to the whole history, on a sample of customers where it is large (the size of
a fit does not change how long an answer takes). Then a scoring run is taken through its steps: features
and facts from the history, churn and value, reasons, and their JSON. Recommendations are left out. Each
step is the best of several repetitions; LightGBM's own contributions stand beside ours.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import polars as pl
import typer

from benchmarks.sets import load_set
from features.build import compute_features, read_parts
from features.cohort import default_as_of
from features.console import Announce, progress, run_command
from features.customer_totals import read_customer_totals
from features.examples import ExampleBuilder
from features.history import History
from features.layout import Layout
from features.settings import Settings, load_settings
from features.settle import settle_basis
from features.snapshot import Snapshot
from models.candidates import churn_candidates, clv_candidates
from models.churn import HorizonChurn
from models.contract import ChurnModel
from models.explanations import churn_effects
from models.horizon import as_matrix, with_horizon
from serving.scoring.bucket_scores import Predictors, score_bucket
from serving.scoring.facts import read_facts

TRAINING_ROWS_MAX = 200_000
HORIZON_DAYS = 90
CONTRIBUTION_ROWS = 3_000
REPETITIONS = 5
READING = ("features from the history", "facts from the history")
WITH, WITHOUT = "scores with reasons", "scores without reasons"
TARGETS = {WITH: 2_500, WITHOUT: 10_000}
"""Customers a second, on two cores."""


class Silent(HorizonChurn):
    """A churn model that keeps its reasons to itself."""

    def contributions(self, features: pd.DataFrame, *, horizon_days: int) -> None:  # type: ignore[override]
        """Return None, as a method without reasons does."""


@dataclass(frozen=True, slots=True)
class Shop:
    """A history as of a date, its customers' features and facts, and fitted predictors."""

    history: History
    snapshot: Snapshot
    settings: Settings
    features: pd.DataFrame
    facts: pl.DataFrame
    predictors: Predictors

    def without_reasons(self) -> Predictors:
        """Return predictors that give no reasons."""
        silent = Silent()
        silent.__dict__.update(vars(self.predictors.churn))
        return Predictors(
            silent, self.predictors.clv, self.predictors.headline_days, self.predictors.clv_days
        )


def prepare(var: Path, announce: Announce) -> Shop:
    """Read a set and fit the main recipes on a sample of its customers."""
    settings = load_settings()
    small = settings.churn.model_copy(update={"training_rows_max": TRAINING_ROWS_MAX})
    settings = settings.model_copy(update={"churn": small})
    history = History.open(Layout(var).history)
    snapshot = Snapshot(default_as_of(history, settings.shop.time_zone), settings.shop.time_zone)
    settings = settle_basis(settings, history, snapshot).settings
    announce("fitting")
    builder = ExampleBuilder(history, settings)
    examples = builder.examples(snapshot, headline_days=HORIZON_DAYS)
    churn: ChurnModel = churn_candidates(settings)["lightgbm"].fit(examples)
    clv = clv_candidates(settings)["hurdle"].fit(examples)
    predictors = Predictors(churn, clv, HORIZON_DAYS, settings.clv.horizon_days)
    return Shop(
        history,
        snapshot,
        settings,
        builder.features_at(snapshot),
        _facts(history, snapshot, settings),
        predictors,
    )


def measure(shop: Shop) -> dict[str, float]:
    """Return customers a second of each step, the best of some repetitions."""
    churn, silent, day = shop.predictors.churn, shop.without_reasons(), shop.snapshot.date
    count = len(shop.features)
    steps: dict[str, tuple[int, Callable[[], object]]] = {
        READING[0]: (count, lambda: _features(shop)),
        READING[1]: (count, lambda: _facts(shop.history, shop.snapshot, shop.settings)),
        WITHOUT: (count, lambda: score_bucket(shop.features, shop.facts, silent, as_of=day)),
        WITH: (count, lambda: score_bucket(shop.features, shop.facts, shop.predictors, as_of=day)),
        "contributions alone": (
            count,
            lambda: churn_effects(churn, shop.features, horizon_days=HORIZON_DAYS),
        ),
        "LightGBM's pred_contrib": (min(count, CONTRIBUTION_ROWS), lambda: _lightgbms_own(shop)),
    }
    seconds = _best_seconds({name: step for name, (_, step) in steps.items()})
    rates = {name: rows / seconds[name] for name, (rows, _) in steps.items()}
    rates["features, facts and scores"] = 1 / sum(1 / rates[name] for name in (*READING, WITH))
    return rates


def table(rates: dict[str, float], customer_count: int) -> str:
    """Return the rates as text, beside the targets and as times the rate of scores with reasons."""
    lines = [f"{customer_count:,} customers", f"{'':28}{'customers/s':>13}{'× scores':>10}{'target':>10}"]
    for name, rate in rates.items():
        target = f"≥ {TARGETS[name]:,}" if name in TARGETS else ""
        lines.append(f"{name:28}{rate:13,.0f}{rate / rates[WITH]:10.2f}{target:>10}")
    return "\n".join(lines)


def _features(shop: Shop) -> pl.DataFrame:
    parts = read_parts(shop.history, engine=shop.settings.features.engine, snapshot=shop.snapshot)
    return compute_features(parts, shop.snapshot, settings=shop.settings)


def _facts(history: History, snapshot: Snapshot, settings: Settings) -> pl.DataFrame:
    buckets = range(history.manifest.bucket_count)
    totals = read_customer_totals(history, snapshot, settings=settings).customers
    return pl.concat([read_facts(history, snapshot, bucket=bucket, totals=totals) for bucket in buckets])


def _lightgbms_own(shop: Shop) -> object:
    churn = shop.predictors.churn
    if not isinstance(churn, HorizonChurn):
        raise TypeError("only the LightGBM recipe has contributions of its own")
    matrix = as_matrix(shop.features.iloc[:CONTRIBUTION_ROWS])
    stacked = with_horizon(matrix, np.full(len(matrix), float(HORIZON_DAYS)))
    return churn.booster_.booster_.predict(stacked, pred_contrib=True)


def _best_seconds(steps: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Take the steps in turn, several times: what else the machine does then slows no step alone."""
    seconds = dict.fromkeys(steps, float("inf"))
    for _ in range(REPETITIONS):
        for name, step in steps.items():
            begun = time.perf_counter()
            step()
            seconds[name] = min(seconds[name], time.perf_counter() - begun)
    return seconds


def _command(
    *,
    name: Annotated[str, typer.Option("--set", help="cj, or, cdnow")] = "cdnow",
    folder: Annotated[Path, typer.Option(help="where the sets are loaded to")] = Path("var/bench"),
) -> None:
    """Print customers a second of each step of a scoring run."""
    with progress("scoring", total=3) as announce:
        announce(f"loading {name}")
        var = load_set(name, folder)
        if var is None:
            sys.stdout.write(f"{name}: left out, its file is absent\n")
            return
        shop = prepare(var, announce)
        announce("scoring")
        rates = measure(shop)
    sys.stdout.write(table(rates, len(shop.features)) + "\n")


if __name__ == "__main__":
    run_command(_command)
