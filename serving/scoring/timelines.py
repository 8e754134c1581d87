"""What happened to a customer, for their page: their last orders, and what earlier runs said of them.

Kept with a run, one JSON object a customer:

    {"orders": [["2017-12-20", 12.34, 3], …],         newest first: day in the shop's time zone, money of the
                                                      order before returns, different products
     "scores": [["2017-12-01", 0.21, 150.0], …],      oldest first: as_of, churn_probability, predicted_clv
     "stages": [["2017-03-01", "active"], …]}         oldest first: when another clock stage was found

Stages are looked at where a month begins, and at the run's date (`serving.scoring.past_stages`).
At most `ORDERS_KEPT` orders and `SCORES_KEPT` earlier dates; of a date scored twice the newer run counts.
Only runs with the same headline horizon, money and basis can be compared, so only they are shown.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import orjson
import polars as pl

from features import ledger
from features.history import MONEY_SCALE, History
from features.snapshot import Snapshot
from serving.scoring.past_stages import stages_found
from serving.store.records import RunMeta

ORDERS_KEPT: Final = 24
SCORES_KEPT: Final = 12


_SCORES: Final = pl.List(
    pl.Struct({"as_of": pl.Date, "churn_probability": pl.Float64, "predicted_clv": pl.Float64})
)


def build_timelines(
    history: History,
    snapshot: Snapshot,
    said: pl.DataFrame,
    *,
    monthly: pl.DataFrame,
    customer_ids: pl.Series,
) -> Iterator[tuple[str, str]]:
    """Yield (customer_id, JSON) of customers, a bucket of the history at a time.

    `said` is `read_said`'s, `monthly` those stages of `serving.scoring.past_stages.PastStages`.
    """
    wanted = customer_ids.alias("customer_id").to_frame()
    dates = [name for name in monthly.columns if name != "customer_id"]
    for bucket in range(history.manifest.bucket_count):
        orders = _orders(history, snapshot, bucket=bucket)
        rows = orders.join(wanted, on="customer_id", how="semi").join(said, on="customer_id", how="left")
        rows = rows.join(monthly, on="customer_id", how="left")
        for customer_id, days, amounts, products, scores, *stages in rows.iter_rows():
            document = {
                "orders": list(zip(days, amounts, products, strict=True)),
                "scores": [tuple(score.values()) for score in scores or ()],
                "stages": stages_found(dates, stages),
            }
            yield customer_id, orjson.dumps(document).decode()


def read_said(folder: Path, meta: RunMeta) -> pl.DataFrame:
    """Return `customer_id` and `scores`, a list of (as_of, churn_probability, predicted_clv) an earlier run.

    Files of the ledger that cannot be read are left out: a page without a past is better than no run.
    """
    parts = []
    for path, run in _comparable(folder, meta):
        with suppress(ledger.LedgerError):
            parts.append(_said_by(path, run))
    if not parts:
        return pl.DataFrame(schema={"customer_id": pl.String, "scores": _SCORES})
    rows = pl.concat(parts).sort("customer_id", "as_of")
    score = pl.struct("as_of", "churn_probability", "predicted_clv")
    return rows.group_by("customer_id").agg(score.alias("scores"))


def _comparable(folder: Path, meta: RunMeta) -> Sequence[tuple[Path, ledger.LedgerRun]]:
    """Return the newest run of each earlier date that speaks of the same things, the oldest date first."""
    wanted = (meta.churn_horizon_days, meta.clv_horizon_days, meta.currency, meta.clv_basis)
    by_date = {}
    for path in ledger.list_files(folder):
        try:
            run = ledger.read_run(path)
        except ledger.LedgerError:
            continue
        found = (run.churn_horizon_days, run.clv_horizon_days, run.currency, run.clv_basis)
        if run.as_of < meta.as_of and found == wanted:
            by_date[run.as_of] = (path, run)
    return [by_date[day] for day in sorted(by_date)[-SCORES_KEPT:]]


def _said_by(path: Path, run: ledger.LedgerRun) -> pl.DataFrame:
    return ledger.read_rows(path, run).select(
        "customer_id",
        pl.lit(run.as_of, pl.Date).alias("as_of"),
        pl.col(f"churn_probability_{run.churn_horizon_days}").alias("churn_probability"),
        pl.col(f"predicted_clv_{run.clv_horizon_days}").alias("predicted_clv"),
    )


def _orders(history: History, snapshot: Snapshot, *, bucket: int) -> pl.DataFrame:
    lines = pl.scan_parquet(history.paths("order_lines", buckets=[bucket])).filter(
        ~pl.col("is_return"), pl.col("ordered_days") < snapshot.end_days
    )
    orders = lines.group_by("customer_id", "order_id").agg(
        pl.col("ordered_at").min(),
        (pl.col("amount_minor").sum() / MONEY_SCALE).round(2).alias("amount"),
        pl.col("product_id").drop_nulls().n_unique().alias("product_count"),
    )
    newest = orders.sort("ordered_at", "order_id", descending=True).group_by("customer_id").head(ORDERS_KEPT)
    day = pl.col("ordered_at").dt.convert_time_zone(snapshot.time_zone).dt.date()
    listed = newest.sort("ordered_at", "order_id", descending=True).group_by("customer_id")
    return listed.agg(day.alias("days"), "amount", "product_count").collect()
