"""Prediction quality of the shipped recipes at published origins, beside the simple rules and the floors.

    python -m benchmarks.quality [--sets cj,or,cdnow] [--folder var/bench]

Every recipe is refitted at every origin on what was known before it; one configuration serves all sets.
"""

import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer

from benchmarks.sets import load_set
from features.console import progress, run_command
from features.examples import ExampleBuilder
from features.history import History
from features.settings import Layout, load_settings
from features.snapshot import Snapshot
from models.candidates import churn_candidates, clv_candidates
from training.metrics_churn import churn_metrics
from training.metrics_clv import BOUNDS, clv_metrics, interval_metrics
from training.rounds import churn_round, clv_round, pivot

MAIN = "lightgbm_btyd"
"""The churn recipe whose order probabilities value is judged with."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One set, its horizon and its origins; `floors` are the published figures that must be reached."""

    name: str
    horizon_days: int
    origins: tuple[date, ...]
    floors: dict[str, str]


TRIALS = {
    "cj": Trial(
        "Complete Journey",
        30,
        (date(2017, 9, 4), date(2017, 10, 19), date(2017, 12, 3)),
        {"mean AUC": "≥ .875 (gate .878)", "mean log-loss": "≤ .307", "CLV nGini": "≥ .835 each"},
    ),
    "or": Trial(
        "Online Retail",
        90,
        (date(2011, 9, 10),),
        {"AUC": "≥ .735 (gate .738)", "CLV nGini": "≥ .76 (gate .775)"},
    ),
    "cdnow": Trial(
        "CDNOW",
        91,
        (date(1997, 12, 31), date(1998, 4, 1)),
        {"AUC": "≥ .803, .835", "log-loss": "≤ .348, .299", "CLV nGini": "≥ .733, .780"},
    ),
}


def run_trial(trial: Trial, var: Path) -> pd.DataFrame:
    """Return one row per task, candidate and origin with its metrics."""
    settings = load_settings()
    builder = ExampleBuilder(History.open(Layout(var).history), settings)
    horizons = (trial.horizon_days,)
    rows = []
    for day in trial.origins:
        origin = Snapshot(day)
        examples = builder.examples(origin, headline_days=trial.horizon_days)
        outcomes = builder.outcomes(
            origin, horizons_days=horizons, known_until=origin.shifted(trial.horizon_days)
        )
        churn, _ = churn_round(churn_candidates(settings), examples, outcomes, horizons=horizons)
        orders = 1 - pivot(churn, MAIN, day).reindex(examples.current.index)
        clv, _ = clv_round(clv_candidates(settings), examples, outcomes, order_probability=orders)
        rows += _rows("churn", churn) + _rows("clv", clv)
    return pd.DataFrame(rows)


def _rows(task: str, predictions: pd.DataFrame) -> list[dict[str, object]]:
    rows = []
    for (candidate, origin), part in predictions.groupby(["candidate", "origin"], sort=False):
        truth, predicted = part["outcome"].to_numpy(np.float64), part["prediction"].to_numpy(np.float64)
        values = churn_metrics(truth, predicted) if task == "churn" else clv_metrics(truth, predicted)
        if task == "clv" and part["high"].notna().all():
            values |= interval_metrics(truth, part[list(BOUNDS)].to_numpy(np.float64).T)
        rows.append({"task": task, "candidate": candidate, "origin": origin, **values})
    return rows


SHOWN = {
    "churn": ["auc", "log_loss", "ece", "calibration_slope", "lift_top_decile"],
    "clv": [
        "normalised_gini",
        "deviance",
        "rmse",
        "mae",
        "total_bias",
        "above_high_share",
        "buyers_inside_share",
    ],
}


def _command(
    *,
    sets: Annotated[str, typer.Option(help="comma-separated: cj, or, cdnow")] = "cj,or,cdnow",
    folder: Annotated[Path, typer.Option(help="where the sets are loaded to")] = Path("var/bench"),
) -> None:
    """Print prediction quality at the published origins."""
    names = sets.split(",")
    with progress("quality", total=2 * len(names)) as announce:
        for name in names:
            trial = TRIALS[name]
            announce(f"loading {trial.name}")
            var = load_set(name, folder)
            if var is None:
                sys.stdout.write(f"\n{trial.name}: left out, its file is absent\n")
                continue
            announce(f"fitting and judging {trial.name}")
            table = run_trial(trial, var)
            floors = " · ".join(f"{key} {value}" for key, value in trial.floors.items())
            sys.stdout.write(f"\n{trial.name}, {trial.horizon_days} days · floors: {floors}\n")
            for task, columns in SHOWN.items():
                shown = table[table["task"] == task].set_index(["candidate", "origin"])[columns]
                sys.stdout.write(f"\n{task}\n{shown.round(4).to_string()}\n")


if __name__ == "__main__":
    run_command(_command)
