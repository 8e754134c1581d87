"""How RFM scores were made, and RFM over events: JSON documents of a run, for the console.

scales        of recency, frequency and money: the method, and each score with its edge and true share
event_groups  the same of what customers did, a type of event each, with groups and the grid
"""

from dataclasses import asdict
from typing import Any, Final

import polars as pl

from features.event_totals import read_event_types
from features.history import History
from features.rfm_table import RfmTable, Scale
from features.scales import Cuts, EqualWidth, Method
from features.settings import Settings
from features.shop_rfm import ShopRfm, read_event_rfm
from features.snapshot import Snapshot
from features.suppression import NOBODY, Suppressed

EVENT_TYPES_MAX: Final = 8
"""Of so many types of events, those of the most customers, groups are made."""


def scales_document(table: RfmTable) -> dict[str, Any]:
    """Return how the scores of a table were made."""
    return {
        "window_days": table.scheme.window_days,
        "customer_count": table.customer_count,
        "silent_count": table.silent_count,
        "tier_cuts": table.scheme.tier_cuts,
        "scales": [_scale(each) for each in table.scales],
    }


def event_documents(
    history: History, snapshot: Snapshot, settings: Settings, *, suppressed: Suppressed = NOBODY
) -> list[dict[str, Any]]:
    """Return a document a type of event, that of the most customers first; [] without events."""
    types = read_event_types(history, snapshot)[:EVENT_TYPES_MAX]
    return [
        {"event_type": each.name, "has_value": each.has_value}
        | _groups(read_event_rfm(history, snapshot, each, settings=settings, suppressed=suppressed))
        for each in types
    ]


def _groups(found: ShopRfm) -> dict[str, Any]:
    total = max(found.customers.height, 1)
    cells = (
        found.customers.filter(pl.col("recency_days").is_not_null())
        .group_by("rfm_recency", "rfm_frequency")
        .agg(
            pl.len().alias("customer_count"), pl.col("recency_days").mean().round(1).alias("mean_silent_days")
        )
        .with_columns((pl.col("customer_count") / total).round(6).alias("customer_share"))
        .sort("rfm_recency", "rfm_frequency")
    )
    return {
        "groups": [asdict(segment) for segment in found.table.segments if segment.customer_count],
        "cells": cells.to_dicts(),
        "scales": scales_document(found.table),
    }


def _scale(scale: Scale) -> dict[str, Any]:
    return {
        "score": scale.axis.score,
        "value": scale.axis.value,
        "low_is_best": scale.axis.low_is_best,
        "method": _method(scale.axis.method),
        "bins": [asdict(each) for each in scale.bins],
    }


def _method(method: Method) -> dict[str, Any]:
    if isinstance(method, Cuts):
        return {"kind": "cuts", "points": list(method.points)}
    if isinstance(method, EqualWidth):
        return {"kind": "equal_width", "bin_count": method.bin_count, "low": method.low, "high": method.high}
    return {"kind": "quantile", "bin_count": method.bin_count}
