"""`make evaluate`: refit every recipe at rolling origins, judge it, and write the scorecard.

    python -m training.backtest [--as-of 2011-09-10] [--horizon 90] [--var var]

Writes `VAR/backtest/*.parquet` (the stored predictions) and `VAR/reports/scorecard.{json,txt,html}`, and
attaches scorecard, metrics and plots to the challengers' MLflow runs.
"""

import sys
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from features.console import Announce, progress, run_command
from features.examples import Examples
from features.layout import Layout
from features.once import Once
from features.settings import load_settings
from features.snapshot import Snapshot
from models.candidates import churn_candidates, clv_candidates, recommender_candidates
from models.recommender.material import build_material
from models.registry_names import Task
from training import verdicts
from training.attach import attach_scorecard
from training.context import Context, open_context
from training.extras import extra_sections
from training.incumbents import INCUMBENT, standing_recipes
from training.list_truth import read_purchases
from training.origins import rolling_origins
from training.pages import draw_figures, write_scorecard
from training.parallel import side_by_side
from training.recommender_rounds import RecommenderRound, recommender_round
from training.rounds import Backtest, churn_round, clv_round, pivot
from training.scorecard import Scorecard, TaskResult
from training.texts import scorecard_text
from training.tiers import with_groups
from training.tracking import connect, git_revision


def run_backtest(context: Context, announce: Announce, *, with_lists: bool = True) -> Backtest:
    """Refit and judge every recipe of every task at the rolling origins that the history allows."""
    needed = context.settings.churn.supported_snapshots_min
    result = Backtest(_origins(context, horizon_days=context.headline_days, snapshots_min=needed))
    # Nothing here names the examples: they are the largest part, and the lists need their room.
    _judge_clv(context, result, _judge_churn(context, result, announce), announce)
    if with_lists:
        _judge_recommender(context, result, announce)
    return result


def _origins(
    context: Context, *, horizon_days: int, snapshots_min: int, spacing_days: int | None = None
) -> list[date]:
    return rolling_origins(
        context.as_of.date,
        first_order_date=context.first_order_date,
        headline_days=horizon_days,
        origin_count=context.settings.backtest.origin_count,
        history_days_min=context.settings.churn.history_days_min,
        snapshots_min=snapshots_min,
        spacing_days=spacing_days,
    )


def _judge_churn(context: Context, result: Backtest, announce: Announce) -> dict[date, Examples]:
    def judge(origin: date) -> tuple[Examples, pd.DataFrame, dict[str, str]]:
        announce(f"churn as of {origin}")
        snapshot = _at(context, origin)
        examples = context.builder.examples(snapshot, headline_days=context.headline_days)
        horizons = _known_horizons(context, examples)
        if context.headline_days not in horizons:
            return examples, pd.DataFrame(), {}
        outcomes = context.builder.outcomes(snapshot, horizons_days=horizons, known_until=context.as_of)
        candidates = churn_candidates(context.settings) | _incumbent(context, "churn")
        return examples, *churn_round(candidates, examples, outcomes, horizons=horizons)

    rounds = side_by_side(judge, result.origins)
    result.churn = _collect("churn", result, [(table, left_out) for _, table, left_out in rounds])
    shared = set(result.churn["origin"]) if len(result.churn) else set()
    found = zip(result.origins, rounds, strict=True)
    kept = {origin: examples for origin, (examples, _, _) in found if origin in shared}
    result.previous, result.newest = [None, None, *(kept[origin] for origin in sorted(kept))][-2:]
    return kept


def _judge_clv(context: Context, result: Backtest, kept: dict[date, Examples], announce: Announce) -> None:
    """Judge value with the order probabilities of the churn recipe that won, as scoring will use them."""
    winner = verdicts.churn_verdict(context, result.churn)
    if winner is None:
        return
    chosen = winner.winner

    def judge(origin: date) -> tuple[pd.DataFrame, dict[str, str]]:
        announce(f"value as of {origin}")
        examples = kept[origin]
        horizons = _known_horizons(context, examples)
        outcomes = context.builder.outcomes(
            _at(context, origin), horizons_days=horizons, known_until=context.as_of
        )
        orders = 1 - pivot(result.churn, chosen, origin).reindex(examples.judged.index)
        candidates = clv_candidates(context.settings) | _incumbent(context, "clv")
        return clv_round(candidates, examples, outcomes, order_probability=orders[list(horizons)])

    result.clv = _collect("clv", result, side_by_side(judge, kept))


def _judge_recommender(context: Context, result: Backtest, announce: Announce) -> None:
    # A window apart, one origin's rehearsals are the origins before it: what both need is made once.
    days, past = context.settings.recommender.outcome_days, Once()

    def judge(origin: date) -> RecommenderRound:
        announce(f"recommendations as of {origin}")
        return _recommender_round(context, _at(context, origin), past)

    origins = _origins(context, horizon_days=days, snapshots_min=1, spacing_days=days)
    rounds = side_by_side(judge, origins)
    result.recommender = _collect(
        "recommender", result, [(found.metrics, found.left_out) for found in rounds]
    )
    for found in rounds:
        result.exposures |= found.exposures
    if rounds:
        result.recalls, result.undefined = rounds[-1].recalls, rounds[-1].undefined


