"""Labels: what happened in `[D, D + h)`, for every horizon whose outcome is over.

Worked example, D = 2011-09-10, h = 90, known until 2011-12-09: an order on 2011-09-10 00:00 counts, one on
2011-12-09 00:00 does not, and h = 180 is unknown (NaN), because its window ends after what is known.
"""

from collections.abc import Sequence

import narwhals as nw
import polars as pl

from features.basis import Basis
from features.build import Part, read_parts
from features.cohort import cohort_rows
from features.history import MONEY_SCALE, History
from features.margin import basis_money
from features.orders import Frame, known_rows
from features.settings import Settings
from features.snapshot import Snapshot

OUTCOME_NAMES = ("churned", "spend", "order_count")
"""What is known of a customer after a snapshot, each by horizon: `churned_30`, …"""


def build_labels(
    history: History,
    snapshot: Snapshot,
    *,
    horizons_days: Sequence[int],
    known_until: Snapshot,
    settings: Settings,
) -> pl.DataFrame:
    """Build one row per cohort customer, sorted: `customer_id`, `as_of`, then three columns a horizon h.

    `churned_h` is 1 without an order in `[D, D + h)`, else 0; `spend_h` is the money of that window on the
    shop's basis (a return counts on its own date), in major units; `order_count_h` its orders. All are null
    where the window ends after `known_until`.
    """
    parts = read_parts(history, engine=settings.features.engine)
    return compute_labels(
        parts, snapshot, horizons_days=horizons_days, known_until=known_until, settings=settings
    )


def compute_labels(
    parts: Sequence[Part],
    snapshot: Snapshot,
    *,
    horizons_days: Sequence[int],
    known_until: Snapshot,
    settings: Settings,
) -> pl.DataFrame:
    """Compute the labels of the customers in the parts, as `build_labels` describes them."""
    known = [h for h in horizons_days if is_known(snapshot, horizon_days=h, known_until=known_until)]
    labels = [_label_part(part, snapshot, known, basis=settings.shop.basis) for part in parts]
    return _finish(pl.concat(labels), snapshot, horizons_days)


def is_known(snapshot: Snapshot, *, horizon_days: int, known_until: Snapshot) -> bool:
    """Say whether the outcome window `[D, D + h)` is over at `known_until`."""
    return snapshot.outcome_end_days(horizon_days) <= known_until.end_days


def _label_part(
    part: Part, snapshot: Snapshot, horizons_days: Sequence[int], *, basis: Basis
) -> pl.DataFrame:
    cohort = cohort_rows(known_rows(part.scan(part.ledger), snapshot))
    outcomes = _outcomes(part.scan(part.ledger), snapshot, horizons_days, basis=basis)
    labels: pl.DataFrame = cohort.join(outcomes, on="customer_id", how="left").collect("polars").to_native()
    return labels


def _outcomes(rows: Frame, snapshot: Snapshot, horizons_days: Sequence[int], *, basis: Basis) -> Frame:
    days = nw.col("ordered_days")
    amount = basis_money(basis)
    last = max((snapshot.outcome_end_days(h) for h in horizons_days), default=snapshot.end_days)
    aggregates: list[nw.Expr] = []
    for horizon in horizons_days:
        inside = days < snapshot.outcome_end_days(horizon)
        aggregates += [
            nw.when(inside)
            .then(amount)
            .otherwise(nw.lit(0))
            .sum()
            .cast(nw.Float64)
            .alias(f"spend_{horizon}"),
            nw.when(inside)
            .then(nw.col("order_count"))
            .otherwise(nw.lit(0))
            .sum()
            .cast(nw.Float64)
            .alias(f"order_count_{horizon}"),
        ]
    future = rows.filter((days >= snapshot.end_days) & (days < last))
    return future.group_by("customer_id").agg(nw.len().alias("row_count"), *aggregates)


def _finish(labels: pl.DataFrame, snapshot: Snapshot, horizons_days: Sequence[int]) -> pl.DataFrame:
    columns: list[pl.Expr] = []
    for horizon in horizons_days:
        names = tuple(f"{name}_{horizon}" for name in OUTCOME_NAMES)
        if names[1] not in labels.columns:
            columns += [pl.lit(None, dtype=pl.Float64).alias(name) for name in names]
            continue
        orders = pl.col(names[2]).fill_null(0.0)
        spend = (pl.col(names[1]).fill_null(0.0) / MONEY_SCALE).round_sig_figs(15)
        columns += [
            (orders == 0).cast(pl.Float64).alias(names[0]),
            spend.alias(names[1]),
            orders.alias(names[2]),
        ]
    return labels.sort("customer_id").select("customer_id", pl.lit(snapshot.date).alias("as_of"), *columns)
