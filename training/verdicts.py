"""From stored predictions to a task's result: metrics, the winner and its distance to the simple rules."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.settings import Settings
from models.candidates import churn_candidates, clv_candidates, recommender_candidates
from models.contract import ChurnModel, ClvModel, Method, Model, StandsAlone
from models.registry_names import Task
from training.context import Context
from training.coverage import coverage_by_decile, totals_of
from training.gates import gates_of, mean_size
from training.grades import grade_of
from training.incumbents import INCUMBENT
from training.judge import Field, Verdict, decide
from training.list_results import LISTS, Exposures, add_exposure, discovery_gain, is_undefined, segments_of
from training.metrics_churn import churn_metrics, log_losses
from training.metrics_clv import BOUNDS, Mask, clv_metrics, deviances, interval_metrics
from training.resampling import Floats, Resample, Statistic
from training.rounds import alone_name
from training.scorecard import (
    LOSS_NAMES,
    PAIRED_METRICS,
    CandidateResult,
    Summary,
    TaskResult,
    comparison_of,
)
from training.summaries import Findings, Measures, differences, measure
from training.weighted_churn import churn_statistics
from training.weighted_clv import clv_statistics, interval_statistics


def _pair(rows: pd.DataFrame) -> tuple[Floats, Floats]:
    return rows["outcome"].to_numpy(np.float64), rows["prediction"].to_numpy(np.float64)


def _bounds(rows: pd.DataFrame) -> Floats | None:
    """Return the intervals as `interval_metrics` takes them, or None at a horizon that has none."""
    bounds: Floats = rows.reindex(columns=list(BOUNDS)).to_numpy(np.float64).T
    return None if np.isnan(bounds).any() else bounds


def _ordered(rows: pd.DataFrame) -> Mask:
    return rows["ordered"].to_numpy(np.bool_)


def _clv_metrics(rows: pd.DataFrame) -> dict[str, float]:
    bounds = _bounds(rows)
    found = clv_metrics(*_pair(rows))
    return found if bounds is None else found | interval_metrics(_pair(rows)[0], bounds, _ordered(rows))


def _clv_statistics(rows: pd.DataFrame) -> dict[str, Statistic]:
    bounds = _bounds(rows)
    found = clv_statistics(*_pair(rows))
    return found if bounds is None else found | interval_statistics(_pair(rows)[0], bounds, _ordered(rows))


CHURN = Measures(lambda rows: churn_metrics(*_pair(rows)), lambda rows: churn_statistics(*_pair(rows)))
CLV = Measures(_clv_metrics, _clv_statistics)


def methods_of(
    task: Task, settings: Settings, incumbent: ChurnModel | ClvModel | None = None
) -> dict[str, Method]:
    """Return the method of every recipe that is judged for a task.

    Rules that stand alone are among them, and the recipe of a standing champion.
    """
    candidates = _candidates_of(task, settings)
    methods = {name: candidate.method for name, candidate in candidates.items()}
    alone = [name for name, candidate in candidates.items() if isinstance(candidate, StandsAlone)]
    if incumbent is not None:
        methods[INCUMBENT] = incumbent.method
    return methods | {alone_name(name): methods[name] for name in alone}


def _candidates_of(task: Task, settings: Settings) -> Mapping[str, Model]:
    if task == "churn":
        return churn_candidates(settings)
    return clv_candidates(settings) if task == "clv" else recommender_candidates(settings)


def field_of(task: Task, settings: Settings) -> Field:
    """Return which recipes of a task are simple, which must be beaten, and which are only there for that."""
    methods = methods_of(task, settings)
    alone = frozenset(name for name in methods if name in map(alone_name, methods))
    simple = frozenset(name for name, method in methods.items() if method != "ml")
    return Field(simple=simple, rules=alone or simple, bystanders=alone | {INCUMBENT})


def judged(rows: pd.DataFrame) -> pd.DataFrame:
    """Keep the recipes that could be fitted at the newest origin, and the origins that all of them share.

    Only these are compared: a mean over other origins says nothing beside theirs. The recipe of a standing
    champion takes no origin away from the others; it is left out where it lacks one of theirs.
    """
    if rows.empty:
        return rows
    usable = set(rows.loc[rows["origin"] == rows["origin"].max(), "candidate"])
    own = rows["candidate"].isin(usable - {INCUMBENT})
    counts = rows[own].groupby("origin")["candidate"].nunique()
    shared = rows["origin"].isin(counts.index[counts == counts.max()])
    standing = rows["candidate"] == INCUMBENT
    keeps_up = rows.loc[standing & shared, "origin"].nunique() == rows.loc[own & shared, "origin"].nunique()
    kept: pd.DataFrame = rows[shared & (own | (standing & keeps_up))]
    return kept


def churn_verdict(context: Context, predictions: pd.DataFrame) -> Verdict | None:
    """Decide churn by log-loss at the headline horizon, of a `judged` table; None without predictions."""
    return _verdict(context, "churn", _headline_losses(context, predictions, log_losses))


def churn_result(context: Context, predictions: pd.DataFrame, left_out: dict[str, str]) -> TaskResult:
    """Return churn's part of the scorecard, from a `judged` table."""
    verdict = churn_verdict(context, predictions)
    found = _measured(context, predictions, CHURN) if verdict else Findings()
    return _result(context, "churn", verdict, found, _Rows(predictions, left_out))


def clv_verdict(context: Context, predictions: pd.DataFrame) -> Verdict | None:
    """Decide value by Tweedie deviance at the headline horizon, of a `judged` table; None without any."""
    return _verdict(context, "clv", _headline_losses(context, predictions, deviances))


