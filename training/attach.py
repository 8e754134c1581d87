"""A back-test's findings on the challengers' runs: metrics, pictures and the scorecard itself."""

import json
from typing import Any

from mlflow import MlflowClient

from features.layout import Layout
from models import registry_names as names
from training.pictures import Figures
from training.scorecard import CandidateResult, Scorecard, TaskResult
from training.tracking import Challenger, challengers, fits


def attach_scorecard(client: MlflowClient, layout: Layout, scorecard: Scorecard, figures: Figures) -> int:
    """Log the back-test to every challenger fitted on the same data and date; return how many there were."""
    attached = 0
    for task, result in scorecard.tasks.items():
        for name, challenger in challengers(client, task).items():
            if name in result.candidates and fits(challenger, scorecard):
                _attach(client, layout, challenger, result, figures)
                attached += 1
    return attached


def _attach(
    client: MlflowClient, layout: Layout, challenger: Challenger, result: TaskResult, figures: Figures
) -> None:
    for horizon, metrics in result.candidates[challenger.candidate].metrics.items():
        for metric, summary in metrics.items():
            if summary.mean is not None:
                client.log_metric(challenger.run_id, f"{metric}_{horizon}d", summary.mean)
    # The page carries its own drawing library (5 MB), so only the winner's run keeps a copy.
    pages = ("scorecard.html",) if challenger.candidate == result.winner else ()
    pictures = (f"{result.task}-{picture.name}.json" for picture in figures[result.task])
    for name in ("scorecard.json", "scorecard.txt", *pages, *pictures):
        client.log_artifact(challenger.run_id, str(layout.reports / name), "backtest")
    summary_tag = json.dumps(scorecard_tag(result, challenger.candidate))
    registered = names.REGISTERED[challenger.task]
    client.set_model_version_tag(registered, challenger.version, names.TAG_SCORECARD, summary_tag)


def scorecard_tag(result: TaskResult, candidate: str) -> dict[str, Any]:
    """Return what serving shows of a version's back-test: its metrics beside the best simple rule's.

    Of value also what all customers of each origin were predicted to spend and spent (`totals`), and the
    errors of the formula and the model by RFM group, where this model is the one that they were measured of.
    """
    rule = result.best_rule
    totals = result.totals.get(candidate, {}).values()
    groups = result.groups if candidate == result.winner else []
    return {
        "metrics": _means(result.candidates[candidate], result.horizon_days),
        "baseline": rule
        and {"candidate": rule, "metrics": _means(result.candidates[rule], result.horizon_days)},
        "grade": result.candidates[candidate].grade,
        "beats_baseline": result.beats_baseline and candidate == result.winner,
        "origins": [str(day) for day in result.origins],
        "horizon_days": result.horizon_days,
        "totals": [[round(total.predicted, 2), round(total.actual, 2)] for total in totals],
        "groups": [_rounded(group.model_dump()) for group in groups],
    }


def _rounded(group: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in group.items()}


def _means(result: CandidateResult, horizon_days: int) -> dict[str, float]:
    return {name: s.mean for name, s in result.metrics[horizon_days].items() if s.mean is not None}
