"""The scorecard's further sections: season, earlier scores, second orders, the formula, drivers, reasons."""

import numpy as np
import pandas as pd

from features.examples import Examples
from models.candidates import churn_candidates
from models.drivers import UnknownOutcomeError, driver_text, drivers
from models.faithfulness import faithfulness_text, measure_faithfulness, measure_stability, stability_text
from training.context import Context
from training.ledger import ledger_report
from training.ledger_report import ChurnCheck, LedgerReport
from training.metrics_churn import churn_metrics
from training.rounds import Backtest
from training.scorecard import Scorecard
from training.sections import Section, Table
from training.tiers import table_of, tier_rows
from training.words import figure_text, label_of

_DRIVERS_SHOWN = 12
_EARLY_METRICS = ("log_loss", "auc", "ece", "churned_share", "predicted_share")
_ONE_ORDER_ROWS_MIN = 30


def extra_sections(context: Context, result: Backtest, scorecard: Scorecard) -> list[Section]:
    """Return the sections that have something to tell, in the order in which they are shown."""
    found = [
        _season_section(result.newest),
        _ledger_section(ledger_report(context)),
        _second_order_section(context, result, scorecard),
        _tier_section(context, scorecard),
        _driver_section(context, result.newest),
        _reason_section(context, result, scorecard),
    ]
    return [section for section in found if section is not None]


def _season_section(newest: Examples | None) -> Section | None:
    if newest is None or not newest.is_first_season:
        return None
    return Section(
        title="A first season",
        text="The shop has not lived through this time of the year yet, so its models expect of it what "
        "retail at large does then (churn.retail_year). Ranking suffers little; levels (how many will order, "
        "how much in all) may be off by a third where the shop's own high season begins. The intervals of "
        "money are widened by how much the level of the shop has moved so far.",
    )


def _ledger_section(report: LedgerReport) -> Section | None:
    if not report.runs:
        return None
    rows = [(str(check.run.as_of), *_said_and_came(one)) for check in report.runs for one in check.churn] + [
        ("all together", *_said_and_came(one)) for one in report.churn
    ]
    if not rows:
        waiting = min((day for check in report.runs for day in check.waiting.values()), default=None)
        if waiting is None:
            return None
        return Section(
            title="What we said, and what came",
            text=f"{len(report.runs)} published score runs wait for their horizons to pass; the first can be "
            f"graded from {waiting} on.",
        )
    return Section(
        title="What we said, and what came",
        text="Every published score is kept and graded when its horizon has passed.",
        table=Table(("run", "horizon", "said would not order", "did not", "customers", "ECE"), rows),
    )


def _said_and_came(check: ChurnCheck) -> tuple[str, ...]:
    said, came = f"{check.predicted_share:.1%}", f"{check.churned_share:.1%}"
    return f"{check.horizon_days} days", said, came, f"{check.customer_count:,}", f"{check.ece:.3f}"


def _second_order_section(context: Context, result: Backtest, scorecard: Scorecard) -> Section | None:
    """Judge every churn recipe on the customers who had ordered once: theirs is the first repeat order."""
    churn = scorecard.tasks["churn"]
    if churn.winner is None:
        return None
    once = result.churn["order_count"] == 1
    rows = result.churn[once & (result.churn["horizon_days"] == context.headline_days)]
    if len(rows[rows["candidate"] == churn.winner]) < _ONE_ORDER_ROWS_MIN:
        return None
    names = [name for name in churn.mean_losses if name in set(rows["candidate"])]
    cells = [(name, *_early_cells(rows[rows["candidate"] == name])) for name in names]
    count = rows.loc[rows["candidate"] == churn.winner, "customer_id"].nunique()
    return Section(
        title="Customers with one order",
        text="Whether a second order comes is the hardest question, so it is judged apart: "
        f"{count:,} customers who had ordered once, {context.headline_days} days, means over the origins.",
        table=Table(("recipe", *map(label_of, _EARLY_METRICS)), cells, marked=frozenset({0})),
    )


def _early_cells(rows: pd.DataFrame) -> list[str]:
    by_origin = [
        churn_metrics(part["outcome"].to_numpy(np.float64), part["prediction"].to_numpy(np.float64))
        for _, part in rows.groupby("origin")
    ]
    return [figure_text(name, _mean_known([found[name] for found in by_origin])) for name in _EARLY_METRICS]


def _mean_known(values: list[float]) -> float | None:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else None


def _tier_section(context: Context, scorecard: Scorecard) -> Section | None:
    """Set the formula of the trade beside what won, by RFM tier, both with their errors on the past."""
    result = scorecard.tasks["clv"]
    if not result.groups or result.winner is None:
        return None
    winner, table = result.winner, table_of(result.groups)
    return Section(
        title="The formula beside the model",
        text="The formula (average order value × purchase frequency × lifespan) goes on as if nobody left. "
        f"Spend within {context.headline_days} days, {scorecard.currency} a customer; off by: of the group's "
        "total; error: mean absolute.",
        table=Table(
            ("group", "customers", "came", "formula", "off by", "error", winner, "off by", "error"),
            tier_rows(table),
        ),
    )


def _driver_section(context: Context, newest: Examples | None) -> Section | None:
    if newest is None:
        return None
    try:
        found = drivers(newest, horizon_days=context.headline_days, seed=context.settings.seed)
    except UnknownOutcomeError:
        return None
    if not found:
        return None
    lines = "\n\n".join(f"{driver_text(driver)}." for driver in found[:_DRIVERS_SHOWN])
    return Section(
        title="What goes with churn here",
        text=f"Beyond chance, over past snapshots (Holm, 1 %). Associations, not causes.\n\n{lines}",
    )


def _reason_section(context: Context, result: Backtest, scorecard: Scorecard) -> Section | None:
    """Test the winner's reasons: they must matter, and much the same ones be told after the next training."""
    winner, newest = scorecard.tasks["churn"].winner, result.newest
    if newest is None or winner is None or scorecard.tasks["churn"].candidates[winner].method != "ml":
        return None
    days, seed = context.headline_days, context.settings.seed
    # What it learns by boosting was learnt at these origins already, and is shared.
    churn = churn_candidates(context.settings)[winner].fit(newest)
    matters = measure_faithfulness(churn, newest.judged, horizon_days=days, seed=seed)
    if matters is None:
        return None
    text = f"{faithfulness_text(matters)}."
    if result.previous is not None:
        before = churn_candidates(context.settings)[winner].fit(result.previous)
        stays = measure_stability(before, churn, newest.judged, horizon_days=days, seed=seed)
        if stays is not None:
            dates = f"{result.previous.origin.date} and of {newest.origin.date}"
            text += f"\n\nOf the trainings as of {dates}, {stability_text(stays)}."
    return Section(title="Do the reasons matter", text=text)
