"""Which pictures a back-test shows: each with a title, its content in words, and its numbers as a table."""

import numpy as np
import pandas as pd

from models.registry_names import Task
from training.canvas import binomial_interval
from training.list_tables import PARTS
from training.metrics_churn import calibration_table
from training.plots import (
    calibration_plot,
    coverage_plot,
    decile_plot,
    gains,
    gains_plot,
    recall_plot,
    totals_plot,
)
from training.plots_recipes import metrics_plot, origins_plot, parts_plot
from training.rounds import Backtest
from training.scorecard import Scorecard, TaskResult
from training.sections import Picture, Table
from training.tables import coverage_table, metrics_table, totals_table
from training.words import label_of, percent_text

Figures = dict[Task, list[Picture]]

DOTTED: dict[Task, tuple[str, ...]] = {
    "churn": ("log_loss", "auc", "ece", "calibration_slope", "lift_top_decile"),
    "clv": ("deviance", "normalised_gini", "rmse", "total_bias", "decile_error"),
    "recommender": ("ndcg_at_10", "recall_at_10", "hit_at_10", "mrr_at_10"),
}
"""Metrics of the picture that sets the recipes side by side."""
LOSS_METRICS: dict[Task, str] = {"churn": "log_loss", "clv": "deviance", "recommender": "ndcg_at_10"}


def draw_figures(scorecard: Scorecard, result: Backtest) -> Figures:
    """Draw the pictures of every task that was judged: the winner beside the best simple rule."""
    drawn: Figures = {task: [] for task in ("churn", "clv", "recommender")}
    churn, clv, lists = (scorecard.tasks[task] for task in ("churn", "clv", "recommender"))
    if churn.winner:
        drawn["churn"] = [*_churn(result.churn, churn), *_all_recipes(churn)]
    if clv.winner:
        drawn["clv"] = [*_value(result.clv, clv, scorecard.currency), *_all_recipes(clv)]
    if lists.winner:
        drawn["recommender"] = [*_recall(result, lists), *_parts(lists), *_all_recipes(lists)]
    return drawn


def _churn(predictions: pd.DataFrame, result: TaskResult) -> list[Picture]:
    rows = _shown(predictions, result)
    winner = rows[rows["candidate"] == result.winner]
    days = result.horizon_days
    return [
        Picture(
            "calibration",
            title=f"Said and came: {result.winner}, {days} days",
            alt="Observed churn by tenth of predicted churn, with 95 % intervals; the diagonal is right.",
            figure=calibration_plot(winner),
            numbers=_calibration_numbers(winner),
        ),
        Picture(
            "gains",
            title=f"Churners found by who is contacted, {days} days",
            alt="Share of all churners found against the share of customers contacted, riskiest first.",
            figure=gains_plot(rows),
            numbers=_gains_numbers(rows),
        ),
    ]


def _value(predictions: pd.DataFrame, result: TaskResult, currency: str) -> list[Picture]:
    rows = _shown(predictions, result)
    winner = rows[rows["candidate"] == result.winner]
    shown = {name: result.totals[name] for name in rows["candidate"].unique()}
    intervals = Picture(
        "coverage",
        title=f"Did the ranges hold? {result.winner}",
        alt="Share of buyers within their range and of customers above their 90th percentile, by tenth of "
        "predicted spend; the bands are 77 to 83 % and 7 to 13 %.",
        figure=coverage_plot(result.coverage),
        numbers=coverage_table(result),
    )
    return [
        Picture(
            "deciles",
            title=f"Predicted and actual spend by tenth: {result.winner}, {result.horizon_days} days",
            alt="Mean predicted and mean actual spend of customers in tenths by predicted spend.",
            figure=decile_plot(winner, currency=currency),
            numbers=coverage_table(result),
        ),
        *([intervals] if result.coverage else []),
        Picture(
            "totals",
            title="The total of all customers, predicted and actual",
            alt="Bars of the actual and the predicted total of all customers at each origin.",
            figure=totals_plot(shown, currency=currency),
            numbers=totals_table(result, currency=currency),
        ),
    ]


def _recall(result: Backtest, lists: TaskResult) -> list[Picture]:
    # In the order of the other pictures, so that a recipe has one colour.
    recalls = {name: result.recalls[name] for name in lists.mean_losses if name in result.recalls}
    if not recalls:
        return []
    steps = list(next(iter(recalls.values())))
    rows = [(name, *(percent_text(found[k]) for k in steps)) for name, found in recalls.items()]
    return [
        Picture(
            "recall",
            title=f"Purchases found by length of the list, {lists.horizon_days} days, newest origin",
            alt="Share of purchases that were among the items shown, by the number of items shown.",
            figure=recall_plot(recalls),
            numbers=Table(("recipe", *(f"{k} items" for k in steps)), rows),
        )
    ]


def _parts(lists: TaskResult) -> list[Picture]:
    numbers = metrics_table(lists, names=PARTS)
    if all(cell == "–" for row in numbers.rows for cell in row[2:]):
        return []
    return [
        Picture(
            "parts",
            title="Purchases found: of what was bought before, and of what was new",
            alt="Bars a recipe: recall at 10 of items that the customer had bought before the origin, and of "
            "items that were new to the customer, with 95 % intervals.",
            figure=parts_plot(lists, PARTS),
            numbers=numbers,
        )
    ]


def _all_recipes(result: TaskResult) -> list[Picture]:
    metric = LOSS_METRICS[result.task]
    label = label_of(metric)
    return [
        Picture(
            "origins",
            title=f"{label[0].upper()}{label[1:]} from origin to origin",
            alt=f"{label} of every recipe at each origin, with 95 % intervals.",
            figure=origins_plot(result, metric),
        ),
        Picture(
            "metrics",
            title="Every recipe beside the simple rules",
            alt="Mean of each metric over the origins with its 95 % interval, one dot a recipe.",
            figure=metrics_plot(result, DOTTED[result.task]),
        ),
    ]


def _calibration_numbers(rows: pd.DataFrame) -> Table:
    cells = _calibration_cells("all", rows)
    for origin, part in rows.groupby("origin", sort=True):
        cells += _calibration_cells(str(origin), part)
    return Table(("origin", "said", "came", "95 % interval", "customers"), cells)


def _calibration_cells(name: str, rows: pd.DataFrame) -> list[tuple[str, ...]]:
    table = calibration_table(rows["outcome"].to_numpy(float), rows["prediction"].to_numpy(float))
    low, high = binomial_interval(table[:, 1], table[:, 2])
    return [
        (
            name,
            percent_text(said),
            percent_text(came),
            f"{percent_text(below)} … {percent_text(above)}",
            f"{int(count):,}",
        )
        for (said, came, count), below, above in zip(table, low, high, strict=True)
    ]


def _gains_numbers(rows: pd.DataFrame) -> Table:
    steps = range(10, 101, 10)
    cells = []
    for name, part in rows.groupby("candidate", sort=False):
        _, found = gains(part["outcome"].to_numpy(np.float64), part["prediction"].to_numpy(np.float64))
        cells.append((str(name), *(percent_text(found[step]) for step in steps)))
    return Table(("contacted", *(f"{step} %" for step in steps)), cells, caption="Churners found")


def _shown(predictions: pd.DataFrame, result: TaskResult) -> pd.DataFrame:
    names = [result.winner] + ([result.against_rule.rival] if result.against_rule else [])
    rows = predictions[predictions["horizon_days"] == result.horizon_days]
    return pd.concat([rows[rows["candidate"] == name] for name in names])
