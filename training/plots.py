"""Pictures of a back-test, as plotly figures: calibration, gains, value, intervals, totals, lists.

Figures carry no title (the page and MLflow's copies add it), no colours of a scheme (light or dark) and no
customer. Titles and words stand in `training.pictures`.
"""

from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from features.return_curve import ReturnCurve
from training.canvas import COLOURS, GREY, bars, binomial_interval, canvas, line
from training.metrics_churn import calibration_table
from training.metrics_clv import decile_table
from training.scorecard import CoverageRow, Total
from training.ties import shared_outcomes

Floats = npt.NDArray[np.float64]

_CURVE_POINTS = 101


def calibration_plot(predictions: pd.DataFrame) -> go.Figure:
    """Plot predicted against observed churn of one recipe, in tenths of customers; the diagonal is right.

    `predictions` are of one horizon: all origins pooled with binomial intervals, and each origin thin.
    """
    figure = canvas("predicted churn", "customers who churned")
    line(figure, [0, 1], [0, 1], name="right")
    for colour, (origin, rows) in zip(COLOURS[1:], predictions.groupby("origin", sort=True), strict=False):
        trace = _calibration(rows, str(origin))
        figure.add_trace(trace.update(mode="lines", opacity=0.7, line={"color": colour, "width": 1}))
    pooled = _calibration(predictions, "all origins")
    low, high = binomial_interval(np.asarray(pooled.y), np.asarray(pooled.customdata))
    pooled.update(mode="lines+markers", line={"color": COLOURS[0], "width": 2}, marker={"size": 8})
    figure.add_trace(pooled.update(error_y=bars(np.asarray(pooled.y), low, high)))
    figure.update_xaxes(range=[0, 1], tickformat=".0%")
    figure.update_yaxes(range=[0, 1], tickformat=".0%")
    return figure


def gains_plot(predictions: pd.DataFrame) -> go.Figure:
    """Plot the share of churners found against the share of customers contacted, riskiest first."""
    figure = canvas("customers contacted, riskiest first", "churners found")
    line(figure, [0, 1], [0, 1], name="at random")
    for colour, (name, rows) in zip(COLOURS, predictions.groupby("candidate", sort=False), strict=False):
        shares, found = gains(rows["outcome"].to_numpy(float), rows["prediction"].to_numpy(float))
        lift = np.divide(found, shares, out=np.ones_like(found), where=shares > 0)
        trace = go.Scatter(
            x=shares,
            y=found,
            mode="lines",
            name=str(name),
            line={"color": colour},
            customdata=lift,
            hovertemplate="%{x:.0%} contacted, %{y:.0%} found, lift %{customdata:.2f}",
        )
        figure.add_trace(trace)
    figure.update_xaxes(range=[0, 1], tickformat=".0%")
    figure.update_yaxes(range=[0, 1.01], tickformat=".0%")
    return figure


def gains(outcomes: Floats, probabilities: Floats) -> tuple[Floats, Floats]:
    """Return shares of customers, riskiest first, and the shares of all churners among them.

    >>> gains(np.array([0.0, 1.0]), np.array([0.2, 0.9]))[1][[0, 50, 100]].tolist()
    [0.0, 1.0, 1.0]
    """
    ranked = shared_outcomes(outcomes, probabilities)[np.argsort(-probabilities, kind="stable")]
    found = np.concatenate([[0.0], np.cumsum(ranked) / max(ranked.sum(), 1e-9)])
    places = np.linspace(0, 1, _CURVE_POINTS)
    return places, np.interp(places, np.linspace(0, 1, len(found)), found)


def decile_plot(predictions: pd.DataFrame, *, currency: str) -> go.Figure:
    """Plot predicted and actual mean spend by tenth of the prediction, for one recipe and all origins."""
    figure = canvas("tenths of customers by predicted spend", f"mean spend, {currency}")
    table = decile_table(predictions["outcome"].to_numpy(float), predictions["prediction"].to_numpy(float))
    places = np.arange(1, len(table) + 1)
    for column, (name, colour) in enumerate(zip(("predicted", "actual"), COLOURS, strict=False)):
        figure.add_trace(go.Bar(x=places, y=table[:, column], name=name, marker_color=colour))
    figure.update_layout(barmode="group")
    figure.update_xaxes(dtick=1)
    return figure


