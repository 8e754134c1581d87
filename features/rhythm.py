"""Whether customers wait before they buy a thing again: a runs test on each customer's own orders.

A customer with m order days, x of which hold the thing, made a pattern. Were the x days drawn at random from
the m, the thing would stand on two neighbouring order days x(x − 1) ÷ m times on average, with the variance
x(x − 1)(m − x)(m − x + 1) ÷ (m²(m − 1)) (the number of runs: Mood 1940; Wald, Wolfowitz 1940). Summed over
customers:

    fewer neighbours than that   something is left at home after a purchase: it is used up and bought again
    more                         it comes in bursts: a season, a phase, an impulse

How much a customer likes the thing, and how often they order, is held fixed, so taste alone makes neither.
"""

from dataclasses import dataclass
from math import erfc, sqrt

import polars as pl

_X, _M = pl.col("x").cast(pl.Float64), pl.col("m").cast(pl.Float64)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How many times as often as chance the very next order day holds the thing too, and two p-values."""

    next_times_chance: float
    p_regular: float
    p_clustered: float

    @classmethod
    def of(cls, observed: float, expected: float, variance: float) -> "Rhythm | None":
        """Return what summed counts say; None where every pattern was as good as given.

        >>> found = Rhythm.of(203.0, 415.9, 291.8)
        >>> round(found.next_times_chance, 2), found.p_regular < 1e-9
        (0.49, True)
        """
        if expected <= 0 or variance <= 0:
            return None
        z = (observed - expected) / sqrt(2 * variance)
        return cls(observed / expected, 0.5 * erfc(-z), 0.5 * erfc(z))


def count_neighbours(order_days: pl.DataFrame, bought_days: pl.DataFrame) -> pl.DataFrame:
    """Count per thing: `thing`, `observed` neighbours, and what chance makes: `expected`, `variance`.

    `order_days` has a row per customer and day (`customer_id`, `days_ago`), `bought_days` one per customer,
    `thing` and day, all among them. Both hold all days of a customer, so counts of parts add up.
    """
    place = pl.col("days_ago").rank("ordinal").over("customer_id").cast(pl.Int64)
    placed = order_days.with_columns(place=place, m=pl.len().over("customer_id"))
    before = pl.col("place").shift(1).over("thing", "customer_id")
    patterns = (
        bought_days.join(placed, on=["customer_id", "days_ago"])
        .sort("thing", "customer_id", "place")
        .with_columns(follows=pl.col("place") - before == 1)
        .group_by("thing", "customer_id")
        .agg(pl.col("m").first(), x=pl.len(), observed=pl.col("follows").sum())
        .filter(pl.col("x") > 1, pl.col("x") < pl.col("m"))
    )
    pairs, rest = _X * (_X - 1), _M - _X
    return patterns.group_by("thing").agg(
        observed=pl.col("observed").cast(pl.Float64).sum(),
        expected=(pairs / _M).sum(),
        variance=(pairs * rest * (rest + 1) / (_M * _M * (_M - 1))).sum(),
    )
