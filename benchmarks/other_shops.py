"""Churn on other shops and dates than the published ones, beside the rules and a model made in a hurry.

    python -m benchmarks.other_shops [--folder var/bench]

Made-up shops of other processes (`benchmarks.renewal_shops`), and the real sets at dates that are not their
published ones: young, in a first season, after it. Some of these dates were looked at when the retail year
(decision 10) was made. Each is scored by the whole pipeline as of the day. The
hurried model is a LightGBM with its defaults on a single snapshot, the newest whose outcome is known.
"""

import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated

import lightgbm
import numpy as np
import pandas as pd
import typer

from benchmarks.published import OURS
from benchmarks.quality import told_at
from benchmarks.renewal_shops import SHOPS, write_orders
from benchmarks.sets import load_set
from features.console import Announce, progress, run_command
from features.layout import Layout
from features.settings import load_settings
from training.context import Context, open_context
from training.metrics_churn import Floats, churn_metrics

RULES = ("recency", "btyd")
HURRIED = "hurried LightGBM"
ECE_MAX = 0.05


@dataclass(frozen=True, slots=True)
class Case:
    """A shop, the day it is scored, and the horizon in days."""

    shop: str
    as_of: date
    horizon_days: int


CASES = (
    Case("or", date(2011, 3, 5), 30),
    Case("or", date(2011, 5, 1), 30),
    Case("or", date(2011, 10, 1), 30),
    Case("or", date(2011, 11, 9), 30),
    Case("or", date(2011, 7, 1), 60),
    Case("or", date(2011, 10, 10), 60),
    Case("or", date(2011, 8, 20), 90),
    Case("cj", date(2017, 4, 5), 30),
    Case("cj", date(2017, 7, 1), 30),
    Case("cj", date(2017, 9, 1), 60),
    Case("cdnow", date(1997, 4, 5), 30),
    Case("cdnow", date(1997, 11, 1), 60),
    Case("cdnow", date(1998, 1, 15), 30),
    Case("monthly rhythm", date(2025, 1, 15), 30),
    Case("monthly rhythm", date(2024, 12, 15), 60),
    Case("weekly boxes", date(2024, 11, 15), 28),
    Case("business customers", date(2025, 9, 1), 90),
    Case("garden shop", date(2024, 4, 15), 30),
)


def open_case(case: Case, folder: Path) -> Context | None:
    """Open a case's history as of its day, loading it first; None where a file is absent."""
    if case.shop in SHOPS:
        var = folder / "renewal" / case.shop.replace(" ", "-")
        if not (var / "history" / "manifest.json").exists():
            lines = var / "order_lines.parquet"
            write_orders(case.shop, lines)
            command = [sys.executable, "-m", "features.ingest", "--file", str(lines), "--format", "parquet"]
            subprocess.run(
                [*command, "--mode", "replace", "--var", str(var)], check=True, capture_output=True
            )
    else:
        found = load_set(case.shop, folder)
        if found is None:
            return None
        var = found
    return open_context(Layout(var), load_settings(), as_of=str(case.as_of), headline_days=case.horizon_days)


def hurried(context: Context) -> Floats:
    """Return the churn probabilities of LightGBM with its defaults, fitted on one snapshot."""
    days, builder = context.headline_days, context.builder
    snapshot = context.as_of.shifted(-days)
    features = builder.features_at(snapshot)
    outcomes = builder.outcomes(snapshot, [days], context.as_of).reindex(features.index)
    model = lightgbm.LGBMClassifier(verbosity=-1, random_state=0)
    model.fit(features.to_numpy(), outcomes[f"churned_{days}"].to_numpy())
    chances = np.asarray(model.predict_proba(builder.features_at(context.as_of).to_numpy()), dtype=np.float64)
    return chances[:, 1]


def rows_of(case: Case, context: Context, announce: Announce) -> pd.DataFrame:
    """Return AUC, log-loss and ECE of what serves, of the rules and of the hurried model: a row each."""
    told, _ = told_at(context, announce)
    tables = {name: rows for name, rows in told.table.groupby("candidate", sort=False)}
    outcomes = tables[told.winner]["outcome"].to_numpy(dtype=np.float64)
    said = {f"{OURS}, {told.winner}": tables[told.winner]["prediction"].to_numpy(dtype=np.float64)}
    said |= {name: tables[name]["prediction"].to_numpy(dtype=np.float64) for name in RULES}
    said[HURRIED] = hurried(context)
    table = pd.DataFrame({name: churn_metrics(outcomes, values) for name, values in said.items()}).T
    return table[["auc", "log_loss", "ece"]]


def summary(tables: list[pd.DataFrame]) -> str:
    """Say in how many cases ours, the first row of each table, is better than each of the others."""
    lines = []
    for rival in (*RULES, HURRIED):
        higher = sum(table["auc"].iloc[0] > table["auc"][rival] for table in tables)
        lower = sum(table["log_loss"].iloc[0] < table["log_loss"][rival] for table in tables)
        lines.append(f"better than {rival} in AUC in {higher}, in log-loss in {lower} of {len(tables)} cases")
    near = sum(table["ece"].iloc[0] <= ECE_MAX for table in tables)
    lines.append(f"ECE at most {ECE_MAX:g} in {near} of {len(tables)} cases")
    return "\n".join(lines) + "\n"


def _command(
    *, folder: Annotated[Path, typer.Option(help="where the sets are loaded to")] = Path("var/bench")
) -> None:
    """Print churn on other shops and dates than the published ones, beside rules and a hurried model."""
    tables = []
    with progress("other shops", total=8 * len(CASES)) as announce:
        for case in CASES:
            announce(f"{case.shop} as of {case.as_of}")
            context = open_case(case, folder)
            if context is None:
                sys.stdout.write(f"\n{case.shop}: left out, its file is absent\n")
                continue
            sys.stdout.write(f"\n{case.shop}, {case.horizon_days} days, as of {case.as_of}\n")
            tables.append(rows_of(case, context, announce))
            sys.stdout.write(tables[-1].round(4).to_string() + "\n")
            sys.stdout.flush()
    sys.stdout.write("\n" + summary(tables))


if __name__ == "__main__":
    run_command(_command)
