"""What an RFM scoring did, to be looked at: edges, true shares, the rule of ties, sizes of the groups."""

from dataclasses import dataclass
from typing import Any

import narwhals as nw

from features.rfm import RfmCuts, RfmScheme, has_ordered
from features.rfm_scales import TIE_RULE, Edges
from features.scales import Axis

Frame = nw.LazyFrame[Any]


@dataclass(frozen=True, slots=True)
class Bin:
    """The customers with one score.

    `edge`             the worst value that earns it; None for score 1, and where nobody earns it
    `lowest, highest`  values seen among those who ordered within the window; None where there is nobody
    `customer_share`   true share of all customers, whatever the method was after
    """

    score: int
    edge: float | None
    lowest: float | None
    highest: float | None
    customer_count: int
    customer_share: float


@dataclass(frozen=True, slots=True)
class Scale:
    """One axis and its bins, the best first."""

    axis: Axis
    bins: tuple[Bin, ...]


@dataclass(frozen=True, slots=True)
class Segment:
    """A group or tier, and how many customers it has."""

    name: str
    customer_count: int
    customer_share: float


@dataclass(frozen=True, slots=True)
class RfmTable:
    """An RFM scoring as a table.

    `silent_count` customers had no order within the window: they have the lowest scores and moved no edge.
    `tie_rule` says in words what happens to equal values and to values on an edge.
    """

    scheme: RfmScheme
    customer_count: int
    silent_count: int
    scales: tuple[Scale, ...]
    segments: tuple[Segment, ...]
    tie_rule: str = TIE_RULE


def describe_rfm(scored: Frame, cuts: RfmCuts) -> RfmTable:
    """Describe customers that `RfmCuts.score` has scored."""
    scheme = cuts.scheme
    ordered = nw.when(has_ordered(scheme)).then(nw.lit(1)).otherwise(nw.lit(0)).sum()
    counts = _rows(scored.select(nw.len().alias("customers"), ordered.alias("ordered")))[0]
    total, ordered_count = int(counts[0] or 0), int(counts[1] or 0)
    scales = [
        Scale(axis, _bins(scored, scheme, axis=axis, edges=edges, total=total))
        for axis, edges in zip(scheme.axes, cuts.edges, strict=True)
    ]
    sizes = dict(_rows(scored.group_by("rfm_segment").agg(nw.len().alias("customers"))))
    segments = [
        Segment(name, sizes.get(name, 0), _share(sizes.get(name, 0), total)) for name in scheme.segments
    ]
    return RfmTable(scheme, total, total - ordered_count, tuple(scales), tuple(segments))


def rfm_text(table: RfmTable) -> str:
    """Return the table as text: bins of every axis, the tie rule, the sizes of the groups or tiers."""
    scheme = table.scheme
    window = "all history" if scheme.window_days is None else f"the {scheme.window_days} days before"
    lines = [f"RFM {scheme.name} over {window} · {table.customer_count:,} customers"]
    for scale in table.scales:
        lines += ["", *_scale_lines(scale)]
    lines += ["", f"ties: {table.tie_rule}"]
    if table.silent_count:
        lines.append(
            f"without {scheme.subject!r} within the window, hence lowest of all: {table.silent_count:,}"
        )
    lines += ["", f"{'segment':<18}{'customers':>12}{'share':>9}   {_segment_rule(scheme)}"]
    lines += [
        f"{each.name:<18}{each.customer_count:>12,}{each.customer_share:>9.1%}" for each in table.segments
    ]
    return "\n".join(lines) + "\n"


def _bins(scored: Frame, scheme: RfmScheme, *, axis: Axis, edges: Edges, total: int) -> tuple[Bin, ...]:
    value = nw.when(has_ordered(scheme)).then(nw.col(axis.value).cast(nw.Float64))
    found = _rows(
        scored.with_columns(value.alias("_value"))
        .group_by(axis.score)
        .agg(
            nw.len().alias("_count"),
            nw.col("_value").min().alias("_lowest"),
            nw.col("_value").max().alias("_highest"),
        )
    )
    seen = {int(score): (int(count), lowest, highest) for score, count, lowest, highest in found}
    bins = []
    for score, edge in reversed(list(enumerate((None, *edges), start=1))):
        count, lowest, highest = seen.get(score, (0, None, None))
        bins.append(Bin(score, edge, lowest, highest, count, _share(count, total)))
    return tuple(bins)


def _scale_lines(scale: Scale) -> list[str]:
    axis = scale.axis
    best = "low is best" if axis.low_is_best else "high is best"
    lines = [
        f"{axis.score} from {axis.value}, {best}: {axis.method.words}",
        f"  {'score':>5}{'edge':>14}{'lowest':>14}{'highest':>14}{'customers':>12}{'share':>9}",
    ]
    sign = "≤" if axis.low_is_best else "≥"
    for each in scale.bins:
        edge = (
            "the rest" if each.score == 1 else "nobody" if each.edge is None else f"{sign} {each.edge:,.2f}"
        )
        seen = "".join(f"{_number(value):>14}" for value in (each.lowest, each.highest))
        lines.append(
            f"  {each.score:>5}{edge:>14}{seen}{each.customer_count:>12,}{each.customer_share:>9.1%}"
        )
    return lines


def _segment_rule(scheme: RfmScheme) -> str:
    if scheme.tier_cuts is None:
        return "R against (F + M) / 2, see docs/rfm.md"
    middle, top = scheme.tier_cuts
    return f"R + F + M: top from {top}, middle from {middle}, bottom below"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.2f}"


def _share(count: int, total: int) -> float:
    return count / total if total else 0.0


def _rows(rows: Frame) -> list[tuple[Any, ...]]:
    return rows.collect("polars").to_native().rows()  # type: ignore[no-any-return]
