"""Prediction quality at published origins: what a shop would have been served, beside every rule and recipe.

    python -m benchmarks.quality [--sets cj,or,cdnow] [--folder var/bench]

At each origin the whole pipeline runs as of that day: the back-test on earlier origins chooses, the chosen
recipes are refitted and answer (`regulars` in the tables). One configuration serves all sets. Exit code 1
where a gate is missed.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from benchmarks.published import OURS, TRIALS, Trial, gates_text
from benchmarks.sets import load_set
from features.console import Announce, progress, run_command
from features.layout import Layout
from features.settings import load_settings
from models.candidates import churn_candidates, clv_candidates
from models.registry_names import Task
from training.backtest import run_backtest
from training.context import Context, open_context
from training.promote import first_ready
from training.resampling import Resample
from training.rounds import churn_round, clv_round, pivot
from training.scorecard import PAIRED_METRICS, Summary
from training.summaries import Findings, differences, measure
from training.verdicts import CHURN, CLV, churn_verdict, clv_verdict, field_of

SHOWN: dict[Task, tuple[str, ...]] = {
    "churn": ("auc", "log_loss", "ece", "calibration_slope", "lift_top_decile"),
    "clv": (
        "normalised_gini", "deviance", "rmse", "mae", "total_bias", "above_high_share", "buyers_inside_share"
    ),
}  # fmt: skip


@dataclass(slots=True)
class Predictions:
    """Stored predictions of every recipe at the published origins, and which of them were chosen."""

    churn: list[pd.DataFrame] = field(default_factory=list)
    clv: list[pd.DataFrame] = field(default_factory=list)
    chosen: dict[date, tuple[str, str]] = field(default_factory=dict)


def run_trial(trial: Trial, var: Path, announce: Announce) -> Predictions:
    """Run the pipeline as of every published origin, and keep what every recipe said there."""
    found = Predictions()
    for day in trial.origins:
        announce(f"{trial.name} as of {day}: back-test")
        layout, settings = Layout(var), load_settings()
        context = open_context(layout, settings, as_of=str(day), headline_days=trial.horizon_days)
        churn, clv = told_at(context, announce)
        found.chosen[day] = (churn.winner, clv.winner)
        for told, kept in ((churn, found.churn), (clv, found.clv)):
            ours = told.table[told.table["candidate"] == told.winner].assign(candidate=OURS)
            kept.append(pd.concat([ours, told.table], ignore_index=True))
    return found


@dataclass(frozen=True, slots=True)
class Told:
    """What every recipe of a task says on a date, with what came beside it, and which of them serves."""

    table: pd.DataFrame
    winner: str


def told_at(context: Context, announce: Announce) -> tuple[Told, Told]:
    """Return what is said of churn and of value on the date, where promotion chooses by the back-test."""
    result = run_backtest(context, announce, with_lists=False)
    verdicts = churn_verdict(context, result.churn), clv_verdict(context, result.clv)
    churn_judged, clv_judged = (tuple(verdict.mean_losses) if verdict else () for verdict in verdicts)
    settings, days, origin = context.settings, context.headline_days, context.as_of
    announce(f"predictions as of {origin.date}")
    examples = context.builder.examples(origin, headline_days=days)
    outcomes = context.builder.outcomes(origin, horizons_days=(days,), known_until=origin.shifted(days))
    churn, _ = churn_round(churn_candidates(settings), examples, outcomes, horizons=(days,))
    churn_winner = first_ready("churn", churn_judged, set(churn["candidate"]))
    orders = 1 - pivot(churn, churn_winner, origin.date).reindex(examples.current.index)
    clv, _ = clv_round(clv_candidates(settings), examples, outcomes, order_probability=orders)
    able = {name for name in set(clv["candidate"]) if name in clv_candidates(settings)}
    return Told(churn, churn_winner), Told(clv, first_ready("clv", clv_judged, able))


def judge_trial(trial: Trial, found: Predictions) -> dict[Task, Findings]:
    """Return the metrics of every recipe at every origin, with the draws behind their differences."""
    settings, findings = load_settings(), {}
    tasks: tuple[tuple[Task, list[pd.DataFrame]], ...] = (("churn", found.churn), ("clv", found.clv))
    for task, tables in tasks:
        rows = pd.concat(tables, ignore_index=True)
        count = settings.backtest.bootstrap_count
        resample = Resample(rows["customer_id"], draw_count=count, seed=settings.seed)
        measures = CHURN if task == "churn" else CLV
        findings[task] = measure(rows, measures, resample=resample, judged_days=trial.horizon_days)
    return findings


def table_of(trial: Trial, findings: Findings, task: Task) -> pd.DataFrame:
    """Return one row a recipe and origin with the metrics that are shown."""
    rows = [
        {"candidate": candidate, "origin": day}
        | {name: _at(summaries[trial.horizon_days], name, day) for name in SHOWN[task]}
        for candidate, summaries in findings.summaries.items()
        for day in trial.origins
    ]
    table = pd.DataFrame(rows).set_index(["candidate", "origin"])
    return table.sort_values(SHOWN[task][0], ascending=False, kind="stable").sort_index(
        level="origin", sort_remaining=False, kind="stable"
    )


def _at(summaries: Mapping[str, Summary], name: str, day: date) -> float:
    value = summaries[name].by_origin.get(day) if name in summaries else None
    return float("nan") if value is None else float(value)


def gate_lines(trial: Trial, findings: dict[Task, Findings]) -> list[tuple[str, bool]]:
    """Hold ours against the gates of a trial, and churn against the strongest simple rule."""
    lines: list[tuple[str, bool]] = []
    for gate in trial.gates:
        own = findings[gate.task].summaries[OURS][trial.horizon_days][gate.metric].by_origin
        values = [float(value) for day in trial.origins if (value := own[day]) is not None]
        lines += [(f"{gate.task} {words}", held) for words, held in gate.verdicts(values)]
    return lines + _against_rules(trial, findings["churn"], "churn")


def _against_rules(trial: Trial, found: Findings, task: Task) -> list[tuple[str, bool]]:
    """Compare ours with the rule that is best in each paired metric: the whole interval must lie above 0."""
    lines = []
    rules = sorted(field_of(task, load_settings()).rules & set(found.summaries))
    for metric in PAIRED_METRICS[task]:
        gaps = [
            differences(found, rule, names=[metric], judged_days=trial.horizon_days)[OURS][metric]
            for rule in rules
        ]
        nearest = min(gaps, key=lambda gap: gap.mean)
        words = f"{task} {metric} better than {nearest.rival} by {nearest.mean:.4f}"
        lines.append((f"{words} (95 % interval {nearest.low:.4f} … {nearest.high:.4f})", nearest.low > 0))
    return lines


def print_trial(trial: Trial, found: Predictions) -> bool:
    """Print tables and gates of a trial; return whether every gate is met."""
    findings = judge_trial(trial, found)
    sys.stdout.write(f"\n{trial.name}, {trial.horizon_days} days\n")
    for day, (churn, clv) in found.chosen.items():
        sys.stdout.write(f"as of {day} the back-test chose {churn} and {clv}\n")
    for task, part in findings.items():
        sys.stdout.write(f"\n{task}\n{table_of(trial, part, task).round(4).to_string(na_rep='–')}\n")
    lines = gate_lines(trial, findings)
    sys.stdout.write(gates_text(lines))
    return all(held for _, held in lines)


def _command(
    *,
    sets: Annotated[str, typer.Option(help="comma-separated: cj, or, cdnow")] = "cj,or,cdnow",
    folder: Annotated[Path, typer.Option(help="where the sets are loaded to")] = Path("var/bench"),
) -> None:
    """Print prediction quality at the published origins, and whether the gates are met."""
    names, all_met = sets.split(","), True
    with progress("quality", total=11 * sum(len(TRIALS[name].origins) for name in names)) as announce:
        for name in names:
            announce(f"loading {TRIALS[name].name}")
            var = load_set(name, folder)
            if var is None:
                sys.stdout.write(f"\n{TRIALS[name].name}: left out, its file is absent\n")
                continue
            all_met &= print_trial(TRIALS[name], run_trial(TRIALS[name], var, announce))
    if not all_met:
        raise SystemExit(1)


if __name__ == "__main__":
    run_command(_command)
