"""A bucket's customers as one snapshot knows them: their own scores, traits and where they stood before."""

import pandas as pd
import polars as pl

from features.behaviour import read_behaviour
from features.build import compute_features, read_parts
from features.customer_totals import part_totals
from features.favourite_category import read_favourites
from features.history import History
from features.rfm import scheme_of
from features.settings import Settings
from features.shop import ShopFacts
from features.snapshot import Snapshot
from features.suppression import NOBODY, LeftOut, Suppressed
from serving.scoring.bucket_scores import Predictors, score_bucket
from serving.scoring.facts import read_facts
from serving.scoring.moves import totals_before
from serving.scoring.stages import STAGE_CLOCKS
from serving.segments.trait_rows import with_traits


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


def _as_pandas(features: pl.DataFrame) -> pd.DataFrame:
    values = features.drop("customer_id", "as_of").cast(pl.Float64).fill_null(float("nan"))
    index = pd.Index(features["customer_id"].to_list(), name="customer_id", dtype=object)
    return pd.DataFrame(values.to_numpy(order="c"), index=index, columns=values.columns)
