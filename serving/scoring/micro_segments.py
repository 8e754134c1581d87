"""Micro-segments: every customer in a tree of persona, RFM group and favourite category, made once a run.

**Persona** is the coarsest division that the shop itself knows: how a customer was won, where that is
known of at least half of them and two channels reach the floor; else the lifecycle stage, which every
shop has.

A branch is a value that at least `leaf_customers_min` customers of its parent have, twelve of them at
most, the largest first. All other values are one branch "other", with whoever has none unless these reach
the floor themselves. Where "other" stays under the floor, it is marked too small to read, and says
nothing but how many it holds. A level that divides nobody (no categories, a shop too small for groups) is
left out.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import polars as pl

from features.conditions import TEXT_LENGTH_MAX

CHANNEL: Final = "acquisition_channel"
STAGE: Final = "lifecycle_stage"
BELOW: Final = ("rfm_segment", "favourite_category")
BRANCHES_MAX: Final = 12
_KNOWN_SHARE_MIN: Final = 0.5
_MONEY: Final = ("historic_clv", "predicted_clv_90")
TREE_COLUMNS: Final = (CHANNEL, STAGE, *BELOW, *_MONEY)


@dataclass(frozen=True, slots=True)
class Branch:
    """A part of the tree.

    `level` is the attribute that divides here; `kind` is value, unknown or other; `share` is of all customers
    of the run; money is null where the branch is too small to read, or nobody has any. `condition` gives its
    customers in the segment language, null where that would be too long.
    """

    level: str
    kind: str
    value: str | None
    customer_count: int
    share: float
    is_small: bool
    historic_clv: float | None
    expected_revenue: float | None
    condition: str | None
    branches: "list[Branch]" = field(default_factory=list)


def micro_segments(customers: pl.DataFrame, *, leaf_customers_min: int) -> dict[str, Any]:
    """Return the tree of a run's customers as a document.

    `customers` has one row each with the columns `TREE_COLUMNS`.
    """
    levels = [persona_of(customers, leaf_customers_min), *BELOW]
    tree = _Tree(levels, leaf_customers_min, customers.height)
    return {
        "levels": levels,
        "leaf_customers_min": leaf_customers_min,
        "customer_count": customers.height,
        "branches": [asdict(branch) for branch in tree.grow(customers, 0, [])],
    }


def persona_of(customers: pl.DataFrame, leaf_customers_min: int) -> str:
    """Return the attribute by which a shop's customers are divided first."""
    told = customers[CHANNEL].drop_nulls()
    sizes = told.value_counts()["count"]
    is_known = len(told) >= _KNOWN_SHARE_MIN * max(customers.height, 1)
    return CHANNEL if is_known and (sizes >= leaf_customers_min).sum() >= 2 else STAGE


class _Tree:
    """Divides customers level by level."""

    def __init__(self, levels: Sequence[str], floor: int, total: int) -> None:
        self._levels = levels
        self._floor = floor
        self._total = total

    def grow(self, customers: pl.DataFrame, depth: int, path: list[str]) -> list[Branch]:
        """Return the branches below a part of the customers, the largest first, "other" last."""
        if depth == len(self._levels):
            return []
        name = self._levels[depth]
        sizes = customers[name].value_counts().sort("count", name, descending=[True, False], nulls_last=True)
        named = sizes.filter(pl.col("count") >= self._floor).head(BRANCHES_MAX)[name].to_list()
        if named in ([], [None]) and len(sizes) >= 1:
            # Nobody is told from the others here: the next level may.
            return self.grow(customers, depth + 1, path)
        found = [
            self._branch(customers.filter(pl.col(name).eq_missing(value)), value, depth, path)
            for value in named
        ]
        rest = customers.filter(~pl.any_horizontal(*(pl.col(name).eq_missing(value) for value in named)))
        if rest.height:
            found.append(self._other(rest, named, depth, path))
        return found

    def _branch(self, rows: pl.DataFrame, value: str | None, depth: int, path: list[str]) -> Branch:
        name = self._levels[depth]
        if value is None:
            own, kind = f"{name} is null", "unknown"
        else:
            own, kind = f"{name} == {_quoted(value)}", "value"
        below = self.grow(rows, depth + 1, [*path, own])
        return self._made(name, kind, rows, [*path, own], value=value, branches=below)

    def _other(self, rows: pl.DataFrame, named: list[str | None], depth: int, path: list[str]) -> Branch:
        name = self._levels[depth]
        listed = ", ".join(_quoted(value) for value in named if value is not None)
        own = [f"{name} not in [{listed}]", *([f"{name} is not null"] if None in named else [])]
        return self._made(name, "other", rows, [*path, *own])

    def _made(
        self,
        level: str,
        kind: str,
        rows: pl.DataFrame,
        path: list[str],
        *,
        value: str | None = None,
        branches: Sequence[Branch] = (),
    ) -> Branch:
        is_small, condition = rows.height < self._floor, " and ".join(path)
        money = [None if is_small else _sum(rows[name]) for name in _MONEY]
        return Branch(
            level=level,
            kind=kind,
            value=value,
            customer_count=rows.height,
            share=round(rows.height / self._total, 6),
            is_small=is_small,
            historic_clv=money[0],
            expected_revenue=money[1],
            condition=condition if len(condition) <= TEXT_LENGTH_MAX else None,
            branches=list(branches),
        )


def _sum(values: pl.Series) -> float | None:
    return round(float(values.sum()), 2) if values.count() else None


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
