"""How a feature is declared, and the small expressions that families share.

A family is a module under `features.families` of about a hundred lines: it declares its features (name, unit,
window, description, reason code) and gives the narwhals expressions that compute them. Three row tables stand
ready at every snapshot, each holding only what was known then:

    ledger   one row per customer, instant and kind of entry (`features.orders`), with `days_ago`
    days     one row per customer and order day, with the gap to the order day before it
    events   one row per customer and event, with `days_ago`

`ledger`, `days` and `events` of a `Family` are aggregates of those rows by customer; `columns` are the
features, made from the aggregates of every family; money (unit `money`) stays in minor units until
`features.build` divides it once. `days_ago` counts 24-hour days back from the snapshot: 1 is the last one
before it, and a window of w days holds `days_ago <= w`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import narwhals as nw

from features.shop import ShopFacts
from features.snapshot import Snapshot

Reason = Literal[
    "gap_over_usual",
    "order_count",
    "order_trend",
    "tenure",
    "spend_level",
    "spend_trend",
    "rhythm",
    "breadth",
    "discounts",
    "returns",
    "engagement",
    "season",
]
WINDOWS_DAYS = (7, 14, 30, 60, 90, 180, 365)
# A power of two, so that dividing by it is exact on every engine.
WEIGHT_SCALE = 2**30


@dataclass(frozen=True, slots=True)
class Feature:
    """One declared feature; the name carries the unit, the reason groups features in explanations."""

    name: str
    unit: str
    window: str
    description: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class Moment:
    """What an expression may depend on besides rows: the snapshot, the money basis, facts about the shop."""

    snapshot: Snapshot
    basis: Literal["net", "gross"]
    shop: ShopFacts


Expressions = Callable[[Moment], list[nw.Expr]]


def nothing(_: Moment) -> list[nw.Expr]:
    """Return no expression: a family that does not read a table."""
    return []


@dataclass(frozen=True, slots=True)
class Family:
    """A family of features and the expressions that compute them."""

    name: str
    features: tuple[Feature, ...]
    columns: Expressions
    ledger: Expressions = nothing
    days: Expressions = nothing
    events: Expressions = nothing


def within(window_days: int) -> nw.Expr:
    """Rows of the last `window_days` 24-hour days before the snapshot."""
    return nw.col("days_ago") <= window_days


def between(newer_days: int, older_days: int) -> nw.Expr:
    """Rows of the window `(newer_days, older_days]` days before the snapshot."""
    return (nw.col("days_ago") > newer_days) & (nw.col("days_ago") <= older_days)


def sum_where(condition: nw.Expr, value: str | nw.Expr) -> nw.Expr:
    """Sum integers over the rows that meet a condition: exact, and the same on every engine."""
    chosen = nw.col(value) if isinstance(value, str) else value
    return nw.when(condition).then(chosen).otherwise(nw.lit(0)).sum()


def half_life_weight(half_life_days: int) -> nw.Expr:
    """Weight of a row, 1 at the snapshot and halved every `half_life_days`, as an integer."""
    decay = (nw.col("days_ago") * (-0.6931471805599453 / half_life_days)).exp()
    return (decay * WEIGHT_SCALE + 0.5).floor().cast(nw.Int64)


def ratio(numerator: str | nw.Expr, denominator: str | nw.Expr) -> nw.Expr:
    """Divide two columns; missing where the denominator is not above 0."""
    top = nw.col(numerator) if isinstance(numerator, str) else numerator
    bottom = nw.col(denominator) if isinstance(denominator, str) else denominator
    return nw.when(bottom > 0).then(top / bottom)


def change(newer: str, older: str) -> nw.Expr:
    """Compare two windows: (newer - older) / (newer + older) in [-1, 1], 0 where both are empty."""
    total = nw.col(newer) + nw.col(older)
    return nw.when(total > 0).then((nw.col(newer) - nw.col(older)) / total).otherwise(nw.lit(0.0))


def recorded(column: nw.Expr, *, is_recorded: bool) -> nw.Expr:
    """Keep a column where the shop records what it is made of, else make it missing for everybody."""
    return column if is_recorded else column * float("nan")
