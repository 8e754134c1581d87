"""Scores from values: where one score ends and the next begins (`features.scales`).

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

from typing import Any, Final

import narwhals as nw

from features.scales import Axis, Cuts, EqualWidth, Quantile

Frame = nw.LazyFrame[Any]
Edges = tuple[float | None, ...]

TIE_RULE: Final = "equal values get equal scores; a value on an edge gets the better one"


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
