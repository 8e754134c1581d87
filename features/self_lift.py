"""Whether customers buy a thing again beyond chance: a test against a null in which nobody repeats.

**The null.** In every stretch of 30 days t, a thing k is on a share p_kt of all order days (days on which a
customer ordered). Whether customers have bought it before says nothing about whether another of their order
days holds it. So the null knows how popular the thing is, how that changes with the season and with when it
was sold, and how often each customer orders.

**The statistic.** With B = 1 where an order day holds the thing, over all pairs i ≠ j of order days of one
customer, each customer weighing w = 1 ÷ (order days − 1), so that an order day weighs the same for everybody:

    D = Σ w Σ (B_i − p_i)(B_j − p_j)      0 under the null
    V = 2 Σ w² Σ v_i v_j, v = p(1 − p)    its variance there
    E = Σ w Σ p_i p_j                     the pairs that chance would make

z = D ÷ √V is the overdispersion test of binomial counts (Potthoff, Whittinghill 1966; Tarone 1979), with a p
that differs between stretches. 1 + D ÷ E is how many times as often as chance another order day of somebody
who bought the thing holds it: below 1 for what nobody needs twice.

All sums run over customers, so parts of a shop add up:
D = A − 2 p·H + p'Gp + 2 p·J − h·p² and V = 2 (v'G₂v − h₂·v²).
"""

from dataclasses import dataclass, field
from math import erfc, sqrt
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

STRETCH_DAYS: Final = 30
_ROWS_AT_ONCE: Final = 20_000
_CELLS_AT_ONCE: Final = 4_000_000
_Z95_ONE_SIDED: Final = 1.644854


@dataclass(frozen=True, slots=True)
class SelfLift:
    """How many times as often as chance a thing is bought again, its lower 95 % bound, and the p-value.

    The bound is that of the null's variance: above 1 exactly where the one-sided test says so at 5 %.
    """

    times_chance: float
    low: float
    p_value: float


