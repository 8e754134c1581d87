"""What the console shows of a shop as a whole, made once a run and kept with it as JSON documents.

    groups   the RFM groups and the grid of recency by frequency: how many, their share of customers and money
    channels acquisition channels: how many customers, what they brought and are expected to bring, their cost
    scales, event_groups
             how RFM scores were made, and RFM over events (`serving.scoring.score_pages`)
    formula  the formula CLV of every RFM group, and where its lifespan comes from
    retention, concentration, churned, clocks
             what `make retention` says: rates and cohorts, who makes the sales, after how long a customer has
             left for good, when categories are bought again
    base     how many customers are at each lifecycle stage, and the money expected of them within 90 days
    week     what the last seven days brought: who slipped, who came back, who is new

Nobody's id stands in them.
"""

from dataclasses import asdict
from datetime import timedelta
from typing import Any, Final

import orjson
import polars as pl

from features.category_clocks import read_clocks
from features.concentration import read_concentration
from features.fully_churned import read_fully_churned
from features.history import MONEY_SCALE, History
from features.retention import read_retention
from features.settings import Settings
from features.shop_rfm import ShopRfm, read_rfm
from features.snapshot import Snapshot
from features.suppression import NOBODY, Suppressed
from serving.scoring.score_pages import event_documents, scales_document
from serving.scoring.timelines import Said
from serving.store.records import RunMeta

WEEK_DAYS: Final = 7
PAGE_COLUMNS: Final = (
    "customer_id",
    "rfm_segment",
    "rfm_recency",
    "rfm_frequency",
    "last_order_at",
    "historic_clv",
    "predicted_clv",
    "predicted_clv_90",
    "email_consent",
    "lifecycle_stage",
    "risk_band",
    "lapsed",
    "value_at_risk",
)
_LAST: Final = 2
_CHANNELS_SHOWN: Final = 50


def shop_documents(
    rows: pl.DataFrame, meta: RunMeta, *, history: History, snapshot: Snapshot, said: Said
) -> dict[str, str]:
    """Return the documents of a run by name; `rows` are its rows with the columns `PAGE_COLUMNS`."""
    documents = {
        "groups": groups_document(rows, meta),
        "channels": channels_document(rows, _acquired(history)),
        "base": base_document(rows),
        "week": week_document(rows, meta, new=_ordered_lately(history, snapshot), said=said),
    }
    return {name: orjson.dumps(document).decode() for name, document in documents.items()}


def knowledge_documents(
    history: History, snapshot: Snapshot, settings: Settings, *, suppressed: Suppressed = NOBODY
) -> dict[str, str]:
    """Return what a shop knows without a model, by name; the clocks are those of categories."""
    rfm = read_rfm(history, snapshot, settings=settings)
    found = {
        "retention": asdict(read_retention(history, snapshot, settings=settings)),
        "concentration": asdict(read_concentration(history, snapshot, settings=settings)),
        "formula": formula_document(rfm),
        "scales": scales_document(rfm.table),
        "event_groups": event_documents(history, snapshot, settings, suppressed=suppressed),
        "churned": asdict(read_fully_churned(history, snapshot)),
        "clocks": [
            asdict(clock) for clock in read_clocks(history, snapshot, kind="category", settings=settings)
        ],
    }
    return {name: orjson.dumps(document).decode() for name, document in found.items()}


def formula_document(found: ShopRfm) -> dict[str, Any]:
    """Return average order value x frequency x lifespan of every group, all customers last."""
    names = (
        "segment",
        "customer_count",
        "buyer_count",
        "order_count",
        "revenue",
        "average_order_value",
        "purchase_frequency",
        "customer_value",
        "clv",
    )
    last = found.values[-1]
    return {
        "window_days": last.window_days,
        "lifespan_years": last.lifespan.years,
        "lifespan_source": last.lifespan.source,
        "rows": [{name: getattr(row, name) for name in names} for row in found.values],
    }


def groups_document(rows: pl.DataFrame, meta: RunMeta) -> dict[str, Any]:
    """Return every RFM group and every cell of the grid, the largest first; shares are of the whole shop."""
    known = rows.filter(pl.col("rfm_segment").is_not_null())
    days = (pl.lit(meta.as_of) - pl.col("last_order_at").dt.convert_time_zone(meta.time_zone).dt.date()).dt
    money = float(known["historic_clv"].clip(0.0).sum())
    described = [
        pl.len().alias("customer_count"),
        (pl.len() / known.height).round(6).alias("customer_share"),
        pl.col("historic_clv").sum().round(2).alias("historic_clv"),
        (pl.col("historic_clv").clip(0.0).sum() / money if money else pl.lit(None, pl.Float64))
        .round(6)
        .alias("money_share"),
        pl.col("predicted_clv").sum().round(2).alias("predicted_clv"),
        days.total_days().mean().round(1).alias("mean_silent_days"),
        pl.col("email_consent").mean().round(6).alias("consent_share"),
    ]
    cell = ["rfm_recency", "rfm_frequency"]
    return {
        "groups": _listed(known.group_by("rfm_segment").agg(described), "rfm_segment"),
        "cells": _listed(known.group_by(cell).agg(described), *cell),
    }