def clv_result(context: Context, predictions: pd.DataFrame, left_out: dict[str, str]) -> TaskResult:
    """Return value's part, from a `judged` table, decided by Tweedie deviance at the headline horizon."""
    verdict = clv_verdict(context, predictions)
    found = _measured(context, predictions, CLV) if verdict else Findings()
    result = _result(context, "clv", verdict, found, _Rows(predictions, left_out))
    if verdict is None:
        return result
    rows = predictions[predictions["horizon_days"] == context.headline_days]
    chosen = rows[rows["candidate"] == verdict.winner]
    return result.model_copy(update={"coverage": coverage_by_decile(chosen), "totals": totals_of(rows)})


def recommender_result(
    context: Context,
    rows: pd.DataFrame,
    left_out: dict[str, str],
    *,
    exposures: Exposures | None = None,
    undefined: Mapping[str, str] | None = None,
) -> TaskResult:
    """Return the recommender's part, decided by 1 - NDCG@10; all as in `training.recommender_rounds`."""
    horizon = context.settings.recommender.outcome_days
    predictions = rows.assign(horizon_days=horizon)
    losses = None if rows.empty else predictions.assign(loss=1 - rows["ndcg"])
    verdict = _verdict(context, "recommender", losses)
    if verdict is None:
        return _result(context, "recommender", None, Findings(), _Rows(predictions, left_out))
    resample = _resample(context, predictions)
    found = measure(predictions, LISTS, resample=resample, judged_days=horizon)
    add_exposure(found, exposures or {}, rows, resample=resample, judged_days=horizon)
    result = _result(context, "recommender", verdict, found, _Rows(predictions, left_out))
    known = result.candidates[verdict.winner].metrics[horizon]
    reasons = {name: why for name, why in (undefined or {}).items() if is_undefined(known.get(name))}
    segments = segments_of(rows, verdict.winner, result.rival, resample=resample)
    gain = discovery_gain(rows[rows["candidate"] == verdict.winner], resample=resample)
    return result.model_copy(update={"segments": segments, "discovery_gain": gain, "undefined": reasons})


def _measured(context: Context, predictions: pd.DataFrame, measures: Measures) -> Findings:
    resample = _resample(context, predictions)
    return measure(predictions, measures, resample=resample, judged_days=context.headline_days)


def _resample(context: Context, predictions: pd.DataFrame) -> Resample:
    count = context.settings.backtest.bootstrap_count
    return Resample(predictions["customer_id"], draw_count=count, seed=context.settings.seed)


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
    return decide(
        losses,
        field_of(task, context.settings),
        loss_name=LOSS_NAMES[task],
        resamples=context.settings.backtest.bootstrap_count,
        seed=context.settings.seed,
        incumbent=INCUMBENT,
    )


def _means(summaries: dict[str, Summary]) -> dict[str, float | None]:
    """Return mean metrics, and of the tenths' error the lower end too.

    Of the total bias it is the mean size, so that origins cannot make up for each other.
    """
    means = {name: summary.mean for name, summary in summaries.items()}
    if "total_bias" in summaries:
        means["total_bias"] = mean_size(summaries["total_bias"])
    if "decile_error" in summaries:
        means["decile_error_low"] = summaries["decile_error"].low
    return means


@dataclass(frozen=True, slots=True)
class _Rows:
    """What a task's result is made from beside the metrics."""

    predictions: pd.DataFrame
    left_out: dict[str, str]


def _result(
    context: Context, task: Task, verdict: Verdict | None, found: Findings, rows: _Rows
) -> TaskResult:
    horizon = context.settings.recommender.outcome_days if task == "recommender" else context.headline_days
    empty = TaskResult(
        task=task,
        horizon_days=horizon,
        loss_name=LOSS_NAMES[task],
        origins=[],
        candidates={},
        left_out=rows.left_out,
        winner=None,
        mean_losses={},
        against_rule=None,
        beats_baseline=False,
    )
    if verdict is None:
        return empty
    chosen = rows.predictions[rows.predictions["candidate"] == verdict.winner]
    counts = chosen[chosen["horizon_days"] == horizon].groupby("origin").size()
    result = empty.model_copy(
        update={
            "origins": sorted(counts.index),
            "candidates": _candidates(context, task, found, horizon),
            "winner": verdict.winner,
            "mean_losses": verdict.mean_losses,
            "against_rule": comparison_of(verdict.against_rule),
            "against_champion": comparison_of(verdict.against_incumbent),
            "beats_baseline": verdict.beats_baseline,
            "customer_counts": {day: int(count) for day, count in counts.items()},
            "gates": gates_of(task, found.summaries[verdict.winner][horizon]),
        }
    )
    return _beside_best_rule(result, found)


def _candidates(context: Context, task: Task, found: Findings, horizon: int) -> dict[str, CandidateResult]:
    methods = methods_of(task, context.settings, context.incumbents.get(task))
    rules = field_of(task, context.settings).rules
    constant = _means(found.summaries["base_rate"][horizon]) if "base_rate" in found.summaries else {}
    return {
        name: CandidateResult(
            method=methods[name],
            metrics=metrics,
            grade=grade_of(task, _means(metrics[horizon]), constant),
            is_rule=name in rules,
        )
        for name, metrics in found.summaries.items()
    }


def _beside_best_rule(result: TaskResult, found: Findings) -> TaskResult:
    """Return the result with every recipe's paired difference to the strongest simple rule."""
    rule = result.best_rule
    if rule is None:
        return result
    gaps = differences(found, rule, names=PAIRED_METRICS[result.task], judged_days=result.horizon_days)
    candidates = {
        name: candidate.model_copy(update={"against_rule": gaps.get(name, {})})
        for name, candidate in result.candidates.items()
    }
    return result.model_copy(update={"candidates": candidates})
