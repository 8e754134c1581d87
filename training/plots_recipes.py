"""Pictures of every recipe side by side: metrics with their intervals, and one metric over the origins."""

from collections.abc import Iterable, Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from training.canvas import COLOURS, GREY, bars, canvas, plain
from training.scorecard import Summary, TaskResult
from training.words import kind_of, label_of


def metrics_plot(result: TaskResult, metrics: Iterable[str]) -> go.Figure:
    """Plot the metrics of every recipe with their intervals, one metric a row on a scale of its own."""
    recipes = list(result.mean_losses)
    names = [name for name in metrics if _means(result, name)]
    titles = [label_of(name) for name in names]
    figure = make_subplots(rows=len(names), cols=1, subplot_titles=titles, vertical_spacing=0.4 / len(names))
    for row, name in enumerate(names, start=1):
        for colour, recipe in zip(COLOURS, recipes, strict=False):
            found = _summary(result, recipe, name)
            if found is not None and found.mean is not None:
                figure.add_trace(_dot(recipe, found.mean, found, colour=colour), row=row, col=1)
        figure.update_xaxes(**_scale(name, _means(result, name)), nticks=6, row=row, col=1)
    figure.update_yaxes(autorange="reversed", type="category")
    figure.update_annotations(font_size=13, x=0, xanchor="left")
    return plain(figure, height=60 + len(names) * (58 + 22 * len(recipes)))


def origins_plot(result: TaskResult, metric: str) -> go.Figure:
    """Plot one metric of every recipe over the origins, with its intervals."""
    figure = canvas("origin", label_of(metric))
    for colour, recipe in zip(COLOURS, result.mean_losses, strict=False):
        found = _summary(result, recipe, metric)
        if found is None:
            continue
        known = [(day, value) for day, value in found.by_origin.items() if value is not None]
        values = np.array([value for _, value in known], dtype=np.float64)
        ends = [found.intervals_by_origin.get(day, (value, value)) for day, value in known]
        low, high = (np.array([end[side] for end in ends], dtype=np.float64) for side in (0, 1))
        trace = go.Scatter(
            x=[str(day) for day, _ in known],
            y=values,
            mode="lines+markers",
            name=recipe,
            line={"color": colour},
            error_y=bars(values, low, high),
        )
        figure.add_trace(trace)
    figure.update_xaxes(type="category")
    figure.update_yaxes(**_scale(metric, _means(result, metric)))
    return figure


def parts_plot(result: TaskResult, metrics: Sequence[str]) -> go.Figure:
    """Plot some metrics of every recipe as bars side by side, with their intervals."""
    figure = canvas("recipe", "share of purchases found")
    for colour, name in zip(COLOURS, metrics, strict=False):
        known = [
            (recipe, found.mean, found.low, found.high)
            for recipe in result.mean_losses
            if (found := _summary(result, recipe, name)) is not None and found.mean is not None
        ]
        means = np.array([mean for _, mean, _, _ in known], dtype=np.float64)
        low, high = (
            np.array([row[1] if row[side] is None else row[side] for row in known], dtype=np.float64)
            for side in (2, 3)
        )
        trace = go.Bar(
            x=[recipe for recipe, *_ in known],
            y=means,
            name=label_of(name),
            marker_color=colour,
            error_y=bars(means, low, high) | {"color": GREY},
        )
        figure.add_trace(trace)
    figure.update_layout(barmode="group")
    figure.update_xaxes(type="category")
    figure.update_yaxes(rangemode="tozero", tickformat=".0%")
    return figure


def _dot(recipe: str, mean: float, found: Summary, *, colour: str) -> go.Scatter:
    low = mean if found.low is None else found.low
    high = mean if found.high is None else found.high
    return go.Scatter(
        x=[mean],
        y=[recipe],
        mode="markers",
        marker={"color": colour, "size": 9},
        error_x=bars(np.array([mean]), np.array([low]), np.array([high])),
        hovertemplate=f"{recipe}: %{{x:.4g}} ({low:.4g} … {high:.4g})<extra></extra>",
        showlegend=False,
    )


def _means(result: TaskResult, metric: str) -> list[float]:
    """Return the means of all recipes that have one."""
    found = [_summary(result, recipe, metric) for recipe in result.mean_losses]
    return [summary.mean for summary in found if summary is not None and summary.mean is not None]


def _summary(result: TaskResult, recipe: str, metric: str) -> Summary | None:
    return result.candidates[recipe].metrics[result.horizon_days].get(metric)


def _scale(metric: str, means: Sequence[float]) -> dict[str, object]:
    """Return an axis: percentages for shares; logarithmic where one recipe would squeeze all others."""
    if kind_of(metric) != "number":
        return {"tickformat": ".0%"}
    is_wide = len(means) > 1 and min(means) > 0 and max(means) > 4 * min(means)
    ticks = [step * 10.0**power for power in range(-6, 10) for step in (1, 2, 5)]
    return {"type": "log", "tickvals": ticks, "tickformat": "~s"} if is_wide else {}
