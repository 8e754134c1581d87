"""The scorecard: what a back-test found, for people (text, HTML) and for programs (JSON)."""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import cast

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import BaseModel, ConfigDict

from models.contract import Method
from models.registry_names import Task
from training.grades import Grade, rule_text
from training.judge import Verdict

Floats = npt.NDArray[np.float64]
Metrics = Callable[[Floats, Floats], dict[str, float]]

HEADLINE_METRICS: dict[str, tuple[str, ...]] = {
    "churn": ("log_loss", "auc", "brier", "ece", "calibration_slope", "lift_top_decile"),
    "clv": (
        "deviance",
        "normalised_gini",
        "rmse",
        "total_bias",
        "decile_error",
        "above_high_share",
        "buyers_inside_share",
    ),
    "recommender": ("ndcg_at_10", "recall_at_10", "hit_at_10", "mrr_at_10"),
}
LOSS_NAMES: dict[str, str] = {"churn": "log-loss", "clv": "Tweedie deviance", "recommender": "1 - NDCG@10"}


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Summary(_Part):
    """A metric over the origins; `by_origin` keeps every value (None where it is not defined)."""

    mean: float | None
    spread: float | None
    by_origin: dict[date, float | None]


class CandidateResult(_Part):
    """One recipe: its method, its metrics by horizon (days) and name, and its grade."""

    method: Method
    metrics: dict[int, dict[str, Summary]]
    grade: Grade | None = None


class Comparison(_Part):
    """The winner against the strongest simple rule; positive means that the winner is better."""

    rival: str
    mean: float
    low: float
    high: float


class TaskResult(_Part):
    """One task: every recipe, the best one, and why others are missing."""

    task: Task
    horizon_days: int
    loss_name: str
    origins: list[date]
    candidates: dict[str, CandidateResult]
    left_out: dict[str, str]
    winner: str | None
    mean_losses: dict[str, float]
    against_rule: Comparison | None
    beats_baseline: bool


class Scorecard(_Part):
    """A whole back-test."""

    as_of: date
    headline_days: int
    data_hash: str
    recipe_hash: str
    git_revision: str
    currency: str
    clv_basis: str
    created_at: datetime
    tasks: dict[Task, TaskResult]


def summarise(predictions: pd.DataFrame, metrics: Metrics) -> dict[str, dict[int, dict[str, Summary]]]:
    """Return metric summaries by candidate, horizon and name, of a table as in `training.rounds`."""
    result: dict[str, dict[int, dict[str, Summary]]] = {}
    for key, part in predictions.groupby(["candidate", "horizon_days"], sort=True):
        candidate, horizon = cast("tuple[str, int]", key)
        values = {
            cast("date", origin): metrics(rows["outcome"].to_numpy(float), rows["prediction"].to_numpy(float))
            for origin, rows in part.groupby("origin", sort=True)
        }
        names = next(iter(values.values()))
        result.setdefault(candidate, {})[int(horizon)] = {
            name: summary_of({day: row[name] for day, row in values.items()}) for name in names
        }
    return result


def summary_of(by_origin: Mapping[date, float]) -> Summary:
    """Return mean and standard deviation over origins; values that are not defined stay out of both."""
    finite = [value for value in by_origin.values() if np.isfinite(value)]
    return Summary(
        mean=float(np.mean(finite)) if finite else None,
        spread=float(np.std(finite, ddof=1)) if len(finite) > 1 else None,
        by_origin={day: float(value) if np.isfinite(value) else None for day, value in by_origin.items()},
    )


def comparison_of(verdict: Verdict) -> Comparison | None:
    """Return a verdict's difference to the strongest rule in the scorecard's form."""
    found = verdict.against_rule
    if found is None:
        return None
    return Comparison(rival=found.rival, mean=found.mean, low=found.low, high=found.high)


def verdict_text(result: TaskResult) -> str:
    """Say in one sentence what won, and whether it beats the simple rules."""
    if result.winner is None:
        return "no back-test: the history is too short for one"
    method = result.candidates[result.winner].method
    if result.against_rule is None:
        return f"{result.winner} ({method}) has the lowest {result.loss_name}; no model does better here"
    found = result.against_rule
    sure = "beyond doubt" if result.beats_baseline else "not beyond doubt"
    return (
        f"{result.winner} ({method}) beats the best simple rule, {found.rival}, {sure}: {result.loss_name} "
        f"lower by {found.mean:.4g} (95 % interval {found.low:.4g} … {found.high:.4g})"
    )


def scorecard_text(scorecard: Scorecard) -> str:
    """Return the scorecard as a page of text."""
    lines = [f"Scorecard as of {scorecard.as_of} · data {scorecard.data_hash[:12]}"]
    for result in scorecard.tasks.values():
        origins = ", ".join(map(str, result.origins)) or "none"
        lines += ["", f"{result.task} · {result.horizon_days} days · origins {origins}", verdict_text(result)]
        lines += _table(result)
        grade = result.candidates[result.winner].grade if result.winner else None
        if grade is not None:
            lines.append(f"  {result.winner}: grade {grade} ({rule_text(result.task)})")
        lines += [f"  left out: {name}: {reason}" for name, reason in sorted(result.left_out.items())]
    return "\n".join(lines) + "\n"


def _table(result: TaskResult) -> list[str]:
    names = HEADLINE_METRICS[result.task]
    lines = ["  " + f"{'':<14}{'method':<10}" + "".join(f"{name:>21}" for name in names)]
    for candidate in result.mean_losses:
        row = result.candidates[candidate]
        cells = "".join(f"{metric_cell(row.metrics[result.horizon_days].get(name)):>21}" for name in names)
        mark = "*" if candidate == result.winner else " "
        lines.append(f"{mark} {candidate:<14}{row.method:<10}{cells}")
    return lines


def metric_cell(summary: Summary | None) -> str:
    """Return a metric as mean ± spread over the origins, or a dash."""
    if summary is None or summary.mean is None:
        return "–"
    spread = "" if summary.spread is None else f" ± {summary.spread:.3f}"
    return f"{summary.mean:.4g}{spread}"
