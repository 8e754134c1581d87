"""Scoring a whole shop as of a snapshot, a bucket of customers at a time.

Pass one computes what follows from one bucket alone and puts it down as a file (`bucket_files.write_bucket`).
Between, the shop's cut points are measured from the few columns that they need. Pass two completes the rows a
range of customers at a time, in the order in which a run holds them (`sorted_files`). So memory holds a
bucket, then a range, and of all customers only narrow columns.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import polars as pl

from features.buckets import LINES_PER_BUCKET
from features.build import build_shop_facts
from features.console import Announce
from features.errors import UserError
from features.examples import in_first_season
from features.history import History
from features.holes import read_holes
from features.rfm import scheme_of
from features.settings import Settings
from features.settle import BasisNote
from features.shop import ShopFacts
from features.snapshot import Snapshot
from features.suppression import NOBODY, Suppressed
from models.registry_names import Task
from serving.cluster.ask import Cluster, left_out
from serving.cluster.order import Order, digest_of
from serving.cluster.processes import Processes, core_count
from serving.cluster.workers import Worker, Workers
from serving.registry import Champion
from serving.rows import STORED, STORED_NAMES
from serving.scoring.audience_rules import DUE
from serving.scoring.bucket_files import Table, bucket_paths
from serving.scoring.bucket_scores import Predictors
from serving.scoring.completion import Completion, measure_cuts_before, measure_shop_cuts
from serving.scoring.lists import ListMaker, make_lists
from serving.scoring.past_stages import PastStages, read_past_stages
from serving.scoring.reference import RunReference
from serving.scoring.run_rows import RunRows
from serving.scoring.run_scores import RunLabels, stored_expression
from serving.scoring.shop_cuts import ShopCuts
from serving.scoring.sorted_files import CUSTOMER, RANGE_ROWS, merge_sorted, range_edges
from serving.scoring.warnings import run_warnings
from serving.store.records import RunMeta

_COMPLETED: Final = "completed"


class NobodyError(UserError):
    """Nobody is left to be scored."""


@dataclass(frozen=True, slots=True)
class Scorers:
    """The champions of a run; a shop without product ids has no recommender."""

    churn: Champion
    clv: Champion
    recommender: Champion | None

    @property
    def by_task(self) -> dict[Task, Champion]:
        """The champions that there are."""
        found: dict[Task, Champion | None] = {
            "churn": self.churn,
            "clv": self.clv,
            "recommender": self.recommender,
        }
        return {task: champion for task, champion in found.items() if champion is not None}


@dataclass(frozen=True, slots=True)
class ScoredRun:
    """A scored shop, its rows in files; its lists are made when they are asked for, a bucket at a time.

    `edges` part the customers into ranges (`serving.scoring.sorted_files`), as `rows` does; `folder` is where
    more can be put down until the run is over. `past` is where the customers stood before. The
    `workers` who wrote the rows of buckets write their lists, too.
    """

    rows: RunRows
    edges: list[str]
    meta: RunMeta
    lists: ListMaker
    past: PastStages
    folder: Path
    workers: Workers
    suppressed: Suppressed = NOBODY

    def merged(self, table: Table) -> Iterator[pl.DataFrame]:
        """Yield what buckets put down beside their rows, a range of customers at a time, as `rows` does."""
        return merge_sorted(bucket_paths(self.folder, table), self.edges)

    def stored_rows(self) -> Iterator[tuple[Any, ...]]:
        """Yield rows as the store takes them."""
        for part in self.rows.parts(STORED_NAMES):
            yield from stored_tuples(part)

    def nearest(self) -> pl.DataFrame:
        """Return `customer_id` and how soon something falls due, of everybody to whom anything does."""
        known = [pl.read_parquet(path, glob=False) for path in bucket_paths(self.folder, "nearest")]
        return pl.concat([pl.DataFrame(schema={CUSTOMER: pl.String, DUE: pl.Float64}), *known])


@dataclass(frozen=True, slots=True)
class ShopKnown:
    """What is known of a shop as a whole before anybody is scored."""

    facts: ShopFacts
    past: PastStages


def score_shop(
    history: History,
    snapshot: Snapshot,
    scorers: Scorers,
    *,
    settings: Settings,
    folder: Path,
    announce: Announce,
    basis_note: BasisNote | None = None,
    suppressed: Suppressed = NOBODY,
) -> ScoredRun:
    """Score every customer who ordered before a snapshot with the champions, on the settings' basis.

    Of the `suppressed` no score is computed. What is put down in `folder` are the run's rows. Raises
    `NobodyError` where nobody is left.
    """
    announce("the shop as a whole")
    known = know_shop(history, snapshot, scorers, settings=settings, suppressed=suppressed)
    order = order_of(history, snapshot, scorers, known, settings=settings, folder=folder)
    order = order.model_copy(update={"left_out": left_out(history, suppressed)})
    workers = workers_of(order, scorers, settings)
    workers.write("rows", announce)
    announce("the rows of the run")
    return complete_shop(order, scorers, known, workers, basis_note=basis_note, suppressed=suppressed)


def workers_of(order: Order, scorers: Scorers, settings: Settings) -> Workers:
    """Return who writes the buckets: the cluster of the engine, this machine's processes, or this process."""
    bundles = {task: champion.folder for task, champion in scorers.by_task.items()}
    if settings.features.engine == "pyspark":
        return Cluster.ship(order, bundles)
    is_large = order.manifest.row_counts["order_lines"] > LINES_PER_BUCKET
    wanted = settings.scoring.processes or (core_count() if is_large else 1)
    if min(wanted, order.manifest.bucket_count) > 1:
        return Processes(order, bundles, min(wanted, order.manifest.bucket_count))
    return Worker.of(order, {task: champion.bundle.model for task, champion in scorers.by_task.items()})


