"""The cost curve as one SVG picture that reads on light and on dark: log-log, time, memory, engines."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from benchmarks.scale_curve import ENGINE_STEPS, WORDS, Book, Cost, whole_curve

WIDTH, HEIGHT = 1080, 490
_PANEL_WIDTH, _PANEL_HEIGHT, _TOP, _LEFT, _STEP = 270, 270, 46, 62, 350
_LEGEND_LINE = 17
_COLOURS = ("#0f8b8d", "#d0632f", "#8b6fd6", "#4f9d45", "#c2477f", "#b08a1e", "#3f7fd0")
_DASHES = ("", "6 3", "2 3", "8 3 2 3", "1 4", "10 4", "4 2")
_STYLE = """<style>
  svg { font: 12px system-ui, sans-serif; }
  text { fill: #3a4350; } .title { font-weight: 600; font-size: 13px; }
  .grid { stroke: #8a94a3; stroke-opacity: .3; } .frame { fill: none; stroke: #8a94a3; }
  .curve { fill: none; stroke-width: 2; } .back { fill: #ffffff; }
  @media (prefers-color-scheme: dark) { text { fill: #d7dde6; } .back { fill: #14181f; } }
</style>"""


@dataclass(frozen=True, slots=True)
class Curve:
    """One named line of a panel: (lines, value) points."""

    name: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Panel:
    """One log-log panel."""

    title: str
    unit: str
    curves: tuple[Curve, ...]


def panels(book: Book) -> list[Panel]:
    """Return the three panels: seconds by step, memory by step, seconds by engine."""
    steps = ("ingest", "features", "labels", "material", "train", "score")
    costs = {WORDS[step]: book.of(step) for step in steps}
    by_engine = {
        f"{WORDS[step]}, {engine}": book.of(step, engine)
        for step in ENGINE_STEPS
        for engine in ("polars", "duckdb", "pyspark")
        if step == "features" or engine == "pyspark"
    }
    return [
        Panel("Time by step", "seconds", _curves({**costs, "file to scores": whole_curve(book)}, "seconds")),
        Panel("Peak memory by step", "GiB", _curves(costs, "gigabytes")),
        Panel("Time by engine", "seconds", _curves(by_engine, "seconds")),
    ]


def picture(book: Book) -> str:
    """Return the SVG of everything measured; the same costs give the same bytes."""
    drawn = "".join(_panel(panel, _LEFT + number * _STEP) for number, panel in enumerate(panels(book)))
    title = "Time and peak memory against order lines, both axes logarithmic"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">'
        f'<title>{title}</title>{_STYLE}<rect class="back" width="{WIDTH}" height="{HEIGHT}"/>{drawn}</svg>\n'
    )


def decades(values: Sequence[float]) -> tuple[int, int]:
    """Return the powers of ten that enclose positive values, at least one decade apart.

    >>> decades([3.0, 250.0]), decades([10.0]), decades([])
    ((0, 3), (1, 2), (0, 1))
    """
    found = [value for value in values if value > 0]
    if not found:
        return 0, 1
    low, high = math.floor(math.log10(min(found))), math.ceil(math.log10(max(found)))
    return low, max(high, low + 1)


def place(value: float, span: tuple[int, int], *, start: float, length: float) -> float:
    """Return where a value stands on a logarithmic axis.

    >>> place(100.0, (0, 4), start=10.0, length=200.0)
    110.0
    """
    low, high = span
    return round(start + length * (math.log10(value) - low) / (high - low), 1)


def _curves(costs: dict[str, list[Cost]], field: str) -> tuple[Curve, ...]:
    found = {
        name: tuple((cost.line_count, getattr(cost, field)) for cost in each if getattr(cost, field) > 0)
        for name, each in costs.items()
    }
    return tuple(Curve(name, points) for name, points in found.items() if points)


def _panel(panel: Panel, left: int) -> str:
    points = [point for curve in panel.curves for point in curve.points]
    across, up = decades([x for x, _ in points]), decades([y for _, y in points])
    middle, bottom = left + _PANEL_WIDTH / 2, _TOP + _PANEL_HEIGHT
    texts = [
        f'<text class="title" x="{left}" y="{_TOP - 16}">{escape(panel.title)}</text>',
        f'<text x="{middle}" y="{bottom + 34}" text-anchor="middle">order lines</text>',
        f'<text transform="translate({left - 46} {_TOP + _PANEL_HEIGHT / 2}) rotate(-90)" '
        f'text-anchor="middle">{panel.unit}</text>',
        f'<rect class="frame" x="{left}" y="{_TOP}" width="{_PANEL_WIDTH}" height="{_PANEL_HEIGHT}"/>',
    ]
    drawn = [_drawn(curve, number, across, up, left) for number, curve in enumerate(panel.curves)]
    return "".join([*texts, *_grid(across, up, left), *drawn])


def _grid(across: tuple[int, int], up: tuple[int, int], left: int) -> list[str]:
    bottom, found = _TOP + _PANEL_HEIGHT, []
    for power in range(across[0], across[1] + 1):
        x = place(10.0**power, across, start=left, length=_PANEL_WIDTH)
        found.append(f'<line class="grid" x1="{x}" x2="{x}" y1="{_TOP}" y2="{bottom}"/>')
        found.append(f'<text x="{x}" y="{bottom + 16}" text-anchor="middle">{_count_words(power)}</text>')
    for power in range(up[0], up[1] + 1):
        y = place(10.0**power, up, start=bottom, length=-_PANEL_HEIGHT)
        found.append(f'<line class="grid" x1="{left}" x2="{left + _PANEL_WIDTH}" y1="{y}" y2="{y}"/>')
        found.append(f'<text x="{left - 6}" y="{y + 4}" text-anchor="end">{_count_words(power)}</text>')
    return found


def _count_words(power: int) -> str:
    if power < 0:
        return f"{10.0**power:g}"
    return f"{10 ** (power - 6)} m" if power >= 6 else f"{10**power:,}"


def _drawn(curve: Curve, number: int, across: tuple[int, int], up: tuple[int, int], left: int) -> str:
    colour, dash = _COLOURS[number % len(_COLOURS)], _DASHES[number % len(_DASHES)]
    bottom = _TOP + _PANEL_HEIGHT
    at = [
        (
            place(x, across, start=left, length=_PANEL_WIDTH),
            place(y, up, start=bottom, length=-_PANEL_HEIGHT),
        )
        for x, y in curve.points
    ]
    path = " ".join(f"{x},{y}" for x, y in at)
    style = f'stroke="{colour}" stroke-dasharray="{dash}"' if dash else f'stroke="{colour}"'
    dots = "".join(f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in at)
    y = bottom + 54 + _LEGEND_LINE * number
    legend = f'<line class="curve" {style} x1="{left}" x2="{left + 26}" y1="{y}" y2="{y}"/>'
    legend += f'<text x="{left + 32}" y="{y + 4}">{escape(curve.name)}</text>'
    return f'<polyline class="curve" {style} points="{path}"/>{dots}{legend}'
