"""Facts about the whole shop as of a snapshot, made in one pass before the customers' features.

They turn a customer's days and money into "compared with this shop", so that a feature means the same in a
grocery and in a furniture shop. Like every feature they hold only what was known before the snapshot.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import narwhals as nw
import polars as pl

from features.orders import Frame


@dataclass(frozen=True, slots=True)
class ShopFacts:
    """What is usual in a shop; None where nothing was seen yet.

    `usual_gap_days`     median gap between a customer's consecutive order days
    `usual_order_value`  median gross value of an order day, minor units
    `recorded`           count columns of the ledger and of events that hold anything
    """

    usual_gap_days: float | None
    usual_order_value: float | None
    recorded: frozenset[str]

    def records(self, column: str) -> bool:
        """Say whether the shop recorded anything in a count column before the snapshot."""
        return column in self.recorded


def read_shop_facts(parts: Iterable[tuple[Frame, Frame, Frame]]) -> ShopFacts:
    """Measure the shop on order days, ledger and event rows known at a snapshot, given in parts."""
    measures = ("gap_days", "gross_minor")
    usual: list[pl.DataFrame] = []
    filled: set[str] = set()
    for days, ledger, events in parts:
        usual.append(days.select(nw.col(*measures).cast(nw.Int64)).collect("polars").to_native())
        filled.update(_filled_columns(ledger), _filled_columns(events))
    gap, value = pl.concat(usual).select(pl.col(measures).median().cast(pl.Float64)).row(0)
    return ShopFacts(gap, value, frozenset(filled))


def _filled_columns(rows: Frame) -> list[str]:
    names = [name for name in rows.collect_schema().names() if name.endswith(("_count", "_minor"))]
    filled = rows.select((nw.col(*names) != 0).max()).collect("polars").to_native()
    return [name for name in names if filled[name][0]]
