"""What every picture is drawn on: colours and grids that can be read on light and on dark, error bars."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

Floats = npt.NDArray[np.float64]

COLOURS = ("#0f8b8d", "#d0632f", "#7d8796", "#8b6fd6", "#4f9d45", "#c2477f", "#b08a1e", "#3f7fd0")
GREY = "#8a94a3"
_Z95 = 1.959964


def binomial_interval(shares: Floats, counts: Floats) -> tuple[Floats, Floats]:
    """Return the 95 % interval of observed shares of so many (Wilson 1927).

    >>> low, high = binomial_interval(np.array([0.5]), np.array([100.0]))
    >>> round(float(low[0]), 3), round(float(high[0]), 3)
    (0.404, 0.596)
    """
    counts = np.maximum(counts, 1e-9)
    scale = 1 + _Z95**2 / counts
    middle = (shares + _Z95**2 / (2 * counts)) / scale
    half = _Z95 / scale * np.sqrt(shares * (1 - shares) / counts + _Z95**2 / (4 * counts**2))
    return np.maximum(middle - half, 0.0), np.minimum(middle + half, 1.0)


def bars(values: Floats, low: Floats, high: Floats) -> dict[str, object]:
    """Return error bars; a value outside its interval has none on that side."""
    up, down = np.maximum(high - values, 0.0), np.maximum(values - low, 0.0)
    return {"type": "data", "symmetric": False, "array": up, "arrayminus": down, "thickness": 1.5, "width": 3}


def line(figure: go.Figure, x: Sequence[float], y: Sequence[float], *, name: str) -> None:
    """Draw a dashed line to compare with."""
    style = {"color": GREY, "width": 1, "dash": "dash"}
    figure.add_trace(go.Scatter(x=x, y=y, mode="lines", name=name, line=style, hoverinfo="skip"))


def canvas(x_label: str, y_label: str) -> go.Figure:
    """Return an empty figure with its axes named."""
    figure = go.Figure()
    figure.update_xaxes(title_text=x_label)
    figure.update_yaxes(title_text=y_label)
    return plain(figure, height=380)


def plain(figure: go.Figure, *, height: int) -> go.Figure:
    """Return the figure without a template, in colours that can be read on light and on dark."""
    faint = "rgba(138,148,163,0.28)"
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 8, "r": 8, "t": 24, "b": 8},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 12, "color": "#6b7280"},
        legend={"orientation": "h", "y": -0.2, "yanchor": "top", "x": 0},
        dragmode=False,
    )
    figure.update_xaxes(
        automargin=True, gridcolor=faint, zerolinecolor=faint, linecolor=faint, fixedrange=True
    )
    figure.update_yaxes(
        automargin=True, gridcolor=faint, zerolinecolor=faint, linecolor=faint, fixedrange=True
    )
    return figure
