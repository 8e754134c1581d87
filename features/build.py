"""The feature table of a snapshot: one row per customer who ordered before it.

    python -m features.build [--as-of 2011-09-10] [--var var] [--out features.parquet]

`build_features` reads the lines of a history, makes the ledger (`features.orders`), measures the shop
(`features.shop`) and lets every family compute its columns. `features.examples.ExampleBuilder` keeps the
ledger and calls the same `compute_features` at many snapshots, so training and scoring cannot disagree.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Annotated

import narwhals as nw
import polars as pl
import typer

from features.cohort import read_as_of
from features.console import run_command
from features.declare import Expressions, Moment
from features.engines import Kept, gather, keep, scan_table
from features.families import FAMILIES, FEATURE_NAMES, FEATURES
from features.history import MONEY_SCALE, History
from features.layout import Layout
from features.margin import known_costs, line_cost
from features.orders import LINE_COLUMNS, Frame, event_rows, known_rows, ledger_rows, order_days
from features.settings import Engine, Settings, load_settings
from features.settle import settle_basis
from features.shop import ShopFacts, read_shop_facts
from features.snapshot import Snapshot

# Some buckets are read at a time; whoever iterates over the parts holds one of them, not the history.
LINES_AT_ONCE = 5_000_000


@dataclass(frozen=True, slots=True)
class KnownPart:
    """What was known of some customers at a snapshot: ledger rows, order days and events."""

    ledger: Frame
    days: Frame
    events: Frame


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of some buckets' customers, kept where they are computed on and free of any snapshot."""

    ledger: Kept
    events: Kept
    engine: Engine

    def known_at(self, snapshot: Snapshot) -> KnownPart:
        """Return what was known at a snapshot; order days are computed once and kept."""
        ledger = known_rows(self.scan(self.ledger), snapshot)
        days = self.scan(keep(order_days(ledger, snapshot), engine=self.engine))
        return KnownPart(ledger, days, known_rows(self.scan(self.events), snapshot))

    def scan(self, table: Kept) -> Frame:
        """Return a table as a lazy frame on the chosen engine."""
        return scan_table(table, engine=self.engine)


def build_features(
    history: History,
    snapshot: Snapshot,
    *,
    settings: Settings,
    buckets: Sequence[int] | None = None,
    engine: Engine | None = None,
    shop: ShopFacts | None = None,
) -> pl.DataFrame:
    """Build the feature table: one row per cohort customer, sorted by customer.

    Columns: `customer_id`, `as_of` (Date), then every declared feature (Float64, null where missing). Only
    rows before the snapshot (and inside its observation window) are read. `buckets` restricts the rows
    returned, not the shop-wide facts; `shop` gives these, and spares reading the other buckets; `engine`
    overrides the settings' one.
    """
    chosen = engine or settings.features.engine
    if buckets is not None and shop is None:
        shop = build_shop_facts(history, snapshot, engine=chosen)
    parts = read_parts(history, engine=chosen, snapshot=snapshot, buckets=buckets)
    return compute_features(parts, snapshot, settings=settings, shop=shop)


def build_shop_facts(history: History, snapshot: Snapshot, *, engine: Engine = "polars") -> ShopFacts:
    """Measure the whole shop at a snapshot, every bucket of it."""
    parts = iterate_parts(history, engine=engine, snapshot=snapshot)
    return measure_shop(part.known_at(snapshot) for part in parts)


def read_parts(
    history: History,
    *,
    engine: Engine,
    snapshot: Snapshot | None = None,
    buckets: Sequence[int] | None = None,
) -> list[Part]:
    """Read ledgers and events, all or (with a snapshot) only what is known at it; all parts in memory."""
    return list(iterate_parts(history, engine=engine, snapshot=snapshot, buckets=buckets))


def iterate_parts(
    history: History,
    *,
    engine: Engine,
    snapshot: Snapshot | None = None,
    buckets: Sequence[int] | None = None,
) -> Iterator[Part]:
    """Yield what `read_parts` returns, reading each part when it is asked for."""
    groups = bucket_groups(history, engine=engine, buckets=buckets)
    return (_read_part(history, group, engine=engine, snapshot=snapshot) for group in groups)


def bucket_groups(
    history: History, *, engine: Engine = "polars", buckets: Sequence[int] | None = None
) -> list[list[int]]:
    """Return buckets (all unless given) in groups of about `LINES_AT_ONCE` lines, to read one at a time.

    A cluster holds them all: for it they are one group.
    """
    chosen = list(range(history.manifest.bucket_count) if buckets is None else buckets)
    if engine == "pyspark":
        return [chosen]
    lines_per_bucket = history.manifest.row_counts["order_lines"] / history.manifest.bucket_count
    step = max(1, int(LINES_AT_ONCE / max(lines_per_bucket, 1)))
    return [chosen[start : start + step] for start in range(0, len(chosen), step)]


def measure_shop(parts: Iterable[KnownPart]) -> ShopFacts:
    """Measure the whole shop at a snapshot; the parts must hold every bucket."""
    return read_shop_facts((part.days, part.ledger, part.events) for part in parts)