@dataclass(slots=True)
class SelfLiftTally:
    """Sums over the customers of a shop, for `thing_count` things and `stretch_count` stretches of time."""

    thing_count: int
    stretch_count: int
    _order_days: Floats = field(init=False)
    _bought_days: Floats = field(init=False)
    _pairs: Floats = field(init=False)
    _thing_sums: Floats = field(init=False)
    _own_sums: Floats = field(init=False)
    _weighted: Floats = field(init=False)
    _squared: Floats = field(init=False)
    _products: Floats = field(init=False)
    _squared_products: Floats = field(init=False)

    def __post_init__(self) -> None:
        shape, times = (self.thing_count, self.stretch_count), self.stretch_count
        self._order_days, self._weighted, self._squared = np.zeros(times), np.zeros(times), np.zeros(times)
        self._bought_days, self._thing_sums, self._own_sums = (np.zeros(shape) for _ in range(3))
        self._pairs = np.zeros(self.thing_count)
        self._products, self._squared_products = np.zeros((times, times)), np.zeros((times, times))

    def add(self, order_days: pl.DataFrame, bought_days: pl.DataFrame) -> None:
        """Add customers: all their order days, and those of them that hold a thing.

        `order_days` has a row per customer and day (`customer_id`, `days_ago` from 1 on), `bought_days` one
        per customer, day and thing (`thing`, a number). Both hold all days of a customer.
        """
        stretch = (pl.col("days_ago") - 1) // STRETCH_DAYS
        days = order_days.select("customer_id", stretch.alias("stretch"))
        bought = bought_days.select("customer_id", stretch.alias("stretch"), "thing")
        self._order_days += np.bincount(days["stretch"].to_numpy(), minlength=self.stretch_count)
        places = bought["thing"].to_numpy() * self.stretch_count + bought["stretch"].to_numpy()
        counted = np.bincount(places, minlength=self._bought_days.size)
        self._bought_days += counted.reshape(self._bought_days.shape)
        # Of one order day there are no pairs.
        repeaters = days.group_by("customer_id").len().filter(pl.col("len") > 1).select("customer_id")
        step = max(1, _CELLS_AT_ONCE // self.stretch_count)
        for start in range(0, repeaters.height, step):
            some = (
                repeaters.slice(start, step).with_row_index("who").with_columns(pl.col("who").cast(pl.Int64))
            )
            own = [table.join(some, on="customer_id") for table in (days, bought)]
            self._add_pairs(own[0], own[1], some.height)

    def _add_pairs(self, days: pl.DataFrame, bought: pl.DataFrame, customer_count: int) -> None:
        places = days["who"].to_numpy() * self.stretch_count + days["stretch"].to_numpy()
        cells = np.bincount(places, minlength=customer_count * self.stretch_count)
        counts = cells.reshape(customer_count, self.stretch_count).astype(np.float64)
        weights = 1.0 / (counts.sum(axis=1) - 1)
        weighted = counts * weights[:, None]
        self._weighted += weighted.sum(axis=0)
        self._squared += (weighted * weights[:, None]).sum(axis=0)
        self._products += counts.T @ weighted
        self._squared_products += weighted.T @ weighted
        self._add_things(bought, counts, weights)

    def _add_things(self, bought: pl.DataFrame, counts: Floats, weights: Floats) -> None:
        who, thing, stretch = (bought[name].to_numpy() for name in ("who", "thing", "stretch"))
        np.add.at(self._own_sums, (thing, stretch), weights[who])
        times = pl.len().cast(pl.Float64).alias("times")
        pairs = bought.group_by("thing", "who").agg(times).sort("thing", "who")
        for start in range(0, pairs.height, _ROWS_AT_ONCE):
            chunk = pairs.slice(start, _ROWS_AT_ONCE)
            who, thing, count = (chunk[name].to_numpy() for name in ("who", "thing", "times"))
            np.add.at(self._pairs, thing, weights[who] * count * (count - 1))
            rows = counts[who] * (weights[who] * count)[:, None]
            begins = np.flatnonzero(np.diff(thing, prepend=-1))
            self._thing_sums[thing[begins]] += np.add.reduceat(rows, begins, axis=0)

    def lifts(self) -> list[SelfLift | None]:
        """Return the lift of every thing in order; None where chance would make no pair at all."""
        shares = self._bought_days / np.maximum(self._order_days, 1.0)
        expected = _form(shares, self._products) - shares**2 @ self._weighted
        excess = (
            self._pairs
            - 2 * (shares * self._thing_sums).sum(axis=1)
            + 2 * (shares * self._own_sums).sum(axis=1)
            + expected
        )
        spread = shares * (1 - shares)
        variance = 2 * (_form(spread, self._squared_products) - spread**2 @ self._squared)
        rows = zip(excess.tolist(), expected.tolist(), variance.tolist(), strict=True)
        return [_lift(*row) for row in rows]


def _lift(excess: float, expected: float, variance: float) -> SelfLift | None:
    if expected <= 0 or variance <= 0:
        return None
    spread = sqrt(variance)
    return SelfLift(
        times_chance=max(0.0, 1 + excess / expected),
        low=max(0.0, 1 + (excess - _Z95_ONE_SIDED * spread) / expected),
        p_value=0.5 * erfc(excess / spread / sqrt(2)),
    )


def _form(vectors: Floats, matrix: Floats) -> Floats:
    """Return v'Mv of every row v."""
    return np.asarray(((vectors @ matrix) * vectors).sum(axis=1))


def false_discoveries_held(p_values: list[float], *, share: float = 0.05) -> list[bool]:
    """Say which findings stand if at most such a share of them shall be false (Benjamini, Hochberg 1995).

    >>> false_discoveries_held([0.001, 0.04, 0.9, 0.03])
    [True, False, False, False]
    """
    ordered = sorted(p_values)
    passed = [p for rank, p in enumerate(ordered, start=1) if p <= share * rank / len(ordered)]
    return [bool(passed) and p <= passed[-1] for p in p_values]
