"""What a published run leaves in the ledger of scores (`features.ledger`), to be graded later."""

from collections.abc import Iterable

import numpy as np
import polars as pl

from features.layout import Layout
from features.ledger import LedgerError, LedgerRun, write_run
from features.settings import Settings
from serving.rows import HORIZONS_DAYS
from serving.scoring.horizons import clv_horizons
from serving.scoring.worth import undiscounted
from serving.store.records import RunMeta


def keep_run(parts: Iterable[pl.DataFrame], meta: RunMeta, layout: Layout, settings: Settings) -> str | None:
    """Keep the predictions of a published run; return None, or one line that says why they are not kept.

    `parts` are the run's completed rows in their order, some at a time. The run is live already: whatever
    goes wrong here, nobody loses a score.
    """
    try:
        run = ledger_run(meta, customer_count=meta.customer_count)
        told = (_told(rows, run, yearly_rate=meta.clv_discount_rate) for rows in parts)
        write_run(layout.ledger, run, told, keep_days=settings.ledger.keep_days)
    except (LedgerError, pl.exceptions.PolarsError, ValueError) as error:
        return f"warning: run {meta.score_run_id} is live, but will never be graded: {error}"
    return None


def _told(rows: pl.DataFrame, run: LedgerRun, *, yearly_rate: float) -> pl.DataFrame:
    named = _by_horizon(rows, run)
    return _undiscounted(named, run, yearly_rate=yearly_rate) if yearly_rate else named


def ledger_run(meta: RunMeta, *, customer_count: int) -> LedgerRun:
    """Return what the ledger says of a published run; `meta` has both champions and both horizons."""
    churn, clv = meta.models["churn"], meta.models["clv"]
    headline_days, clv_days = meta.churn_horizon_days or 0, meta.clv_horizon_days or 0
    return LedgerRun(
        score_run_id=meta.score_run_id,
        as_of=meta.as_of,
        scored_at=meta.scored_at,
        time_zone=meta.time_zone,
        currency=meta.currency,
        clv_basis=meta.clv_basis,
        margin_share=meta.margin_share,
        churn_horizon_days=headline_days,
        churn_horizons_days=tuple(sorted({*HORIZONS_DAYS, headline_days})),
        clv_horizon_days=clv_days,
        clv_horizons_days=clv_horizons(clv_days),
        method=churn.method,
        churn_model_version=churn.version,
        clv_method=clv.method,
        clv_model_version=clv.version,
        customer_count=customer_count,
    )


def _by_horizon(rows: pl.DataFrame, run: LedgerRun) -> pl.DataFrame:
    """Name the headline and the CLV horizon as the others are named, where they are not among these."""
    named = {
        f"churn_probability_{run.churn_horizon_days}": "churn_probability",
        f"predicted_clv_{run.clv_horizon_days}": "predicted_clv",
    }
    return rows.with_columns(pl.col(column).alias(name) for name, column in named.items())


def _undiscounted(rows: pl.DataFrame, run: LedgerRun, *, yearly_rate: float) -> pl.DataFrame:
    """Return the rows with spend as it is expected to come, to be held against spend as it came."""
    names = [f"predicted_clv_{days}" for days in run.clv_horizons_days]
    worth = rows.select(names).to_numpy()
    spend = undiscounted(worth, run.clv_horizons_days, yearly_rate=yearly_rate)
    last = run.clv_horizons_days.index(run.clv_horizon_days)
    grown = np.divide(spend[:, last], worth[:, last], out=np.ones(len(rows)), where=worth[:, last] > 0)
    bounds = [pl.col(name) * pl.Series(grown) for name in ("predicted_clv_low", "predicted_clv_high")]
    return rows.with_columns(*bounds, **dict(zip(names, map(pl.Series, spend.T), strict=True)))
