"""Ranked lists as flat arrays, and as the frame of the contract."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.slots import REASON_NUMBERS, REASONS, SOURCES
from models.recommender.catalogue import Bools, Catalogue, Floats, Ints
from models.recommender.contract import LIST_COLUMNS

NO_ITEM = -1


@dataclass(frozen=True, slots=True)
class Picks:
    """Items chosen for customers: one entry a slot, all arrays of one length.

    `reasons` and `sources` are numbers of `features.slots`; `evidence` is an item number or -1; `values` and
    `spreads` are NaN where the reason has no number and where nobody knows how far off it is.
    """

    rows: Ints
    items: Ints
    scores: Floats
    reasons: NDArray[np.uint8]
    sources: NDArray[np.uint8]
    evidence: Ints
    values: Floats
    spreads: Floats

    @classmethod
    def of(cls, rows: Ints, items: Ints, scores: Floats, *, reason: str, source: str) -> Self:
        """Make picks that share a reason and a source and have neither evidence nor value."""
        size = len(rows)
        return cls(
            rows=rows,
            items=items,
            scores=scores.astype(np.float64),
            reasons=np.full(size, REASON_NUMBERS[reason], np.uint8),
            sources=np.full(size, SOURCES.index(source), np.uint8),
            evidence=np.full(size, NO_ITEM, np.int64),
            values=np.full(size, np.nan),
            spreads=np.full(size, np.nan),
        )

    @classmethod
    def none(cls) -> Self:
        """Return no picks."""
        nothing = np.zeros(0, np.int64)
        return cls.of(nothing, nothing, np.zeros(0), reason="popular", source="popular")

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, chosen: Ints | Bools) -> "Picks":
        """Return some picks: by place, or by a mask."""
        return Picks(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})

    def best(self, depth: int) -> "Picks":
        """Return the best `depth` of each row, best first; an item appears once, ties by item number."""
        order = np.lexsort((self.items, -self.scores))
        order = order[np.argsort(self.rows[order], kind="stable")]
        rows, items = self.rows[order], self.items[order]
        keys = pair_keys(rows, items, item_count=int(items.max(initial=0)) + 1)
        by_key = np.argsort(keys, kind="stable")
        repeated = np.flatnonzero(keys[by_key[1:]] == keys[by_key[:-1]])
        order = np.delete(order, by_key[repeated + 1])
        return self.take(order[places_in_runs(self.rows[order]) < depth])

    def by_row(self) -> "Picks":
        """Return the picks sorted by row; within a row the order stays."""
        return self.take(np.argsort(self.rows, kind="stable"))

    def shifted(self, rows: int) -> "Picks":
        """Return the picks with row numbers moved up."""
        return replace(self, rows=self.rows + rows)

    def with_fallback(self, unknown: Bools) -> "Picks":
        """Return the picks with the source `fallback` in rows of customers who own nothing."""
        fallback = np.uint8(SOURCES.index("fallback"))
        return replace(self, sources=np.where(unknown[self.rows], fallback, self.sources))


def concat(parts: Sequence[Picks]) -> Picks:
    """Join picks end to end."""
    return Picks(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Picks)})


def places_in_runs(values: Ints) -> Ints:
    """Return the place of each entry within its run of equal values, from 0.

    >>> places_in_runs(np.array([4, 4, 7, 7, 7])).tolist()
    [0, 1, 0, 1, 2]
    """
    starts = np.flatnonzero(np.r_[True, values[1:] != values[:-1]]) if len(values) else np.zeros(0, np.int64)
    lengths = np.diff(np.r_[starts, len(values)])
    return np.arange(len(values)) - np.repeat(starts, lengths)


def pair_keys(rows: Ints, items: NDArray[np.integer[Any]], *, item_count: int) -> Ints:
    """Return one number a (row, item) pair: equal for equal pairs, sorted as (row, item)."""
    return rows.astype(np.int64) * max(item_count, 1) + items


def find_pairs(wanted: Ints, known: Ints) -> Ints:
    """Return the place of each wanted key among known keys (sorted, distinct), -1 where it is not known."""
    if not len(known):
        return np.full(len(wanted), -1, np.int64)
    places = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return np.where(known[places] == wanted, places, -1)


def listed_places(items: Ints, catalogue: Catalogue, *, depth: int) -> tuple[Ints, Ints]:
    """Return (row, place) of the first `depth` available items of each row of a table, -1 being none."""
    is_listed = (items != NO_ITEM) & catalogue.is_available[items]
    is_listed &= np.cumsum(is_listed, axis=1) <= depth
    rows, places = np.nonzero(is_listed)
    return rows, places


def to_frame(
    lists: Sequence[tuple[str, Picks]], *, customer_ids: Sequence[str], catalogue: Catalogue
) -> pd.DataFrame:
    """Return picks (each kind's best first within a row) as the frame of the contract."""
    picks = concat([Picks.none(), *(found for _, found in lists)])
    lengths = np.array([len(found) for _, found in lists], dtype=np.int64)
    kinds = np.repeat(np.arange(len(lists)), lengths)
    order = np.lexsort((kinds, picks.rows))
    picks, kinds = picks.take(order), kinds[order]
    products = pd.array(catalogue.product_ids.to_list(), dtype="str")
    columns = (
        pd.array(list(customer_ids), dtype="str").take(picks.rows),
        pd.array([kind for kind, _ in lists], dtype="str").take(kinds),
        places_in_runs(picks.rows * len(lists) + kinds) + 1,
        products.take(picks.items),
        picks.scores,
        pd.array([reason.code for reason in REASONS], dtype="str").take(picks.reasons),
        pd.array(SOURCES, dtype="str").take(picks.sources),
        products.take(picks.evidence, allow_fill=True),
        picks.values,
        picks.spreads,
    )
    return pd.DataFrame(dict(zip(LIST_COLUMNS, columns, strict=True)))