def order_of(
    history: History,
    snapshot: Snapshot,
    scorers: Scorers,
    known: ShopKnown,
    *,
    settings: Settings,
    folder: Path,
) -> Order:
    """Return the order to score a shop with its champions."""
    # A worker has one bucket in its hands, and no cluster of its own.
    alone = settings.features.model_copy(update={"engine": "polars"})
    return Order(
        root=history.root.resolve(),
        manifest=history.manifest,
        snapshot=snapshot,
        settings=settings.model_copy(update={"features": alone}),
        shop=known.facts,
        headline_days=scorers.churn.headline_days,
        folder=folder.resolve(),
        digests={task: digest_of(champion.folder) for task, champion in scorers.by_task.items()},
    )


def know_shop(
    history: History,
    snapshot: Snapshot,
    scorers: Scorers,
    *,
    settings: Settings,
    suppressed: Suppressed = NOBODY,
) -> ShopKnown:
    """Measure the shop as a whole, some buckets at a time."""
    past = read_past_stages(
        history, snapshot, settings=settings, headline_days=scorers.churn.headline_days, suppressed=suppressed
    )
    return ShopKnown(build_shop_facts(history, snapshot, engine=settings.features.engine), past)


def complete_shop(
    order: Order,
    scorers: Scorers,
    known: ShopKnown,
    workers: Workers,
    *,
    basis_note: BasisNote | None = None,
    suppressed: Suppressed = NOBODY,
) -> ScoredRun:
    """Return the run of a shop whose buckets were all written by an order's workers.

    The files of the buckets' rows are gone after. Raises `NobodyError` where there is none.
    """
    history, snapshot, settings, folder = order.history, order.snapshot, order.settings, order.folder
    paths = bucket_paths(folder, "rows")
    if not paths:
        raise NobodyError(f"nobody is left to be scored as of {snapshot.date}: nothing was published")
    edges = range_edges(paths, rows=RANGE_ROWS)
    cuts = measure_shop_cuts(paths, known.past, settings)
    completion = Completion(
        run_labels(scorers, snapshot),
        scheme_of(settings.rfm),
        cuts,
        known.past,
        measure_cuts_before(paths, settings),
    )
    rows = RunRows.write(map(completion.of, merge_sorted(paths, edges)), folder / _COMPLETED)
    shutil.rmtree(folder / "rows")
    recommender = scorers.recommender.bundle.model if scorers.recommender else None
    lists = make_lists(history, snapshot, recommender, settings=settings)
    meta = _meta(rows, scorers, settings, snapshot=snapshot, currency=history.manifest.currency).model_copy(
        update={
            **_of_cuts(cuts, settings),
            "unavailable_kinds": lists.unavailable,
            "popularity_days": recommender.popularity_days_ if recommender else None,
            "reference": RunReference.of(cuts, known.facts).model_dump(),
            "first_season": in_first_season(
                known.past.gaps.history_days, headline_days=scorers.churn.headline_days
            ),
        }
    )
    holes = read_holes(history, snapshot)
    told = run_warnings(rows.read("lapsed"), meta, holes, basis_note, unknown_denied=lists.unknown_denied)
    meta = meta.model_copy(update={"warnings": told})
    return ScoredRun(rows, edges, meta, lists, known.past, folder, workers, suppressed)


def make_predictors(scorers: Scorers, settings: Settings) -> Predictors:
    """Return the champions of churn and value with the horizons and the money that settings ask for."""
    return Predictors.of(
        scorers.churn.bundle.model,
        scorers.clv.bundle.model,
        headline_days=scorers.churn.headline_days,
        settings=settings,
    )


def run_labels(scorers: Scorers, snapshot: Snapshot) -> RunLabels:
    """Return what is the same in every row that champions make as of a snapshot."""
    card = scorers.churn.card
    return RunLabels(
        snapshot.date,
        scorers.churn.headline_days,
        card.method,
        scorers.clv.method,
        card.grade,
        scorers.recommender is not None,
        card.beats_baseline,
    )


def stored_tuples(rows: pl.DataFrame) -> Iterator[tuple[Any, ...]]:
    """Yield completed rows as the store takes them: dates and instants as ISO text, booleans as 0 and 1."""
    columns = [stored_expression(column.name, column.kind) for column in STORED]
    return rows.select(columns).iter_rows()


def _meta(
    rows: RunRows, scorers: Scorers, settings: Settings, *, snapshot: Snapshot, currency: str
) -> RunMeta:
    return RunMeta(
        as_of=snapshot.date,
        scored_at=datetime.now(UTC).replace(microsecond=0),
        currency=currency,
        clv_basis=settings.shop.clv_basis,
        margin_share=settings.shop.margin_share,
        clv_discount_rate=settings.clv.discount_rate,
        time_zone=settings.shop.time_zone,
        customer_count=rows.height,
        newest_order_at=rows.read("last_order_at")["last_order_at"].max(),  # type: ignore[arg-type]
        churn_horizon_days=scorers.churn.headline_days,
        clv_horizon_days=settings.clv.horizon_days,
        churn_supported_days=scorers.churn.bundle.model.supported_days_,
        models={task: champion.card for task, champion in scorers.by_task.items()},
    )


def _of_cuts(cuts: ShopCuts, settings: Settings) -> dict[str, Any]:
    return {
        "lapsed_after_days": cuts.lapsed_after_days,
        "usual_churn_probability": cuts.usual_probability,
        "medium_from_probability": cuts.medium_from,
        "high_from_probability": cuts.high_from,
        "medium_from_times_usual": settings.risk.medium_from_times_usual,
        "high_from_times_usual": settings.risk.high_from_times_usual,
    }
