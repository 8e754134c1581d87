"""Hand-made runs for the tests of the ledger: four customers, churn and spend at 30 and 90 days."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl

from features.ledger import LedgerRun, write_run

AS_OF = date(2025, 3, 1)
CUSTOMERS = ("a", "b", "c", "d")

#         30    90    30    90   low  high
SAID = {
    "a": (0.2, 0.1, 12.0, 30.0, 0.0, 40.0),
    "b": (0.6, 0.3, 8.0, 20.0, 0.0, 25.0),
    "c": (0.7, 0.4, 4.0, 10.0, 0.0, 30.0),
    "d": (0.9, 0.6, 1.0, 5.0, 0.0, 0.0),
}
COLUMNS = (
    "churn_probability_30",
    "churn_probability_90",
    "predicted_clv_30",
    "predicted_clv_90",
    "predicted_clv_low",
    "predicted_clv_high",
)


def ledger_run(**changes: Any) -> LedgerRun:
    """Return the facts of a run as of 2025-03-01."""
    values: dict[str, Any] = {
        "score_run_id": "s_0001",
        "as_of": AS_OF,
        "scored_at": datetime(2025, 3, 1, 0, 10, tzinfo=UTC),
        "time_zone": "UTC",
        "currency": "EUR",
        "clv_basis": "net",
        "churn_horizon_days": 30,
        "churn_horizons_days": (30, 90),
        "clv_horizon_days": 90,
        "clv_horizons_days": (30, 90),
        "method": "ml",
        "churn_model_version": 7,
        "clv_method": "btyd",
        "clv_model_version": 5,
        "customer_count": 4,
    }
    return LedgerRun(**(values | changes))


def said(customers: Sequence[str] = CUSTOMERS, **columns: float) -> pl.DataFrame:
    """Return what was said of customers (those unknown as of d); `columns` change everybody's values."""
    rows = [(customer, *SAID.get(customer, SAID["d"])) for customer in customers]
    table = pl.DataFrame(rows, schema=["customer_id", *COLUMNS], orient="row")
    return table.with_columns(pl.lit(value).alias(name) for name, value in columns.items())


def keep(folder: Path, rows: pl.DataFrame | None = None, **changes: Any) -> Path:
    """Write a run into a ledger."""
    written = said() if rows is None else rows
    return write_run(folder, ledger_run(**({"customer_count": written.height} | changes)), [written])
