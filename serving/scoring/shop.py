"""Scoring a whole shop as of a snapshot, a bucket of customers at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import polars as pl

from features.behaviour import read_behaviour
from features.build import build_shop_facts, compute_features, read_parts
from features.console import Announce
from features.customer_totals import part_totals
from features.examples import in_first_season
from features.favourite_category import read_favourites
from features.history import History
from features.holes import read_holes
from features.rfm import scheme_of
from features.settings import Settings
from features.settle import BasisNote
from features.shop import ShopFacts
from features.snapshot import Snapshot
from features.suppression import NOBODY, LeftOut, Suppressed
from serving.registry import Champion
from serving.rows import STORED
from serving.scoring.bucket_scores import Predictors, score_bucket
from serving.scoring.facts import read_facts
from serving.scoring.lists import ListMaker, MadeLists, make_lists
from serving.scoring.moves import totals_before, with_standing
from serving.scoring.past_stages import PastStages, read_past_stages
from serving.scoring.reference import RunReference
from serving.scoring.run_scores import RunLabels, RunScores, complete_scores, stored_expression
from serving.scoring.stages import STAGE_CLOCKS
from serving.scoring.warnings import run_warnings
from serving.segments.trait_rows import known_traits, with_traits
from serving.store.records import RunMeta


@dataclass(frozen=True, slots=True)
class Scorers:
    """The champions of a run; a shop without product ids has no recommender."""

    churn: Champion
    clv: Champion
    recommender: Champion | None


@dataclass(frozen=True, slots=True)
class ScoredRun:
    """A scored shop; its lists are made when they are asked for, a bucket at a time.

    `traits` has a row for each of the scores, in their order (`serving.segments.trait_rows`).
    `past` is where the customers stood before.
    """

    scores: RunScores
    meta: RunMeta
    lists: ListMaker
    customers_by_bucket: list[list[str]]
    traits: pl.DataFrame
    past: PastStages
    suppressed: Suppressed = NOBODY

    def stored_rows(self) -> Iterator[tuple[Any, ...]]:
        """Yield rows as the store takes them."""
        return stored_tuples(self.scores.rows)

    def list_tables(self) -> Iterator[MadeLists]:
        """Yield the recommendation lists, a bucket at a time."""
        return self.lists.tables(self.customers_by_bucket)


def score_shop(
    history: History,
    snapshot: Snapshot,
    scorers: Scorers,
    *,
    settings: Settings,
    announce: Announce,
    basis_note: BasisNote | None = None,
    suppressed: Suppressed = NOBODY,
) -> ScoredRun:
    """Score every customer who ordered before a snapshot with the champions, on the settings' basis.

    Of the `suppressed` no score is computed.
    """
    announce("the shop as a whole")
    engine = settings.features.engine
    shop = build_shop_facts(history, snapshot, engine=engine)
    headline_days = scorers.churn.headline_days
    past = read_past_stages(
        history, snapshot, settings=settings, headline_days=headline_days, suppressed=suppressed
    )
    predictors = make_predictors(scorers, settings)
    parts: list[pl.DataFrame] = []
    customers_by_bucket: list[list[str]] = []
    for bucket in range(history.manifest.bucket_count):
        announce(f"bucket {bucket + 1} of {history.manifest.bucket_count}")
        rows = score_customers(
            history, snapshot, predictors, bucket=bucket, settings=settings, shop=shop, suppressed=suppressed
        )
        customers_by_bucket.append(rows["customer_id"].to_list() if rows is not None else [])
        if rows is not None:
            parts.append(rows)
    bucket_rows = pl.concat(parts)
    scores = complete_scores(
        bucket_rows,
        run_labels(scorers, snapshot),
        risk=settings.risk,
        lapsed_after_days=past.gaps.p95_days,
        rfm=scheme_of(settings.rfm),
        stages=past.cuts,
    )
    bucket_rows = with_standing(
        bucket_rows, past, rfm=scheme_of(settings.rfm), cuts=scores.cuts, headline_days=headline_days
    )
    recommender = scorers.recommender.bundle.model if scorers.recommender else None
    lists = make_lists(history, snapshot, recommender, settings=settings)
    meta = _meta(scores, scorers, settings, snapshot=snapshot, currency=history.manifest.currency).model_copy(
        update={
            "lapsed_after_days": past.gaps.p95_days,
            "unavailable_kinds": lists.unavailable,
            "popularity_days": recommender.popularity_days_ if recommender else None,
            "reference": RunReference.of(scores.cuts, shop).model_dump(),
            "first_season": in_first_season(past.gaps.history_days, headline_days=headline_days),
        }
    )
    holes = read_holes(history, snapshot)
    warnings = run_warnings(scores.rows, meta, holes, basis_note, unknown_denied=lists.unknown_denied)
    meta = meta.model_copy(update={"warnings": warnings})
    return ScoredRun(scores, meta, lists, customers_by_bucket, known_traits(bucket_rows), past, suppressed)


def score_customers(
    history: History,
    snapshot: Snapshot,
    predictors: Predictors,
    *,
    bucket: int,
    settings: Settings,
    shop: ShopFacts,
    suppressed: Suppressed | LeftOut = NOBODY,
    with_segments: bool = True,
) -> pl.DataFrame | None:
    """Return a bucket's own scores (`serving.scoring.bucket_scores`) and traits, or None without orders.

    Not `with_segments` it leaves out what only they ask for: the traits, and where customers stood before.
    """
    own = read_parts(history, engine=settings.features.engine, snapshot=snapshot, buckets=[bucket])
    features = compute_features(own, snapshot, settings=settings, shop=shop)
    gone = suppressed.among(features["customer_id"])
    features = features.filter(~pl.col("customer_id").is_in(list(gone))) if gone else features
    if not features.height:
        return None
    totals = pl.concat(part_totals(part, snapshot, settings=settings) for part in own)
    clocks = features.select("customer_id", *STAGE_CLOCKS)
    facts = read_facts(history, snapshot, bucket=bucket, totals=totals).join(
        clocks, on="customer_id", how="left", maintain_order="left"
    )
    if scheme_of(settings.rfm).window_days is not None:
        inside = totals.select("customer_id", "order_count_in_window", "spend_in_window")
        facts = facts.join(inside, on="customer_id", how="left", maintain_order="left")
    rows = score_bucket(_as_pandas(features), facts, predictors, as_of=snapshot.date)
    if not with_segments:
        return rows
    before = totals_before(history, own, snapshot, bucket=bucket, settings=settings)
    rows = rows.join(before, on="customer_id", how="left", maintain_order="left")
    behaviour = read_behaviour(history, own, snapshot, bucket=bucket, shop=shop)
    favourites = read_favourites(history, snapshot, bucket=bucket)
    behaviour = behaviour.join(favourites, on="customer_id", how="left", maintain_order="left")
    return with_traits(rows, features, behaviour)


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


def _as_pandas(features: pl.DataFrame) -> pd.DataFrame:
    values = features.drop("customer_id", "as_of").cast(pl.Float64).fill_null(float("nan"))
    index = pd.Index(features["customer_id"].to_list(), name="customer_id", dtype=object)
    return pd.DataFrame(values.to_numpy(order="c"), index=index, columns=values.columns)


def _meta(
    scores: RunScores, scorers: Scorers, settings: Settings, *, snapshot: Snapshot, currency: str
) -> RunMeta:
    newest = scores.rows["last_order_at"].max()
    champions = {"churn": scorers.churn, "clv": scorers.clv, "recommender": scorers.recommender}
    return RunMeta(
        as_of=snapshot.date,
        scored_at=datetime.now(UTC).replace(microsecond=0),
        currency=currency,
        clv_basis=settings.shop.clv_basis,
        margin_share=settings.shop.margin_share,
        clv_discount_rate=settings.clv.discount_rate,
        time_zone=settings.shop.time_zone,
        customer_count=scores.rows.height,
        newest_order_at=newest,  # type: ignore[arg-type]
        churn_horizon_days=scorers.churn.headline_days,
        clv_horizon_days=settings.clv.horizon_days,
        churn_supported_days=scorers.churn.bundle.model.supported_days_,
        usual_churn_probability=scores.cuts.usual_probability,
        medium_from_probability=scores.cuts.medium_from,
        high_from_probability=scores.cuts.high_from,
        medium_from_times_usual=settings.risk.medium_from_times_usual,
        high_from_times_usual=settings.risk.high_from_times_usual,
        models={task: champion.card for task, champion in champions.items() if champion},
    )
