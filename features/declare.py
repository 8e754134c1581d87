"""How a feature is declared.

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

from features.basis import Basis
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
    basis: Basis
    shop: ShopFacts


Expressions = Callable[[Moment], list[nw.Expr]]


def nothing(_: Moment) -> list[nw.Expr]:
    """Return no expression: a family that does not read a table."""
    return []


@dataclass(frozen=True, slots=True)
class Family:
    """A family of features and the expressions that compute them."""

    title: str
    features: tuple[Feature, ...]
    columns: Expressions
    ledger: Expressions = nothing
    days: Expressions = nothing
    events: Expressions = nothing
