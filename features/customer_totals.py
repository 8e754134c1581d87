"""What RFM and the formula CLV are made of: orders and money of each customer, in all and within a window.

The totals of all history equal the features of the same name; `order_count_in_window` and `spend_in_window`
equal `order_count_365` and `spend_365` for a window of 365 days, and so on. Beside them stands how many
customers of one period came back in the next, which is all that a lifespan can be estimated from.
"""

from dataclasses import dataclass

import narwhals as nw
import polars as pl

from features.build import Part, iterate_parts
from features.expressions import sum_where, within
from features.history import MONEY_SCALE, History
from features.margin import basis_money
from features.orders import Frame, known_rows
from features.settings import Settings
from features.snapshot import Snapshot

_MONEY = ("spend_total", "spend_in_window")


@dataclass(frozen=True, slots=True)
class PeriodReturns:
    """How many customers of one period ordered again in the next, over all pairs of whole periods.

    Periods have `period_days` and are counted back from the snapshot; the oldest, cut by the beginning of the
    history, is left out. `history_days` are the days from the first order to the snapshot.
    """

    period_days: int
    buyer_count: int
    returned_count: int
    history_days: int


@dataclass(frozen=True, slots=True)
class CustomerTotals:
    """The customers of a shop at a snapshot, and how they came back from period to period.

    `customers`  one row per customer, sorted: `customer_id`, `recency_days`, `order_count`, `spend_total`,
                 `order_count_in_window`, `spend_in_window`; money on the shop's basis, in major units
    """

    customers: pl.DataFrame
    returns: PeriodReturns


def read_customer_totals(history: History, snapshot: Snapshot, *, settings: Settings) -> CustomerTotals:
    """Read the totals of everybody who ordered before a snapshot; the window is `rfm.window_days`."""
    period_days = settings.rfm.window_days
    tables: list[pl.DataFrame] = []
    periods: list[pl.DataFrame] = []
    for part in iterate_parts(history, engine=settings.features.engine, snapshot=snapshot):
        ledger = known_rows(part.scan(part.ledger), snapshot)
        tables.append(_totals(ledger, snapshot, settings=settings))
        periods.append(_ordered_periods(ledger, period_days))
    rows = pl.concat(periods)
    oldest = rows["oldest_days"].max() if rows.height else 0
    returns = count_returns(rows, period_days=period_days, history_days=int(str(oldest)))
    return CustomerTotals(pl.concat(tables).sort("customer_id"), returns)


def part_totals(part: Part, snapshot: Snapshot, *, settings: Settings) -> pl.DataFrame:
    """Return the totals of a part's customers, as `CustomerTotals.customers` describes them."""
    ledger = known_rows(part.scan(part.ledger), snapshot)
    return _totals(ledger, snapshot, settings=settings).sort("customer_id")


def count_returns(ordered: pl.DataFrame, *, period_days: int, history_days: int) -> PeriodReturns:
    """Count who came back from one whole period to the next.

    `ordered` has a row per customer and period with an order: `customer_id` and `period`, 0 the newest.
    """
    whole_count = history_days // period_days
    ordered = ordered.filter(pl.col("period") < whole_count).sort("customer_id", "period")
    newer = pl.col("period").shift(1).over("customer_id")
    buyers = ordered.with_columns(newer.alias("newer")).filter(pl.col("period") > 0)
    returned = buyers.filter(pl.col("period") - pl.col("newer") == 1)
    return PeriodReturns(period_days, buyers.height, returned.height, history_days)


def _totals(ledger: Frame, snapshot: Snapshot, *, settings: Settings) -> pl.DataFrame:
    money, inside = basis_money(settings.shop.basis), within(settings.rfm.window_days)
    opened = nw.when(nw.col("order_count") > 0).then(nw.lit(snapshot.end_days) - nw.col("ordered_days"))
    aggregates = {
        "recency_days": opened.min(),
        "order_count": nw.col("order_count").sum(),
        "spend_total": money.sum(),
        "order_count_in_window": sum_where(inside, "order_count"),
        "spend_in_window": sum_where(inside, money),
    }
    totals = ledger.group_by("customer_id").agg(*(total.alias(name) for name, total in aggregates.items()))
    known: pl.DataFrame = (
        totals.filter(nw.col("order_count") > 0)
        .with_columns(nw.col(*aggregates).cast(nw.Float64))
        .collect("polars")
        .to_native()
    )
    # Divided by a column: by a constant, Polars would multiply with its reciprocal and lose the last cent.
    scale = pl.repeat(float(MONEY_SCALE), known.height, eager=True).alias("minor_per_major")
    return (
        known.with_columns(scale)
        .with_columns(pl.col(_MONEY) / pl.col("minor_per_major"))
        .drop("minor_per_major")
    )


def _ordered_periods(ledger: Frame, period_days: int) -> pl.DataFrame:
    """Return one row per customer and period with an order, and the oldest order in it (`oldest_days`)."""
    period = ((nw.col("days_ago") - 1) / period_days).floor().cast(nw.Int64)
    rows = (
        ledger.filter(nw.col("order_count") > 0)
        .with_columns(period.alias("period"))
        .group_by("customer_id", "period")
        .agg(nw.col("days_ago").max().cast(nw.Int64).alias("oldest_days"))
    )
    return rows.collect("polars").to_native()  # type: ignore[no-any-return]
