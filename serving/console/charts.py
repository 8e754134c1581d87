"""Small pictures as SVG, drawn on the server: no script, colours of the page, words for who cannot see them.

Every function returns markup for one `<svg>`; whoever shows it gives it a caption and the figures as a table.
"""

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup, escape

_WIDTH: Final = 320
_HEIGHT: Final = 120
_PAD: Final = 6


def bars(values: Sequence[float], labels: Sequence[str], *, title: str) -> Markup:
    """Draw values (0 or more) as bars, each with its label as a tooltip."""
    top = max([*values, 0.0]) or 1.0
    step = (_WIDTH - 2 * _PAD) / max(len(values), 1)
    parts = []
    for place, (value, label) in enumerate(zip(values, labels, strict=True)):
        height = (_HEIGHT - 2 * _PAD) * max(value, 0.0) / top
        x, y = _PAD + place * step, _HEIGHT - _PAD - height
        parts.append(
            f'<rect class="mark" x="{x:.1f}" y="{y:.1f}" '
            f'width="{max(step - 2, 1):.1f}" height="{height:.1f}">'
            f"<title>{escape(label)}</title></rect>"
        )
    return _svg("".join(parts), title)


def line(
    points: Sequence[tuple[float, float]],
    *,
    title: str,
    x_max: float | None = None,
    y_max: float | None = None,
    band: Sequence[tuple[float, float, float]] = (),
) -> Markup:
    """Draw a line through points (x, y), x from 0, over a band of (x, low, high); the axis is at y = 0."""
    right = x_max or max([x for x, _ in points], default=1.0) or 1.0
    heights = [*(y for _, y in points), *(edge for _, low, high in band for edge in (low, high))]
    bottom = min([0.0, *heights])
    top = y_max or max([*heights, bottom], default=1.0)
    span = (top - bottom) or 1.0

    def place(x: float, y: float) -> str:
        across = _PAD + (_WIDTH - 2 * _PAD) * x / right
        down = _HEIGHT - _PAD - (_HEIGHT - 2 * _PAD) * (y - bottom) / span
        return f"{across:.1f},{down:.1f}"

    parts = [f'<path class="axis" d="M{place(0, 0)} L{place(right, 0)}"/>']
    if band:
        upper = [place(x, high) for x, _, high in band]
        lower = [place(x, low) for x, low, _ in reversed(band)]
        parts.append(f'<polygon class="band-area" points="{" ".join(upper + lower)}"/>')
    if points:
        x, _, y = place(*points[-1]).partition(",")
        parts.append(f'<polyline class="line" points="{" ".join(place(*point) for point in points)}"/>')
        parts.append(f'<circle class="dot" r="2.5" cx="{x}" cy="{y}"/>')
    return _svg("".join(parts), title)


def _svg(inside: str, title: str) -> Markup:
    return Markup(  # noqa: S704 - numbers of our own; every text is escaped
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(title)}">{inside}</svg>'
    )
