"""Facts about the whole shop as of a snapshot, made in one pass before the customers' features.

They turn a customer's days and money into "compared with this shop", so that a feature means the same in a grocery
and in a furniture shop. Like every feature they hold only what was known before the snapshot.
"""

from dataclasses import dataclass

import narwhals as nw
import polars as pl

from features.history import MONEY_SCALE


@dataclass(frozen=True, slots=True)
class ShopFacts:
    """What is usual in a shop; None where nothing was seen yet.

    `usual_gap_days`     median gap between a customer's consecutive order days
    `usual_order_value`  median gross value of an order day, major units
    `history_days`       24-hour days from the first order to the snapshot
    """

    usual_gap_days: float | None
    usual_order_value: float | None
    history_days: float


def read_shop_facts(days: nw.LazyFrame[object]) -> ShopFacts:
    """Measure the shop on its order days (`features.orders.order_days`) of one snapshot."""
    facts = days.select(
        nw.col("gap_days").median().cast(nw.Float64).alias("gap"),
        nw.col("gross_minor").median().cast(nw.Float64).alias("value"),
        nw.col("oldest_order").max().cast(nw.Float64).alias("history"),
    )
    row = pl.DataFrame(facts.collect("polars").to_native()).row(0, named=True)
    value = row["value"]
    return ShopFacts(row["gap"], None if value is None else value / MONEY_SCALE, row["history"] or 0.0)
