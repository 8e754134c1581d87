"""How well the time of an item's next purchase can be foreseen.

A gap is the time between two purchases of an item by a customer, a day or more apart.
"""

from collections.abc import Sequence

import narwhals as nw
import polars as pl

from features.history import History
from features.interactions import collected, known_product_lines
from features.settings import Engine
from features.snapshot import Snapshot

_PAIR = ("customer_id", "product_id")
_GAPS_MIN = 20


def build_gap_errors(
    history: History,
    snapshot: Snapshot,
    *,
    interactions: pl.DataFrame,
    items: pl.DataFrame,
    buckets: Sequence[int] | None = None,
    engine: Engine = "polars",
) -> pl.DataFrame:
    """Build one row per item, in the order of `items`, from what was known before the snapshot.

    `interactions`, `items`  `build_interactions` and `build_items` of the snapshot; `buckets` as there
    `gap_count`        last gaps that could be foreseen: of customers with two gaps or more
    `gap_error_share`  median over them of |last gap - usual gap| ÷ usual gap, usual being the customer's mean
                       gap before it; of the item's category, else of the shop, where fewer than 20 speak;
                       null where the shop has fewer
    """
    errors = _last_gap_errors(_previous_days(history, snapshot, buckets=buckets, engine=engine), interactions)
    found = items.select("product_id", "category")
    for key in ("product_id", "category"):
        known = errors.filter(pl.col(key).is_not_null()).group_by(key)
        medians = known.agg(pl.col("error").median().alias(f"{key}_error"), pl.len().alias(f"{key}_count"))
        found = found.join(medians, on=key, how="left", maintain_order="left")
    own = [
        pl.when(pl.col(f"{key}_count") >= _GAPS_MIN).then(f"{key}_error")
        for key in ("product_id", "category")
    ]
    shop = errors["error"].median() if len(errors) >= _GAPS_MIN else None
    return found.select(
        "product_id",
        pl.col("product_id_count").fill_null(0).cast(pl.Int64).alias("gap_count"),
        pl.coalesce(*own, pl.lit(shop, pl.Float64)).round_sig_figs(9).alias("gap_error_share"),
    )


def _previous_days(
    history: History, snapshot: Snapshot, *, buckets: Sequence[int] | None, engine: Engine
) -> pl.DataFrame:
    """Return the last purchase but one of every pair that has one: customer_id, product_id, previous_days."""
    days = nw.col("ordered_days")
    lines = known_product_lines(history, snapshot, buckets=buckets, engine=engine)
    bought = lines.filter(~nw.col("is_return")).group_by(*_PAIR, "order_id").agg(days.min())
    last = bought.group_by(*_PAIR).agg(days.max().alias("last_days"))
    earlier = bought.join(last, on=list(_PAIR), how="inner").filter(days < nw.col("last_days"))
    return collected(earlier.group_by(*_PAIR).agg(days.max().alias("previous_days")))


def _last_gap_errors(previous: pl.DataFrame, interactions: pl.DataFrame) -> pl.DataFrame:
    """Return product_id, category and the relative error of each pair's last gap."""
    pairs = interactions.filter(pl.col("order_count") >= 3).join(previous, on=_PAIR, how="inner")
    gap = pl.col("last_days") - pl.col("previous_days")
    usual = (pl.col("previous_days") - pl.col("first_days")) / (pl.col("order_count") - 2)
    known = pairs.with_columns(gap.alias("gap"), usual.alias("usual"))
    error = (pl.col("gap") - pl.col("usual")).abs() / pl.col("usual")
    chosen = known.filter(pl.col("gap") >= 1, pl.col("usual") >= 1)
    return chosen.select("product_id", "category", error.alias("error"))
