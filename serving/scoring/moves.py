"""Where customers stood some days before a run, and how many moved from where to where since.

The RFM group of an earlier date is that of `features.rfm` by the edges of that date; the stage is a clock
stage (`serving.scoring.past_stages`). Whoever had not ordered by then is in `PROSPECTS` and `prospect`.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import narwhals as nw
import orjson
import polars as pl

from features.build import Part, read_parts
from features.customer_totals import part_totals
from features.history import History
from features.rfm import RfmCuts, RfmScheme, find_cuts
from features.settings import Settings
from features.snapshot import Snapshot
from serving.scoring.past_stages import PastStages, before_of, clock_stages
from serving.scoring.shop_cuts import ShopCuts

NOT_YET_GROUP: Final = "PROSPECTS"
NOT_YET_STAGE: Final = "prospect"
TOTALS_BEFORE: Final = "totals_before"
_COMPARED: Final = {"groups": "rfm_segment", "stages": "clock_stage"}
MOVES_COLUMNS: Final = (*_COMPARED.values(), *(f"{name}_before" for name in _COMPARED.values()), "spend_365")


def totals_before(
    history: History, own: Sequence[Part], snapshot: Snapshot, *, bucket: int, settings: Settings
) -> pl.DataFrame:
    """Return what RFM was made of before, of a bucket: `customer_id` and `TOTALS_BEFORE`.

    `own` are the bucket's parts as known at the snapshot. They begin with its window of observation where it
    has one; then the lines before that are read anew.
    """
    before = before_of(snapshot, settings)
    if before.start_days is not None:
        own = read_parts(history, engine=settings.features.engine, snapshot=before, buckets=[bucket])
    totals = pl.concat(part_totals(part, before, settings=settings) for part in own)
    return totals.select("customer_id", pl.struct(pl.exclude("customer_id")).alias(TOTALS_BEFORE))


def with_standing(
    bucket_rows: pl.DataFrame,
    past: PastStages,
    before: RfmCuts | None,
    *,
    cuts: ShopCuts,
    headline_days: int,
) -> pl.DataFrame:
    """Add `clock_stage`, `clock_stage_before` and `rfm_segment_before` to rows of buckets, sorted.

    They hold `TOTALS_BEFORE`; `before` is what `cuts_before` found. A group is null where the shop had too
    few customers for groups by then.
    """
    now = clock_stages(
        bucket_rows, cuts.stages, lapsed_after_days=cuts.lapsed_after_days, headline_days=headline_days
    )
    then = past.of(bucket_rows["customer_id"]).at(past.before).rename({"clock_stage": "clock_stage_before"})
    told = (
        now.join(then, on="customer_id", how="left")
        .join(groups_before(bucket_rows, before), on="customer_id", how="left")
        .with_columns(pl.col("clock_stage_before").fill_null(NOT_YET_STAGE))
    )
    return bucket_rows.join(told, on="customer_id", how="left", maintain_order="left")


def cuts_before(bucket_rows: Iterable[pl.DataFrame], rfm: RfmScheme) -> RfmCuts | None:
    """Return the edges of groups that the customers of the earlier date give; None where they were too few.

    The frames hold `TOTALS_BEFORE` and are those of all buckets.
    """
    parts = [_totals_of(rows).select("customer_id", *rfm.columns) for rows in bucket_rows]
    if sum(part.height for part in parts) < rfm.bin_count_max:
        return None
    return find_cuts(nw.from_native(pl.concat(parts).lazy()), rfm)


def groups_before(bucket_rows: pl.DataFrame, before: RfmCuts | None) -> pl.DataFrame:
    """Return `customer_id` and `rfm_segment_before`, by the edges of the earlier date; None are unknown."""
    name = "rfm_segment_before"
    known, was_there = _totals_of(bucket_rows), pl.col(TOTALS_BEFORE).is_not_null()
    absent = bucket_rows.filter(~was_there).select("customer_id", pl.lit(NOT_YET_GROUP).alias(name))
    if before is None:
        return pl.concat([known.select("customer_id", pl.lit(None, pl.String).alias(name)), absent])
    scored: pl.DataFrame = before.score(nw.from_native(known.lazy())).collect("polars").to_native()
    return pl.concat([scored.select("customer_id", pl.col("rfm_segment").alias(name)), absent])


def _totals_of(bucket_rows: pl.DataFrame) -> pl.DataFrame:
    """Return the totals before of those who had ordered by then."""
    known = bucket_rows.filter(pl.col(TOTALS_BEFORE).is_not_null())
    return known.select("customer_id", TOTALS_BEFORE).unnest(TOTALS_BEFORE)


def moves_documents(rows: pl.DataFrame, past: PastStages) -> dict[str, str]:
    """Return the documents of a run about where its customers stood, by name; nobody's id is in them.

    `moves`   who moved from where to where (`moves_document`)
    `stages`  how many had each clock stage at the start of each month (`PastStages.counts`)
    """
    found = {"moves": moves_document(rows, past), "stages": past.counts}
    return {name: orjson.dumps(document).decode() for name, document in found.items()}


def moves_document(rows: pl.DataFrame, past: PastStages) -> dict[str, Any]:
    """Return how many customers are where, by where they were, and the money of their last 365 days.

    The largest money first; `from` and `to` are null where a group is not known. `rows` are those of a run,
    with the columns `MOVES_COLUMNS`.
    """
    found = {
        name: rows.group_by(pl.col(f"{column}_before").alias("from"), pl.col(column).alias("to"))
        .agg(pl.len().alias("customer_count"), pl.col("spend_365").sum().round(2))
        .sort("spend_365", "customer_count", "from", "to", descending=[True, True, False, False])
        .to_dicts()
        for name, column in _COMPARED.items()
    }
    return {"before_date": past.before.isoformat(), "customer_count": rows.height, **found}
