"""Scores from values: where one score ends and the next begins, by quantiles, equal width or given cuts.

A scale of n scores has n - 1 edges. Edge s is the worst value that still earns score s, so a value on an edge
gets the better score, and equal values always get equal scores: no order of the rows decides between them.
An edge is None where nobody earns that score. Recency is best when it is low, so there an edge is the longest
silence that still earns the score.

    Quantile(3)                   1 + floor(3 × share of customers with a strictly worse value)
    EqualWidth(3, low=0, high=9)  the range in three parts of one width: edges 3 and 6
    Cuts((100, 500))              these edges and no others

Edges are found once, in the engine that holds the customers, and are plain numbers from then on: the scores
of Polars and DuckDB cannot differ.
"""

from dataclasses import dataclass
from math import isfinite
from typing import Any, Final

import narwhals as nw

from features.errors import UserError

Frame = nw.LazyFrame[Any]
Edges = tuple[float | None, ...]

TIE_RULE: Final = "equal values get equal scores; a value on an edge gets the better one"


class RfmError(UserError):
    """Scores cannot be made as asked."""


@dataclass(frozen=True, slots=True)
class Quantile:
    """As many customers in each bin as ties allow."""

    bin_count: int

    def __post_init__(self) -> None:
        _check_bin_count(self.bin_count)

    @property
    def words(self) -> str:
        """The rule, in words."""
        return f"1 + floor({self.bin_count} × share of customers with a strictly worse value)"


@dataclass(frozen=True, slots=True)
class EqualWidth:
    """The range from `low` to `high` in parts of one width; None stands for the least or largest value seen.

    Values outside get the nearest score. A range without width has no edges: everybody gets a 1, as in
    `Quantile`.
    """

    bin_count: int
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        _check_bin_count(self.bin_count)
        known = [bound for bound in (self.low, self.high) if bound is not None]
        if not all(map(isfinite, known)) or (len(known) == 2 and known[0] >= known[1]):
            raise RfmError(f"a range from {self.low} to {self.high} has no width; low must lie below high")

    @property
    def words(self) -> str:
        """The rule, in words."""
        low = "the least value" if self.low is None else f"{self.low:g}"
        high = "the largest" if self.high is None else f"{self.high:g}"
        return f"the range from {low} to {high} in {self.bin_count} parts of equal width"


@dataclass(frozen=True, slots=True)
class Cuts:
    """Edges as they are given, each larger than the one before: n cuts make n + 1 scores."""

    points: tuple[float, ...]

    def __post_init__(self) -> None:
        is_rising = all(a < b for a, b in zip(self.points, self.points[1:], strict=False))
        if not self.points or not all(map(isfinite, self.points)) or not is_rising:
            raise RfmError(f"cuts are {list(self.points)}; name one or more numbers, each above the last")

    @property
    def bin_count(self) -> int:
        """One more than there are cuts."""
        return len(self.points) + 1

    @property
    def words(self) -> str:
        """The rule, in words."""
        return f"cut at {', '.join(f'{point:g}' for point in self.points)}"


Method = Quantile | EqualWidth | Cuts


@dataclass(frozen=True, slots=True)
class Axis:
    """One thing that is scored: the column it is read from, the column it is written to, and how."""

    value: str
    score: str
    method: Method
    low_is_best: bool = False


def find_edges(customers: Frame, axis: Axis) -> Edges:
    """Return the edges of scores 2, 3, … of an axis, measured on the customers given.

    `customers` has the axis' column without nulls or NaN; without any row every measured edge is None.
    """
    method = axis.method
    if isinstance(method, Quantile):
        return _quantile_edges(customers, axis, method.bin_count)
    if isinstance(method, Cuts):
        return tuple(sorted(method.points, reverse=axis.low_is_best))
    return _width_edges(customers, axis, method)


def score_by(axis: Axis, edges: Edges) -> nw.Expr:
    """Return the score of the axis' value: 1, and one more for each edge that it reaches."""
    value = nw.col(axis.value)
    score: nw.Expr = nw.lit(1)
    for edge in edges:
        if edge is not None:
            reached = value <= edge if axis.low_is_best else value >= edge
            score = score + nw.when(reached).then(nw.lit(1)).otherwise(nw.lit(0))
    return score.cast(nw.Int64)


def _quantile_edges(customers: Frame, axis: Axis, bin_count: int) -> Edges:
    """Count per distinct value: ranks over a whole table are not portable."""
    value = nw.col("_value")
    counts = (
        customers.select(nw.col(axis.value).cast(nw.Float64).alias("_value"))
        .group_by("_value")
        .agg(nw.len().cast(nw.Float64).alias("_count"))
    )
    # From the best down: whoever is not counted yet is strictly worse.
    order = value if axis.low_is_best else -value
    at_least = nw.col("_count").cum_sum().over(order_by="_order")
    ranked = counts.with_columns(order.alias("_order")).with_columns(at_least.alias("_at_least"))
    total = counts.select(nw.col("_count").sum().alias("_total"))
    worse = (nw.col("_total") - nw.col("_at_least")) * bin_count / nw.col("_total")
    scored = ranked.join(total, how="cross").with_columns((1 + worse.floor()).alias("_score"))
    earned = {score: nw.when(nw.col("_score") >= score).then(value) for score in range(2, bin_count + 1)}
    return _row(
        scored.select(
            (expression.max() if axis.low_is_best else expression.min()).alias(f"_edge_{score}")
            for score, expression in earned.items()
        )
    )


def _width_edges(customers: Frame, axis: Axis, method: EqualWidth) -> Edges:
    value, count = nw.col(axis.value).cast(nw.Float64), method.bin_count
    least, largest = _row(customers.select(value.min().alias("_low"), value.max().alias("_high")))
    low = least if method.low is None else method.low
    high = largest if method.high is None else method.high
    if low is None or high is None or low >= high:
        return (None,) * (count - 1)
    points = [low + (high - low) * part / count for part in range(1, count)]
    return tuple(reversed(points)) if axis.low_is_best else tuple(points)


def _row(rows: Frame) -> Edges:
    values = rows.collect("polars").to_native().row(0)
    return tuple(None if value is None else float(value) for value in values)


def _check_bin_count(bin_count: int) -> None:
    if bin_count < 2:
        raise RfmError(f"{bin_count} bins tell nobody apart; ask for two or more")
