"""Loading again: a newer file replaces whole orders, products and customers merge by key, events by equality.

Work goes a bucket at a time; a bucket in which nothing changed keeps its file, and where nothing changed at
all no generation is written. The new generation counts only when its manifest is swapped in, so a load that
dies leaves the previous history as it was.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

import polars as pl

from features.accept import Accepted
from features.buckets import bucket_count_after, by_bucket
from features.generation import GenerationWriter
from features.history import BUCKETED_TABLES, STORED_SCHEMAS, History, HistoryError, bucket_numbers
from features.report import OrderChanges

Mode = Literal["upsert", "replace"]
SHOP_WIDE_ORDERS_MIN = 100
_ORDER = ["customer_id", "order_id"]
_KEYS = {"products": "product_id", "customers": "customer_id"}
_CONTENT = [name for name in STORED_SCHEMAS["order_lines"] if name != "loaded_at"]


@dataclass(frozen=True, slots=True)
class Load:
    """What one load brings: accepted lines (or none) and companion tables, all without `loaded_at`."""

    accepted: Accepted | None = None
    companions: dict[str, pl.DataFrame] = field(default_factory=dict)
    currency: str = "XXX"
    portions: "Portioned | None" = None


class Portioned(Protocol):
    """Accepted lines that do not fit into memory together, by bucket; in place of `Load.accepted`."""

    @property
    def bucket_count(self) -> int:
        """Into how many buckets they are divided, as `bucket_count_after` says."""

    def orders(self) -> pl.DataFrame:
        """Return the orders (customer_id, order_id) of all lines that may be accepted."""

    def accepted(self) -> Iterator[tuple[int, Accepted]]:
        """Yield every bucket and what is accepted of it; raises `DataError` where something cannot be."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The history after a load, what happened to its orders, and whether anything was written."""

    history: History
    orders: OrderChanges
    moved_count: int
    is_changed: bool


def open_previous(root: Path, *, mode: Mode = "upsert") -> History | None:
    """Open the history that a load adds to; None where there is none, or a damaged one is to be replaced."""
    if not (root / "manifest.json").exists():
        return None
    try:
        return History.open(root)
    except HistoryError:
        if mode == "replace":
            return None
        raise


def upsert(root: Path, load: Load, *, mode: Mode, loaded_at: datetime) -> Outcome:
    """Write a load into the history under `root` and return the outcome; `replace` drops what was there.

    `loaded_at` is kept on new and changed rows; products and customers of the first load carry none, for the
    day of a bulk load says nothing about when they were known.
    """
    previous = open_previous(root, mode=mode)
    base = previous if mode == "upsert" else None
    fresh = _fresh_lines(load, base)
    count = fresh.bucket_count
    with GenerationWriter(root, bucket_count=count, currency=load.currency, previous=previous) as writer:
        merge = _Merge(writer, base, count, loaded_at)
        moved = _moved_orders(base, fresh.orders()) if base else None
        orders = merge.order_lines(fresh, moved)
        merge.events(load.companions.get("events"))
        for table in _KEYS:
            merge.keyed(table, load.companions.get(table))
        is_changed = merge.is_changed or base is None or base.manifest.currency != load.currency
        history = writer.commit() if is_changed or previous is None else previous
    return Outcome(history, orders, 0 if moved is None else moved.height, is_changed)


@dataclass(frozen=True, slots=True)
class _InMemory:
    """Accepted lines that fit into memory, by bucket."""

    whole: Accepted
    bucket_count: int

    def orders(self) -> pl.DataFrame:
        return self.whole.lines.select(_ORDER).unique()

    def accepted(self) -> Iterator[tuple[int, Accepted]]:
        for bucket, lines in by_bucket(self.whole.lines, self.bucket_count):
            yield bucket, replace(self.whole, lines=lines)


def _fresh_lines(load: Load, base: History | None) -> Portioned:
    if load.portions is not None:
        return load.portions
    none = pl.DataFrame(schema={name: STORED_SCHEMAS["order_lines"][name] for name in _CONTENT})
    whole = load.accepted or Accepted(none, None)
    return _InMemory(whole, bucket_count_after(base, whole.lines.height))


