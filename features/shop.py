"""Facts about the whole shop as of a snapshot, made in one pass before the customers' features.

They turn a customer's days and money into "compared with this shop", so that a feature means the same in a
grocery and in a furniture shop. Like every feature they hold only what was known before the snapshot.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import narwhals as nw

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


def read_shop_facts(days: Frame, known: Sequence[Frame]) -> ShopFacts:
    """Measure the shop on the order days and on the known ledger and event rows of one snapshot."""
    usual = days.select(
        nw.col("gap_days").median().alias("gap"), nw.col("gross_minor").median().alias("value")
    )
    row = usual.with_columns(nw.all().cast(nw.Float64)).collect("polars").to_native().row(0, named=True)
    return ShopFacts(row["gap"], row["value"], frozenset(chain.from_iterable(map(_filled_columns, known))))


def _filled_columns(rows: Frame) -> list[str]:
    names = [name for name in rows.collect_schema().names() if name.endswith(("_count", "_minor"))]
    filled = rows.select((nw.col(*names) != 0).max()).collect("polars").to_native()
    return [name for name in names if len(filled) and filled[name][0]]