def compute_features(
    parts: Sequence[Part], snapshot: Snapshot, *, settings: Settings, shop: ShopFacts | None = None
) -> pl.DataFrame:
    """Compute the feature table of the customers in the parts, as `build_features` describes it.

    The parts must hold every bucket, unless `shop` tells what the whole shop was like.
    """
    known = [part.known_at(snapshot) for part in parts]
    at = Moment(snapshot, settings.shop.basis, shop or measure_shop(known))
    return _finish(pl.concat([_compute_part(part, at) for part in known]), snapshot)


def _read_part(
    history: History, buckets: Sequence[int], *, engine: Engine, snapshot: Snapshot | None
) -> Part:
    lines = _read_lines(history, buckets, engine=engine)
    events = event_rows(history.scan("events", engine=engine, buckets=buckets))
    if snapshot is not None:
        lines = known_rows(lines, snapshot).drop("days_ago")
        events = known_rows(events, snapshot).drop("days_ago")
    row_count = history.manifest.row_counts["order_lines"]
    lines, events = (gather(rows, engine=engine, row_count=row_count) for rows in (lines, events))
    rows = ledger_rows(lines.collect() if engine == "polars" else lines)
    return Part(keep(rows, engine=engine), keep(events, engine=engine), engine)


def _read_lines(history: History, buckets: Sequence[int], *, engine: Engine) -> Frame:
    """Scan order lines with the number of their product's category and their cost, where any is known.

    On Polars, lines keep their stored order.
    """
    lines = history.scan("order_lines", engine=engine, buckets=buckets).select(*LINE_COLUMNS)
    products = history.read("products").select(
        "product_id", pl.col("category").rank("dense").cast(pl.Int32), known_costs()
    )
    told = all(history.has_column("order_lines", name) for name in ("product_id", "quantity_minor"))
    has_costs = told and products["unit_cost_minor"].count() > 0
    described = _join_products(lines, products if has_costs else products.drop("unit_cost_minor"), engine)
    if not has_costs:
        return described
    return described.with_columns(line_cost().alias("cost_minor")).drop("unit_cost_minor")


def _join_products(lines: Frame, products: pl.DataFrame, engine: Engine) -> Frame:
    if engine != "polars":
        return lines.join(scan_table(products, engine=engine), on="product_id", how="left")
    native: pl.LazyFrame = lines.to_native()
    return nw.from_native(native.join(products.lazy(), on="product_id", how="left", maintain_order="left"))


def _compute_part(known: KnownPart, at: Moment) -> pl.DataFrame:
    customers = _aggregate(known.days, (family.days for family in FAMILIES), at)
    totals = _aggregate(known.ledger, (family.ledger for family in FAMILIES), at)
    acts = _aggregate(known.events, (family.events for family in FAMILIES), at)
    rows = customers.join(totals, on="customer_id", how="left").join(acts, on="customer_id", how="left")
    columns = chain.from_iterable(family.columns(at) for family in FAMILIES)
    return _collect(rows.select("customer_id", *columns))


def _aggregate(rows: Frame, expressions: Iterable[Expressions], at: Moment) -> Frame:
    aggregates = list(chain.from_iterable(expression(at) for expression in expressions))
    totals = rows.group_by("customer_id").agg(*aggregates)
    # DuckDB answers integer sums as decimals; from here on every column is a float.
    names = [name for name in totals.collect_schema().names() if name != "customer_id"]
    return totals.with_columns(nw.col(*names).cast(nw.Float64))


def _finish(features: pl.DataFrame, snapshot: Snapshot) -> pl.DataFrame:
    moneys = [feature.name for feature in FEATURES if feature.unit == "money"]
    # Divided by a column: by a constant, Polars would multiply with its reciprocal and lose the last cent.
    scale = pl.repeat(float(MONEY_SCALE), features.height, eager=True).alias("minor_per_major")
    return (
        features.with_columns(pl.col(FEATURE_NAMES).cast(pl.Float64).fill_nan(None), scale)
        .with_columns(pl.col(moneys) / pl.col("minor_per_major"))
        .sort("customer_id")
        .select("customer_id", pl.lit(snapshot.date).alias("as_of"), *FEATURE_NAMES)
    )


def _collect(rows: Frame) -> pl.DataFrame:
    return rows.collect("polars").to_native()  # type: ignore[no-any-return]


def main(
    as_of: Annotated[str, typer.Option(help="the snapshot's date, such as 2011-09-10")] = "",
    var: Annotated[Path, typer.Option(envvar="VAR", help="where everything lies")] = Path("var"),
    out: Annotated[Path | None, typer.Option(help="the Parquet file to write")] = None,
) -> None:
    """Write the feature table of one date, and show a little of it."""
    settings = load_settings()
    history = History.open(Layout(var).history)
    day = read_as_of(as_of or None, history, settings.shop.time_zone)
    snapshot = Snapshot(day, settings.shop.time_zone, settings.features.observation_days or None)
    settled = settle_basis(settings, history, snapshot)
    table = build_features(history, snapshot, settings=settled.settings)
    path = out or Layout(var).root / "features" / f"{day}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    table.write_parquet(path)
    with pl.Config(tbl_rows=6, tbl_width_chars=110, tbl_hide_dataframe_shape=True):
        sys.stdout.write(f"{table.select('customer_id', *FEATURE_NAMES[:5])}\n")
    sys.stdout.write(settled.warning)
    sys.stdout.write(f"{table.height} customers x {len(FEATURE_NAMES)} features as of {day}: {path}\n")


if __name__ == "__main__":
    run_command(main)