class _Merge:
    """Merges one load into one new generation."""

    def __init__(
        self, writer: GenerationWriter, base: History | None, bucket_count: int, loaded_at: datetime
    ) -> None:
        self._writer = writer
        self._base = base
        self._bucket_count = bucket_count
        self._loaded_at = loaded_at
        self._is_divided = base is not None and base.manifest.bucket_count != bucket_count
        self.is_changed = self._is_divided

    def order_lines(self, load: Portioned, moved: pl.DataFrame | None) -> OrderChanges:
        """Merge order lines; `moved` are stored orders that now come under another customer."""
        totals = {"new": 0, "changed": 0, "unchanged": 0, "removed": 0}
        for bucket, accepted in load.accepted():
            fresh = accepted.lines
            old = self._old("order_lines", bucket)
            gone = _gone_orders(old, accepted, moved)
            states = _order_states(old, fresh)
            for name, count in states.group_by("state").len().iter_rows():
                totals[name] += count
            totals["removed"] += gone.height
            touched = states.filter(pl.col("state") != "unchanged").select(_ORDER)
            if touched.is_empty() and gone.is_empty():
                self._keep("order_lines", bucket)
                continue
            kept = old.join(pl.concat([touched, gone]), on=_ORDER, how="anti")
            taken = self._stamped(
                fresh if touched.height == states.height else fresh.join(touched, on=_ORDER, how="semi")
            )
            self._write("order_lines", pl.concat([kept, taken]), bucket)
        return OrderChanges(**totals)

    def events(self, rows: pl.DataFrame | None) -> None:
        """Add events that are not there yet; equal ones are one."""
        empty = pl.DataFrame(schema=STORED_SCHEMAS["events"]).drop("loaded_at")
        for bucket, fresh in by_bucket(empty if rows is None else rows, self._bucket_count):
            old = self._old("events", bucket)
            both = pl.concat([old, self._stamped(fresh)])
            merged = both.unique(
                [name for name in old.columns if name != "loaded_at"], keep="first", maintain_order=True
            )
            if merged.height == old.height:
                self._keep("events", bucket)
            else:
                self._write("events", merged, bucket)

    def keyed(self, table: str, rows: pl.DataFrame | None) -> None:
        """Merge products or customers: a newer value replaces an older one, an empty cell does not."""
        old = self._old(table, 0)
        fresh = (
            old.clear().drop("loaded_at")
            if rows is None
            else rows.unique(_KEYS[table], keep="last", maintain_order=True)
        )
        stamped = (
            self._stamped(fresh)
            if self._base
            else fresh.with_columns(pl.lit(None, _loaded_kind()).alias("loaded_at"))
        )
        merged = _coalesced(old, stamped, _KEYS[table])
        if merged.sort(_KEYS[table]).equals(old.sort(_KEYS[table])):
            self._keep(table, 0)
        else:
            self._write(table, merged, 0)

    def _old(self, table: str, bucket: int) -> pl.DataFrame:
        if self._base is None or not self._base.paths(table):
            return pl.DataFrame(schema=STORED_SCHEMAS[table])
        if not self._is_divided or table not in BUCKETED_TABLES:
            return self._base.read(table, buckets=[bucket])
        rows = self._base.read(table, buckets=[bucket % self._base.manifest.bucket_count])
        return rows.filter(bucket_numbers(rows["customer_id"], self._bucket_count) == bucket)

    def _keep(self, table: str, bucket: int) -> None:
        if self._base is None or not self._base.paths(table):
            return
        if self._is_divided and table in BUCKETED_TABLES:
            self._writer.write(table, self._old(table, bucket), bucket=bucket)
        else:
            self._writer.keep(table, bucket=bucket)

    def _write(self, table: str, rows: pl.DataFrame, bucket: int) -> None:
        self._writer.write(table, rows, bucket=bucket)
        self.is_changed = True

    def _stamped(self, rows: pl.DataFrame) -> pl.DataFrame:
        return rows.with_columns(pl.lit(self._loaded_at).cast(_loaded_kind()).alias("loaded_at"))


def _loaded_kind() -> pl.DataType:
    return pl.Datetime("us", "UTC")


