"""A Sankey picture as SVG: who was where then, on the left, and is where now, on the right.

As with `serving.console.charts`: no script, colours of the page. Every name and count stands in the picture
as text; whoever shows it gives the same figures as a table.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from markupsafe import Markup, escape

_WIDTH: Final = 404
_SIDE: Final = 146
_NODE: Final = 7
_INK_HEIGHT: Final = 240
_SLOT_MIN: Final = 15
_GAP: Final = 3
_BAND_MIN: Final = 0.75


class Flow(NamedTuple):
    """So many who went from one place of the left side to one of the right; `words` are its tooltip."""

    start: str
    end: str
    customer_count: int
    words: str


class _Node(NamedTuple):
    name: str
    top: float
    height: float
    customer_count: int


def sankey(flows: Sequence[Flow], *, names: dict[str, str], order: Sequence[str], title: str) -> Markup:
    """Draw flows between places.

    `names` are the places' names as they are read, `order` is how they stand from top to bottom. A band that
    stays in its place is grey, one that moves is coloured and has an edge.
    """
    total = sum(flow.customer_count for flow in flows) or 1
    starts = _column([(flow.start, flow.customer_count) for flow in flows], order, total)
    ends = _column([(flow.end, flow.customer_count) for flow in flows], order, total)
    bottoms = [node.top + max(node.height, _SLOT_MIN) for node in (*starts.values(), *ends.values())]
    height = max(bottoms, default=_SLOT_MIN) + _GAP
    parts = [*_bands(flows, starts, ends, total=total)]
    parts += [_label(node, names, is_left=True) for node in starts.values()]
    parts += [_label(node, names, is_left=False) for node in ends.values()]
    return Markup(  # noqa: S704 - numbers of our own; every text is escaped
        f'<svg class="chart flows" viewBox="0 0 {_WIDTH} {height:.0f}" role="img" '
        f'aria-label="{escape(title)}">{"".join(parts)}</svg>'
    )


def _column(ends: Sequence[tuple[str, int]], order: Sequence[str], total: int) -> dict[str, _Node]:
    counts: dict[str, int] = {}
    for name, count in ends:
        counts[name] = counts.get(name, 0) + count
    found, top = dict[str, _Node](), float(_GAP)
    for name in sorted(counts, key=order.index):
        height = max(_INK_HEIGHT * counts[name] / total, _BAND_MIN)
        found[name] = _Node(name, top, height, counts[name])
        top += max(height, _SLOT_MIN) + _GAP
    return found


def _bands(
    flows: Sequence[Flow], starts: dict[str, _Node], ends: dict[str, _Node], *, total: int
) -> list[str]:
    """Draw the bands; at either side they leave a place in the order in which the other side stands."""
    place = {name: number for number, name in enumerate([*starts, *ends])}
    left = {name: node.top for name, node in starts.items()}
    right = {name: node.top for name, node in ends.items()}
    parts: list[tuple[bool, int, str]] = []
    for flow in sorted(flows, key=lambda each: (place[each.start], place[each.end])):
        width = _INK_HEIGHT * flow.customer_count / total
        band = _band(left[flow.start], right[flow.end], max(width, _BAND_MIN), flow)
        parts.append((flow.start != flow.end, -flow.customer_count, band))
        left[flow.start] += width
        right[flow.end] += width
    # What stayed lies at the bottom, then the broad ones: no band hides a narrower one.
    return [band for *_, band in sorted(parts)]


def _band(left: float, right: float, width: float, flow: Flow) -> str:
    begin, end = _SIDE + _NODE, _WIDTH - _SIDE - _NODE
    middle, below = (begin + end) / 2, (left + width, right + width)
    kind = "stayed" if flow.start == flow.end else "moved"
    return (
        f'<path class="{kind}" d="M{begin},{left:.1f} '
        f"C{middle},{left:.1f} {middle},{right:.1f} {end},{right:.1f} V{below[1]:.1f} "
        f'C{middle},{below[1]:.1f} {middle},{below[0]:.1f} {begin},{below[0]:.1f} Z">'
        f"<title>{escape(flow.words)}</title></path>"
    )


def _label(node: _Node, names: dict[str, str], *, is_left: bool) -> str:
    x = _SIDE if is_left else _WIDTH - _SIDE - _NODE
    text_x, anchor = (_SIDE - 5, "end") if is_left else (_WIDTH - _SIDE + 5, "start")
    middle = node.top + max(node.height, _SLOT_MIN) / 2 + 4
    return (
        f'<rect class="mark" x="{x}" y="{node.top:.1f}" width="{_NODE}" height="{node.height:.1f}"/>'
        f'<text x="{text_x}" y="{middle:.1f}" text-anchor="{anchor}">'
        f"{escape(names[node.name])} {node.customer_count}</text>"
    )
