"""From stored predictions to a task's result: metrics, the winner and its distance to the simple rules."""

import numpy as np
import pandas as pd

from features.settings import Settings
from models.candidates import churn_candidates, clv_candidates, recommender_candidates
from models.contract import Method
from models.registry_names import Task
from training.context import Context
from training.grades import grade_of
from training.judge import Verdict, decide
from training.metrics_churn import churn_metrics, log_losses
from training.metrics_clv import BOUNDS, clv_metrics, deviances, interval_metrics
from training.scorecard import (
    LOSS_NAMES,
    CandidateResult,
    Summary,
    TaskResult,
    comparison_of,
    summarise,
    summary_of,
)


def methods_of(task: Task, settings: Settings) -> dict[str, Method]:
    """Return the method of every candidate of a task."""
    makers = {"churn": churn_candidates, "clv": clv_candidates, "recommender": recommender_candidates}
    return {name: candidate.method for name, candidate in makers[task](settings).items()}  # type: ignore[attr-defined]


def judged(rows: pd.DataFrame) -> pd.DataFrame:
    """Keep the recipes that could be fitted at the newest origin, and the origins that all of them share.

    Only these are compared: a mean over other origins says nothing beside theirs.
    """
    if rows.empty:
        return rows
    usable = rows.loc[rows["origin"] == rows["origin"].max(), "candidate"].unique()
    kept = rows[rows["candidate"].isin(usable)]
    counts = kept.groupby("origin")["candidate"].nunique()
    shared: pd.DataFrame = kept[kept["origin"].isin(counts.index[counts == len(usable)])]
    return shared


def churn_verdict(context: Context, predictions: pd.DataFrame) -> Verdict | None:
    """Decide churn by log-loss at the headline horizon, of a `judged` table; None without predictions."""
    return _verdict(context, "churn", _headline_losses(context, predictions, log_losses))


def churn_result(context: Context, predictions: pd.DataFrame, left_out: dict[str, str]) -> TaskResult:
    """Return churn's part of the scorecard, from a `judged` table."""
    verdict = churn_verdict(context, predictions)
    metrics = {} if verdict is None else summarise(predictions, churn_metrics)
    return _result(context, "churn", verdict, metrics, left_out)


def clv_result(context: Context, predictions: pd.DataFrame, left_out: dict[str, str]) -> TaskResult:
    """Return value's part, from a `judged` table, decided by Tweedie deviance at the headline horizon."""
    verdict = _verdict(context, "clv", _headline_losses(context, predictions, deviances))
    metrics = {} if verdict is None else summarise(predictions, clv_metrics)
    for candidate, coverage in _coverage(context, predictions).items() if verdict else ():
        metrics[candidate][context.headline_days] |= coverage
    return _result(context, "clv", verdict, metrics, left_out)


def _coverage(context: Context, predictions: pd.DataFrame) -> dict[str, dict[str, Summary]]:
    """Return how honest each recipe's intervals are at the headline horizon, over the origins."""
    rows = predictions[predictions["horizon_days"] == context.headline_days]
    found: dict[str, dict[str, Summary]] = {}
    for candidate, part in rows.groupby("candidate", sort=False):
        by_origin = {
            origin: interval_metrics(
                one["outcome"].to_numpy(np.float64), one[list(BOUNDS)].to_numpy(np.float64).T
            )
            for origin, one in part.groupby("origin", sort=True)
        }
        names = next(iter(by_origin.values()))
        found[str(candidate)] = {
            name: summary_of({day: values[name] for day, values in by_origin.items()})  # type: ignore[misc]
            for name in names
        }
    return found


def recommender_result(context: Context, rows: pd.DataFrame, left_out: dict[str, str]) -> TaskResult:
    """Return the recommender's part, decided by 1 - NDCG@10; `rows` as in `training.recommender_rounds`."""
    losses = None if rows.empty else rows.assign(loss=1 - rows["ndcg"])
    verdict = _verdict(context, "recommender", losses)
    horizon = context.settings.recommender.outcome_days
    metrics: dict[str, dict[int, dict[str, Summary]]] = {}
    for candidate, part in rows.groupby("candidate") if verdict else ():
        means = part.groupby("origin")[["recall", "ndcg", "hit", "mrr"]].mean()
        metrics[str(candidate)] = {
            horizon: {f"{name}_at_10": summary_of(dict(means[name].items())) for name in means}  # type: ignore[arg-type]
        }
    return _result(context, "recommender", verdict, metrics, left_out)


def _headline_losses(context: Context, predictions: pd.DataFrame, loss: object) -> pd.DataFrame | None:
    if predictions.empty:
        return None
    rows = predictions[predictions["horizon_days"] == context.headline_days]
    parts = []
    for _, part in rows.groupby(["candidate", "origin"], sort=False):
        values = loss(part["outcome"].to_numpy(np.float64), part["prediction"].to_numpy(np.float64))  # type: ignore[operator]
        parts.append(part[["candidate", "origin", "customer_id"]].assign(loss=values))
    return pd.concat(parts, ignore_index=True)


def _verdict(context: Context, task: Task, losses: pd.DataFrame | None) -> Verdict | None:
    if losses is None:
        return None
    rules = {name for name, method in methods_of(task, context.settings).items() if method != "ml"}
    return decide(
        losses,
        loss_name=LOSS_NAMES[task],
        rules=rules,
        resamples=context.settings.backtest.bootstrap_count,
        seed=context.settings.seed,
    )


def _means(summaries: dict[str, Summary]) -> dict[str, float | None]:
    """Return mean metrics; of the total bias its mean size, so that origins cannot make up for each other."""
    means = {name: summary.mean for name, summary in summaries.items()}
    if "total_bias" in summaries:
        sizes = [abs(bias) for bias in summaries["total_bias"].by_origin.values() if bias is not None]
        means["total_bias"] = float(np.mean(sizes)) if sizes else None
    return means


def _result(
    context: Context,
    task: Task,
    verdict: Verdict | None,
    metrics: dict[str, dict[int, dict[str, Summary]]],
    left_out: dict[str, str],
) -> TaskResult:
    methods = methods_of(task, context.settings)
    horizon = context.settings.recommender.outcome_days if task == "recommender" else context.headline_days
    constant = _means(metrics["base_rate"][horizon]) if "base_rate" in metrics else {}
    summaries = [next(iter(rows[horizon].values())) for rows in metrics.values()]
    origins = sorted({day for summary in summaries for day in summary.by_origin})
    return TaskResult(
        task=task,
        horizon_days=horizon,
        loss_name=LOSS_NAMES[task],
        origins=origins,
        candidates={
            name: CandidateResult(
                method=methods[name],
                metrics=rows,
                grade=grade_of(task, _means(rows[horizon]), constant),
            )
            for name, rows in metrics.items()
        },
        left_out=left_out,
        winner=verdict.winner if verdict else None,
        mean_losses=verdict.mean_losses if verdict else {},
        against_rule=comparison_of(verdict) if verdict else None,
        beats_baseline=verdict.beats_baseline if verdict else False,
    )