def _coalesced(old: pl.DataFrame, fresh: pl.DataFrame, key: str) -> pl.DataFrame:
    """Merge rows by key; a row whose values stay the same keeps its `loaded_at`."""
    values = [name for name in old.columns if name not in (key, "loaded_at")]
    joined = old.join(fresh, on=key, how="full", suffix="_new", coalesce=True)
    same = pl.all_horizontal(
        [pl.col(f"{n}_new").is_null() | pl.col(n).eq_missing(pl.col(f"{n}_new")) for n in values]
    )
    is_new = ~pl.col(key).is_in(old[key].implode())
    stamp = pl.when(same & ~is_new).then(pl.col("loaded_at")).otherwise(pl.col("loaded_at_new"))
    return joined.with_columns(
        [pl.coalesce(f"{n}_new", n).alias(n) for n in values] + [stamp.alias("loaded_at")]
    ).select(old.columns)


def _order_states(old: pl.DataFrame, fresh: pl.DataFrame) -> pl.DataFrame:
    """Return every order of `fresh` with its state: new, changed or unchanged."""
    orders = fresh.select(_ORDER).unique()
    known = old.join(orders, on=_ORDER, how="semi")
    if known.is_empty():
        return orders.with_columns(pl.lit("new").alias("state"))
    again = fresh.join(known.select(_ORDER).unique(), on=_ORDER, how="semi")
    pairs = _signatures(again).join(_signatures(known), on=_ORDER, how="inner", suffix="_old")
    same = (pl.col("hash") == pl.col("hash_old")) & (pl.col("count") == pl.col("count_old"))
    state = pl.when(same).then(pl.lit("unchanged")).otherwise(pl.lit("changed"))
    states = orders.join(pairs.select(*_ORDER, state.alias("state")), on=_ORDER, how="left")
    return states.with_columns(pl.col("state").fill_null("new"))


def _signatures(lines: pl.DataFrame) -> pl.DataFrame:
    row_hash = pl.struct(_CONTENT).hash(seed=0)
    return (
        lines.select(*_ORDER, row_hash.alias("hash"))
        .group_by(_ORDER)
        .agg(pl.col("hash").sum(), pl.len().alias("count"))
    )


def _gone_orders(old: pl.DataFrame, accepted: Accepted, moved: pl.DataFrame | None) -> pl.DataFrame:
    """Return stored orders that a load takes away: moved and cancelled ones, unnamed ones of its days."""
    gone = [old.select(_ORDER).clear()]
    replaced_days = accepted.replaced_days
    if accepted.withdrawn.height:
        gone.append(old.select(_ORDER).unique().join(accepted.withdrawn, on=_ORDER, how="semi"))
    if moved is not None:
        gone.append(old.select(_ORDER).unique().join(moved, on=_ORDER, how="semi"))
    if replaced_days is not None:
        start, end = replaced_days
        unnamed = pl.col("order_id").str.starts_with(pl.col("customer_id") + "@")
        within = (pl.col("ordered_days") >= start) & (pl.col("ordered_days") < end)
        stood = old.filter(unnamed & within).select(_ORDER).unique()
        gone.append(stood.join(accepted.lines, on=_ORDER, how="anti"))
    return pl.concat(gone).unique()


def _moved_orders(base: History, orders: pl.DataFrame) -> pl.DataFrame | None:
    """Return stored orders whose id now comes under another customer, where order ids are the shop's.

    They are taken to be the shop's where 100 stored orders of several customers share none; numbers that
    start anew for each customer collide long before. Without that evidence nothing moves: a copy does less
    harm than a loss.
    """
    # A file at a time, since the lines take more room than the orders; no order is in two of them.
    files = [pl.scan_parquet(path, glob=False).select(_ORDER).unique() for path in base.paths("order_lines")]
    stored = pl.concat([each.collect() for each in files])
    several = stored.height >= SHOP_WIDE_ORDERS_MIN and stored["customer_id"].n_unique() > 1
    if (
        not several
        or stored["order_id"].n_unique() < stored.height
        or not orders["order_id"].is_unique().all()
    ):
        return None
    return stored.join(orders, on="order_id", how="semi").join(orders, on=_ORDER, how="anti")
