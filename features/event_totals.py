"""What RFM over an event is made of: when, how often and with what value customers did something.

The types of events are the shop's own words. Everybody who ordered or did anything before the snapshot has a
row, so that shares are of the shop's customers; whoever never did it has a count of 0.
"""

from dataclasses import dataclass
from typing import Any

import narwhals as nw
import polars as pl

from features.cohort import build_cohort
from features.errors import UserError
from features.expressions import sum_where, within
from features.history import History
from features.orders import Frame, known_rows
from features.settings import Settings
from features.snapshot import Snapshot


class EventTypeError(UserError):
    """No customer did what was named."""


@dataclass(frozen=True, slots=True)
class EventType:
    """A type of event: how many customers did it, how often, and whether any of it carries a value."""

    name: str
    customer_count: int
    event_count: int
    has_value: bool


def read_event_types(history: History, snapshot: Snapshot) -> list[EventType]:
    """Return the types of events known at a snapshot, the one of most customers first."""
    rows = (
        _known_events(history, snapshot)
        .group_by("event_type", "customer_id")
        .agg(nw.len().alias("events"), (~nw.col("value").is_null()).sum().alias("values"))
        .group_by("event_type")
        .agg(
            nw.len().alias("customers"),
            nw.col("events").sum().alias("all_events"),
            nw.col("values").sum().alias("all_values"),
        )
    )
    found = [
        EventType(str(name), int(customers), int(events), int(values) > 0)
        for name, customers, events, values in _native(rows).rows()
    ]
    return sorted(found, key=lambda each: (-each.customer_count, each.name))


def find_event_type(types: list[EventType], name: str) -> EventType:
    """Return a type by its name; raises `EventTypeError` that names those there are."""
    for each in types:
        if each.name == name:
            return each
    known = ", ".join(repr(each.name) for each in types[:10]) or "none: load events first"
    raise EventTypeError(f"there are no events of the type {name!r}; the history has {known}")


def read_event_totals(
    history: History, snapshot: Snapshot, event_type: str, *, settings: Settings
) -> pl.DataFrame:
    """Return one row per customer, sorted: `customer_id`, `recency_days`, and how often and with what value.

    `recency_days` leads from the last event of the type to the snapshot and is null without one;
    `event_count`, `value_total` and the same with `_in_window` (`rfm.window_days`) are 0 there. An event
    without a value counts as 0 among those that have one.
    """
    inside = within(settings.rfm.window_days)
    events = (
        _known_events(history, snapshot)
        .filter(nw.col("event_type") == event_type)
        .with_columns(nw.lit(1.0).alias("one"), nw.col("value").fill_null(0.0).alias("amount"))
    )
    aggregates = {
        "recency_days": (nw.lit(snapshot.end_days) - nw.col("ordered_days")).min(),
        "event_count": nw.col("one").sum(),
        "value_total": nw.col("amount").sum(),
        "event_count_in_window": sum_where(inside, "one"),
        "value_in_window": sum_where(inside, "amount"),
    }
    totals = _native(
        events.group_by("customer_id").agg(*(total.alias(name) for name, total in aggregates.items()))
    ).with_columns(pl.col(*aggregates).cast(pl.Float64))
    counts = [name for name in aggregates if name != "recency_days"]
    return (
        _everybody(history, snapshot)
        .join(totals, on="customer_id", how="left")
        .with_columns(pl.col(counts).fill_null(0.0))
        .sort("customer_id")
    )


def _known_events(history: History, snapshot: Snapshot) -> Frame:
    told = history.scan("events").select(
        "customer_id", "event_type", nw.col("occurred_days").alias("ordered_days"), "value"
    )
    return known_rows(told, snapshot)


def _everybody(history: History, snapshot: Snapshot) -> pl.DataFrame:
    ordered = build_cohort(history, snapshot).select("customer_id")
    acted = _native(_known_events(history, snapshot).select("customer_id").unique())
    return pl.concat([ordered, acted]).unique()


def _native(rows: nw.LazyFrame[Any]) -> pl.DataFrame:
    return rows.collect("polars").to_native()  # type: ignore[no-any-return]
