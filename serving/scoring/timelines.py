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

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final, Self

import orjson
import polars as pl

from features import ledger
from features.history import MONEY_SCALE, History
from features.snapshot import Snapshot
from serving.scoring.bucket_files import bucket_path
from serving.scoring.past_stages import PastStages, stages_found
from serving.scoring.sorted_files import merge_streams, write_whole
from serving.store.records import RunMeta

ORDERS_KEPT: Final = 24
SCORES_KEPT: Final = 12
_SCORE_SCHEMA: Final = {
    "customer_id": pl.String,
    "as_of": pl.Date,
    "churn_probability": pl.Float64,
    "predicted_clv": pl.Float64,
}


@dataclass(frozen=True, slots=True)
class Said:
    """What earlier runs said: the files of the ledger that can be compared, the oldest date first."""

    files: tuple[tuple[Path, ledger.LedgerRun], ...]

    @classmethod
    def find(cls, folder: Path, meta: RunMeta) -> Self:
        """Find the newest run of each earlier date that speaks of the same things.

        Files that cannot be read are left out: a page without a past is better than no run.
        """
        return cls(tuple(found for found in _comparable(folder, meta) if _is_readable(*found)))

    def parts(self, edges: Sequence[str]) -> Iterator[pl.DataFrame]:
        """Yield `customer_id` and `scores`, a list of (as_of, probability, CLV), a range of ids at a time."""
        empty = iter([pl.DataFrame(schema=_SCORE_SCHEMA)])
        score = pl.struct("as_of", "churn_probability", "predicted_clv")
        for rows in merge_streams([empty, *(_said_by(path, run) for path, run in self.files)], edges):
            yield rows.sort("customer_id", "as_of").group_by("customer_id").agg(score.alias("scores"))

    def newest(self, *, until: date) -> pl.DataFrame | None:
        """Return `customer_id` and `churn_probability` of the newest run until a date; None without."""
        known = [found for found in self.files if found[1].as_of <= until]
        if not known:
            return None
        return pl.concat(part.select("customer_id", "churn_probability") for part in _said_by(*known[-1]))


def write_orders(
    history: History, snapshot: Snapshot, *, bucket: int, customer_ids: pl.Series, folder: Path
) -> None:
    """Write the last orders of a bucket's customers as a file (`bucket_files`)."""
    wanted = customer_ids.alias("customer_id").to_frame()
    orders = _orders(history, snapshot, bucket=bucket).join(wanted, on="customer_id", how="semi")
    write_whole(orders.sort("customer_id"), bucket_path(folder, "orders", bucket))


def build_timelines(
    orders: Iterable[pl.DataFrame], said: Iterable[pl.DataFrame], past: PastStages
) -> Iterator[tuple[str, str]]:
    """Yield (customer_id, JSON) of customers, in their order.

    `orders` are those of `write_orders` and `said` those of `Said.parts`, a range of customers at a time.
    """
    for some, scores in zip(orders, said, strict=True):
        monthly = past.of(some["customer_id"]).monthly
        dates = [name for name in monthly.columns if name != "customer_id"]
        rows = some.join(scores, on="customer_id", how="left", maintain_order="left")
        rows = rows.join(monthly, on="customer_id", how="left", maintain_order="left")
        for customer_id, days, amounts, products, told, *stages in rows.iter_rows():
            document = {
                "orders": list(zip(days, amounts, products, strict=True)),
                "scores": [tuple(score.values()) for score in told or ()],
                "stages": stages_found(dates, stages),
            }
            yield customer_id, orjson.dumps(document).decode()


def _is_readable(path: Path, run: ledger.LedgerRun) -> bool:
    try:
        for _ in _said_by(path, run):
            pass
    except ledger.LedgerError:
        return False
    return True


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


def _said_by(path: Path, run: ledger.LedgerRun) -> Iterator[pl.DataFrame]:
    probability = f"churn_probability_{run.churn_horizon_days}"
    worth = f"predicted_clv_{run.clv_horizon_days}"
    for rows in ledger.iterate_rows(path, run, [probability, worth]):
        yield rows.select(
            "customer_id",
            pl.lit(run.as_of, pl.Date).alias("as_of"),
            pl.col(probability).alias("churn_probability"),
            pl.col(worth).alias("predicted_clv"),
        )


def _orders(history: History, snapshot: Snapshot, *, bucket: int) -> pl.DataFrame:
    lines = pl.scan_parquet(history.paths("order_lines", buckets=[bucket]), glob=False).filter(
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
