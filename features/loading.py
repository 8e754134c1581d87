"""From drafts to the history: checked as a whole, then stored, or nothing is."""

import fcntl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

import polars as pl

from features.accept import accept_lines, chosen_currency
from features.advice import note_advice, tally
from features.console import Announce
from features.drafts import Draft
from features.errors import UserError
from features.history import History
from features.identity import merge_identities
from features.layout import Layout
from features.portions import Portions
from features.readers import ROW
from features.report import Report
from features.snapshot import instant_of
from features.suppression import Suppressed, read_suppressed
from features.upsert import Load, Mode, Outcome, upsert


class IngestError(UserError):
    """The command's options do not go together, or another load is running."""


@dataclass(frozen=True, slots=True)
class Material:
    """What a load brings: drafts, companion tables, and how they enter the history.

    `may_be_empty`: no order at all is no mistake.
    """

    drafts: Sequence[Draft]
    companions: Mapping[str, pl.DataFrame]
    mode: Mode = "upsert"
    may_be_empty: bool = False


class Told(NamedTuple):
    """To whom a load says what it finds, and how far it is."""

    report: Report
    announce: Announce


def store(
    material: Material, layout: Layout, *, previous: History | None, now: datetime, told: Told
) -> History:
    """Check and store material, and note the outcome; raises `DataError`, leaving the history as it was."""
    report, announce = told
    material = without_suppressed(material, read_suppressed(layout.root, layout.private), report)
    drafts = material.drafts
    announce("checking")
    known = previous.manifest.currency if previous else None
    report.currency = currency = chosen_currency(drafts, history=known, report=report)
    accepted = None
    if drafts:
        accepted = accept_lines(
            drafts, time_zone=report.time_zone, now=now, report=report, may_be_empty=material.may_be_empty
        )
    report.stop_on_errors()
    if accepted and accepted.lines.height:
        found = tally(accepted.lines)
        note_advice(found, drafts, is_whole_history=previous is None, report=report)
    announce("writing")
    _keep_identities(layout, drafts)
    load = Load(accepted, dict(material.companions), currency)
    outcome = upsert(layout.history, load, mode=material.mode, loaded_at=now)
    _note_outcome(outcome, report)
    return outcome.history


def store_portions(
    portions: Portions, material: Material, layout: Layout, *, previous: History | None, told: Told
) -> History:
    """Check and store lines that do not fit into memory together, as `store` does.

    The material's drafts are the portions' sources. Every bucket is checked before the history changes.
    """
    report, announce = told
    drafts = material.drafts
    known = previous.manifest.currency if previous else None
    report.currency = currency = chosen_currency(drafts, history=known, report=report)
    report.stop_on_errors()
    announce("checking and writing, a bucket at a time")
    load = Load(None, dict(material.companions), currency, portions)
    outcome = upsert(layout.history, load, mode=material.mode, loaded_at=portions.now)
    # Only now it is known that the load is sound; a load that died before this is mended by the next.
    _keep_identities(layout, drafts)
    note_advice(portions.tally, drafts, is_whole_history=previous is None, report=report)
    _note_outcome(outcome, report)
    return outcome.history


def _keep_identities(layout: Layout, drafts: Sequence[Draft]) -> None:
    for draft in drafts:
        if draft.identities is not None:
            merge_identities(layout.private, draft.identities)


def without_suppressed(material: Material, suppressed: Suppressed, report: Report) -> Material:
    """Leave out everything that material says of people who are suppressed, and count it."""
    if not suppressed:
        return material
    drafts = [_without(draft, suppressed) for draft in material.drafts]
    companions, gone = dict(material.companions), 0
    for name, rows in material.companions.items():
        if "customer_id" in rows.columns:
            companions[name] = rows.filter(~_is_suppressed(rows, suppressed))
            gone += rows.height - companions[name].height
    if gone:
        message = f"{gone:,} rows of customers and events are of people who are suppressed; they are left out"
        report.warn("suppressed_rows", message, table="customers", column="customer_id", count=gone)
    return replace(material, drafts=drafts, companions=companions)


def _without(draft: Draft, suppressed: Suppressed) -> Draft:
    """Return a draft with nothing of the suppressed but that there was a row: no id, no date, no money."""
    gone = _is_suppressed(draft.lines, suppressed)
    kept = (ROW, "left_out")
    lines = draft.lines.with_columns(
        pl.when(gone).then(pl.lit(None)).otherwise(pl.col(name)).alias(name)
        for name in draft.lines.columns
        if name not in kept
    ).with_columns(pl.when(gone).then(pl.lit("suppressed")).otherwise(pl.col("left_out")).alias("left_out"))
    people = draft.identities
    if people is not None:
        people = people.filter(~_is_suppressed(people, suppressed))
    return replace(draft, lines=lines.cast(dict(draft.lines.schema)), identities=people)  # type: ignore[arg-type]


def _is_suppressed(rows: pl.DataFrame, suppressed: Suppressed) -> pl.Series:
    gone = suppressed.among(rows["customer_id"].drop_nulls().unique())
    return rows["customer_id"].is_in(list(gone)).fill_null(False)


def _note_outcome(outcome: Outcome, report: Report) -> None:
    report.outcome = "loaded" if outcome.is_changed else "unchanged"
    report.orders = outcome.orders
    if outcome.moved_count:
        message = f"{outcome.moved_count:,} orders now belong to another customer and moved"
        report.warn("moved_orders", message, column="customer_id", count=outcome.moved_count)
    manifest = outcome.history.manifest
    orders, customers = _counted(outcome.history)
    days = [
        None if d is None else f"{instant_of(d):%Y-%m-%d}"
        for d in (manifest.first_order_days, manifest.last_order_days)
    ]
    report.history = {
        "orders": orders,
        "customers": customers,
        "lines": manifest.row_counts.get("order_lines", 0),
        "first": days[0],
        "last": days[1],
        "currency": manifest.currency,
        "generation": manifest.generation,
        "data_hash": manifest.data_hash,
    }


def _counted(history: History) -> tuple[int, int]:
    """Return how many orders and customers there are; a customer is in one bucket."""
    order = pl.struct("customer_id", "order_id").n_unique().alias("orders")
    customer = pl.col("customer_id").n_unique().alias("customers")
    counts = [
        pl.scan_parquet(path, glob=False)
        .filter(~pl.col("is_return"))
        .select(order, customer)
        .collect()
        .row(0)
        for path in history.paths("order_lines")
    ]
    return sum(orders for orders, _ in counts), sum(customers for _, customers in counts)


@contextmanager
def only_one(layout: Layout) -> Iterator[None]:
    """Hold the lock of a data set, so that two loads cannot write one generation."""
    layout.root.mkdir(parents=True, exist_ok=True)
    with (layout.root / "ingest.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise IngestError(f"another load into {layout.root} is running; wait for it to end") from None
        yield