def base_document(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """Return the lifecycle stages that somebody is at, the largest first."""
    described = rows.group_by("lifecycle_stage").agg(
        pl.len().alias("customer_count"),
        (pl.len() / max(rows.height, 1)).round(6).alias("customer_share"),
        pl.col("predicted_clv_90").sum().round(2),
        pl.col("historic_clv").sum().round(2),
    )
    return _listed(described, "lifecycle_stage")


def channels_document(rows: pl.DataFrame, customers: pl.DataFrame) -> list[dict[str, Any]]:
    """Return acquisition channels, the largest first, unknown ones as null; money is a mean a customer."""
    told = customers.select(
        "customer_id",
        "acquisition_channel",
        (pl.col("acquisition_cost_minor") / MONEY_SCALE).alias("acquisition_cost"),
    )
    joined = rows.select("customer_id", "predicted_clv", "historic_clv").join(
        told, on="customer_id", how="left"
    )
    found = joined.group_by("acquisition_channel").agg(
        pl.len().alias("customer_count"),
        pl.col("historic_clv").mean().round(2).alias("historic_clv"),
        pl.col("predicted_clv").mean().round(2).alias("predicted_clv"),
        pl.col("acquisition_cost").mean().round(2).alias("acquisition_cost"),
        pl.col("acquisition_cost").count().alias("costed_count"),
    )
    largest = found.sort("customer_count", "acquisition_channel", descending=[True, False], nulls_last=True)
    return largest.head(_CHANNELS_SHOWN).to_dicts()


def _listed(table: pl.DataFrame, *names: str) -> list[dict[str, Any]]:
    return table.sort("customer_count", *names, descending=[True, *(False for _ in names)]).to_dicts()


def week_document(rows: pl.DataFrame, meta: RunMeta, *, new: pl.DataFrame, said: Said) -> dict[str, Any]:
    """Return what the seven days before the run brought.

    `new` are those who ordered within them, with `gap_days` before their last order (null after a single
    one). Who slipped is at risk now and was not by what a run said a week or more ago; without such a run the
    count is null.
    """
    lapsed = meta.lapsed_after_days
    came_back = new.filter(pl.col("gap_days") > lapsed) if lapsed is not None else new.clear()
    slipped = _slipped(rows, meta, said)
    return {
        "days": WEEK_DAYS,
        "new_count": new["gap_days"].null_count(),
        "returned_count": came_back.height,
        "slipped_count": None if slipped is None else slipped.height,
        "slipped_value": None if slipped is None else round(float(slipped["value_at_risk"].sum()), 2),
    }


def _slipped(rows: pl.DataFrame, meta: RunMeta, said: Said) -> pl.DataFrame | None:
    """Return who is at risk now and was below the same cut at the newest run of a week or more ago."""
    newest = said.newest(until=meta.as_of - timedelta(days=WEEK_DAYS))
    if newest is None or newest.is_empty() or meta.high_from_probability is None:
        return None
    was_low = newest.filter(pl.col("churn_probability") < meta.high_from_probability)
    at_risk = rows.filter(
        pl.col("risk_band") == "high",
        ~pl.col("lapsed").fill_null(value=False),
        pl.col("email_consent").fill_null(value=True),
    )
    return at_risk.join(was_low, on="customer_id", how="semi")


def _acquired(history: History) -> pl.DataFrame:
    """Return what is known of how each customer was won, and nothing else of them."""
    told = history.scan("customers").select("customer_id", "acquisition_channel", "acquisition_cost_minor")
    return told.collect("polars").to_native()  # type: ignore[no-any-return]


def _ordered_lately(history: History, snapshot: Snapshot) -> pl.DataFrame:
    """Return `gap_days` before the last order of everybody whose last one lies within the week."""
    parts = []
    silent = snapshot.end_days - pl.col("ordered_days").list.first()
    for bucket in range(history.manifest.bucket_count):
        lines = pl.scan_parquet(history.paths("order_lines", buckets=[bucket]), glob=False).filter(
            ~pl.col("is_return"), pl.col("ordered_days") < snapshot.end_days
        )
        orders = lines.group_by("customer_id", "order_id").agg(pl.col("ordered_days").min())
        last = pl.col("ordered_days").top_k(_LAST).sort(descending=True)
        gap = pl.col("ordered_days").list.first() - pl.col("ordered_days").list.get(1, null_on_oob=True)
        newest = orders.group_by("customer_id").agg(last).filter(silent <= WEEK_DAYS)
        parts.append(newest.select(gap.alias("gap_days")).collect())
    return pl.concat(parts)