def coverage_plot(coverage: Sequence[CoverageRow]) -> go.Figure:
    """Plot how often intervals held by tenth of predicted spend; the bands are where they should lie."""
    figure = canvas("tenths of customers by predicted spend", "share of customers")
    for low, high, colour in ((0.77, 0.83, COLOURS[0]), (0.07, 0.13, COLOURS[1])):
        figure.add_hrect(y0=low, y1=high, fillcolor=colour, opacity=0.18, line_width=0)
    series = (
        ("buyers inside", "buyers_inside_share", "buyer_count", COLOURS[0]),
        ("above p90", "above_high_share", "positive_high_count", COLOURS[1]),
        ("p10 to p90", "inside_share", "customer_count", GREY),
    )
    for name, share, count, colour in series:
        known = [row for row in coverage if getattr(row, share) is not None]
        shares = np.array([getattr(row, share) for row in known], dtype=np.float64)
        counts = np.array([getattr(row, count) for row in known], dtype=np.float64)
        trace = go.Scatter(
            x=[row.decile for row in known],
            y=shares,
            mode="lines+markers",
            name=name,
            line={"color": colour},
            error_y=bars(shares, *binomial_interval(shares, counts)),
            customdata=counts,
            hovertemplate="%{y:.1%} of %{customdata:,}",
        )
        figure.add_trace(trace)
    figure.update_xaxes(dtick=1)
    figure.update_yaxes(range=[0, 1.02], tickformat=".0%")
    return figure


def totals_plot(totals: Mapping[str, Mapping[date, Total]], *, currency: str) -> go.Figure:
    """Plot the predicted totals of recipes beside the actual one, by origin."""
    figure = canvas("origin", f"total of all customers, {currency}")
    first = next(iter(totals.values()))
    days = [str(day) for day in sorted(first)]
    actual = [first[day].actual for day in sorted(first)]
    figure.add_trace(go.Bar(x=days, y=actual, name="actual", marker_color=GREY))
    for colour, (name, found) in zip(COLOURS, totals.items(), strict=False):
        predicted = [found[day].predicted for day in sorted(found)]
        figure.add_trace(go.Bar(x=days, y=predicted, name=f"predicted: {name}", marker_color=colour))
    figure.update_layout(barmode="group")
    figure.update_xaxes(type="category")
    return figure


def recall_plot(recalls: Mapping[str, Mapping[int, float]]) -> go.Figure:
    """Plot recall against the length of the list; `recalls` maps candidate → k → recall."""
    figure = canvas("items shown", "share of purchases found")
    for colour, (name, values) in zip(COLOURS, recalls.items(), strict=False):
        trace = go.Scatter(
            x=list(values), y=list(values.values()), mode="lines+markers", name=name, line={"color": colour}
        )
        figure.add_trace(trace)
    figure.update_yaxes(rangemode="tozero", tickformat=".0%")
    return figure


def return_plot(curve: ReturnCurve, *, chance: float) -> go.Figure:
    """Plot the chance of coming back against the silence so far, with the recommended window."""
    within = curve.patience_days
    figure = canvas("days of silence", f"share who come back within {within} days more")
    days = list(range(curve.reach_days - within + 1))
    shares = [curve.coming_back(day, within_days=within) for day in days]
    figure.add_trace(go.Scatter(x=days, y=shares, mode="lines", name="come back", line={"color": COLOURS[0]}))
    line(figure, [0, max(len(days) - 1, 1)], [chance, chance], name=f"{chance:.0%}")
    window = curve.window_days(chance=chance)
    if window is not None:
        figure.add_vline(x=window, line_color=COLOURS[1], annotation_text=f"{window} days")
    figure.update_yaxes(range=[0, 1], tickformat=".0%")
    return figure


def _calibration(rows: pd.DataFrame, name: str) -> go.Scatter:
    table = calibration_table(rows["outcome"].to_numpy(float), rows["prediction"].to_numpy(float))
    return go.Scatter(
        x=table[:, 0],
        y=table[:, 1],
        name=name,
        customdata=table[:, 2],
        hovertemplate="said %{x:.1%}, came %{y:.1%}, n = %{customdata:,}",
    )
