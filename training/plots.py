"""Pictures of a back-test: calibration, gains, value by decile and recall by list length."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from features.return_curve import ReturnCurve
from training.metrics_churn import calibration_table
from training.metrics_clv import decile_table
from training.ties import shared_outcomes

COLOURS = ("#0b6e75", "#b4532a", "#6b7280", "#7c5cbf", "#3f7d20")


def calibration_plot(predictions: pd.DataFrame, *, title: str) -> Figure:
    """Plot predicted against observed churn in bins of equally many customers; the diagonal is right.

    `predictions` holds one horizon of one or more candidates, all origins pooled.
    """
    figure, axes = _canvas(title, "predicted churn", "customers who churned")
    axes.plot([0, 1], [0, 1], color="#9ca3af", linewidth=1, linestyle="--", label="perfect")
    for colour, (name, rows) in zip(COLOURS, predictions.groupby("candidate", sort=False), strict=False):
        table = calibration_table(rows["outcome"].to_numpy(float), rows["prediction"].to_numpy(float))
        axes.plot(table[:, 0], table[:, 1], marker="o", markersize=4, color=colour, label=str(name))
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.legend(frameon=False)
    return figure


def gains_plot(predictions: pd.DataFrame, *, title: str) -> Figure:
    """Plot the share of churners found against the share of customers contacted, riskiest first."""
    figure, axes = _canvas(title, "customers contacted, riskiest first", "churners found")
    axes.plot([0, 1], [0, 1], color="#9ca3af", linewidth=1, linestyle="--", label="at random")
    for colour, (name, rows) in zip(COLOURS, predictions.groupby("candidate", sort=False), strict=False):
        scores = rows["prediction"].to_numpy(float)
        ranked = shared_outcomes(rows["outcome"].to_numpy(float), scores)
        outcomes = ranked[np.argsort(-scores, kind="stable")]
        found = np.cumsum(outcomes) / max(outcomes.sum(), 1)
        axes.plot(np.arange(1, len(found) + 1) / len(found), found, color=colour, label=str(name))
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.legend(frameon=False)
    return figure


def decile_plot(predictions: pd.DataFrame, *, title: str, currency: str) -> Figure:
    """Plot predicted and actual mean spend by decile of the prediction, for one candidate."""
    figure, axes = _canvas(title, "customers, tenths by predicted spend", f"mean spend, {currency}")
    table = decile_table(predictions["outcome"].to_numpy(float), predictions["prediction"].to_numpy(float))
    positions = np.arange(1, len(table) + 1)
    axes.bar(positions - 0.2, table[:, 0], width=0.4, color=COLOURS[0], label="predicted")
    axes.bar(positions + 0.2, table[:, 1], width=0.4, color=COLOURS[1], label="actual")
    axes.set_xticks(positions)
    axes.legend(frameon=False)
    return figure


def recall_plot(recalls: Mapping[str, Mapping[int, float]], *, title: str) -> Figure:
    """Plot recall against the length of the list; `recalls` maps candidate → k → recall."""
    figure, axes = _canvas(title, "items shown", "share of purchases found")
    for colour, (name, values) in zip(COLOURS, recalls.items(), strict=False):
        axes.plot(list(values), list(values.values()), marker="o", markersize=4, color=colour, label=name)
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    return figure


def return_plot(curve: ReturnCurve, *, chance: float, title: str) -> Figure:
    """Plot the chance of coming back against the silence so far, with the recommended window."""
    within = curve.patience_days
    figure, axes = _canvas(title, "days of silence", f"share who come back within {within} days more")
    days = np.arange(curve.reach_days - within + 1)
    shares = [curve.coming_back(int(day), within_days=within) for day in days]
    axes.plot(days, [np.nan if share is None else share for share in shares], color=COLOURS[0])
    axes.axhline(chance, color="#9ca3af", linewidth=1, linestyle="--")
    window = curve.window_days(chance=chance)
    if window is not None:
        axes.axvline(window, color=COLOURS[1], linewidth=1)
        axes.annotate(f" {window} days", (window, 0.9), color=COLOURS[1])
    axes.set(ylim=(0, 1), xlim=(0, max(len(days) - 1, 1)))
    return figure


def _canvas(title: str, x_label: str, y_label: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5.2, 4.2), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