def _collect(
    task: Task, result: Backtest, rounds: Sequence[tuple[pd.DataFrame, dict[str, str]]]
) -> pd.DataFrame:
    """Note who was left out of a task's rounds, and return what can be compared as one table."""
    for _, left_out in rounds:
        result.left_out[task] |= left_out
    tables = [table for table, _ in rounds if len(table)]
    rows = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
    kept = verdicts.judged(rows)
    if len(kept) and INCUMBENT in set(rows["candidate"]) - set(kept["candidate"]):
        result.left_out[task].setdefault(INCUMBENT, "it cannot be fitted at every origin of the others")
    return kept


def _recommender_round(context: Context, origin: Snapshot, past: Once) -> RecommenderRound:
    settings = context.settings
    material = build_material(context.history, origin, settings=settings, past=past)
    purchases = read_purchases(context.history, origin, outcome_days=settings.recommender.outcome_days)
    return recommender_round(recommender_candidates(settings), material, purchases)


def _at(context: Context, origin: date) -> Snapshot:
    return Snapshot(origin, context.as_of.time_zone, context.as_of.observation_days)


def _incumbent(context: Context, task: Task) -> dict[str, Any]:
    """Return a fresh copy of the standing champion's recipe under its name here, or nothing."""
    recipe = context.incumbents.get(task)
    return {} if recipe is None else {INCUMBENT: copy(recipe)}


def _known_horizons(context: Context, examples: Examples) -> tuple[int, ...]:
    """Return the horizons whose outcome at this origin is over on AS_OF, and not hidden by a hole."""
    return tuple(
        horizon
        for horizon in examples.horizons_days
        if examples.origin.outcome_end_days(horizon) <= context.as_of.end_days
        and not context.builder.is_hidden(examples.origin, horizon, context.as_of)
    )


def build_scorecard(context: Context, result: Backtest) -> Scorecard:
    """Summarise a back-test and decide every task."""
    return Scorecard(
        as_of=context.as_of.date,
        headline_days=context.headline_days,
        data_hash=context.history.manifest.data_hash,
        recipe_hash=context.settings.recipe_hash,
        git_revision=git_revision(),
        currency=context.history.manifest.currency,
        clv_basis=context.settings.shop.clv_basis,
        created_at=datetime.now(UTC),
        tasks=_results(context, result),
    )


def _results(context: Context, result: Backtest) -> dict[Task, TaskResult]:
    left_out = result.left_out
    judges: dict[Task, Callable[[], TaskResult]] = {
        "churn": lambda: verdicts.churn_result(context, result.churn, left_out["churn"]),
        "clv": lambda: with_groups(
            verdicts.clv_result(context, result.clv, left_out["clv"]), result.clv, context
        ),
        "recommender": lambda: verdicts.recommender_result(
            context,
            result.recommender,
            left_out["recommender"],
            exposures=result.exposures,
            undefined=result.undefined,
        ),
    }
    return dict(zip(judges, side_by_side(lambda judge: judge(), judges.values()), strict=True))


def store_predictions(layout: Layout, result: Backtest) -> None:
    """Write the stored predictions of a back-test, replacing the last one's."""
    layout.backtest.mkdir(parents=True, exist_ok=True)
    tables = {"churn": result.churn, "clv": result.clv, "recommender": result.recommender}
    for task, table in tables.items():
        table.to_parquet(layout.backtest / f"{task}.parquet", index=False)


def _command(
    *,
    as_of: Annotated[str | None, typer.Option(help="as if that day were today (ISO date)")] = None,
    horizon: Annotated[int | None, typer.Option(help="headline horizon, in days", min=1, max=730)] = None,
    var: Annotated[Path, typer.Option(envvar="VAR", help="where everything that is written lies")] = Path(
        "var"
    ),
) -> None:
    """Back-test every candidate on rolling origins, beside the simple rules."""
    layout = Layout(var)
    context = open_context(layout, load_settings(), as_of=as_of, headline_days=horizon, is_sampled=True)
    client = connect(layout)
    context = replace(context, incumbents=standing_recipes(client, context))
    with progress("evaluate", total=3 * context.settings.backtest.origin_count + 1) as announce:
        result = run_backtest(context, announce)
        announce("scorecard")
        scorecard = build_scorecard(context, result)
        store_predictions(layout, result)
        figures, extra = draw_figures(scorecard, result), extra_sections(context, result, scorecard)
        write_scorecard(layout, scorecard, figures, extra=extra)
        attached = attach_scorecard(client, layout, scorecard, figures)
    sys.stdout.write(context.warning + scorecard_text(scorecard, extra))
    where = f"{layout.reports / 'scorecard.html'}"
    sys.stdout.write(f"\nwritten to {where}; attached to {attached} MLflow runs\n")


if __name__ == "__main__":
    run_command(_command)
