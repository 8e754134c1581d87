"""The feature table of a snapshot: one row per customer who ordered before it.

    python -m features.build [--as-of 2011-09-10] [--var var] [--out features.parquet]

`build_features` reads the lines of a history, makes the ledger (`features.orders`), measures the shop
(`features.shop`) and lets every family compute its columns. `features.examples.ExampleBuilder` keeps the
ledger and calls the same `compute_features` at many snapshots, so training and scoring cannot disagree.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import duckdb
import narwhals as nw
import polars as pl

from features.declare import Expressions, Moment
from features.families import FAMILIES, FEATURE_NAMES, FEATURES
from features.history import MONEY_SCALE, History
from features.orders import LINE_COLUMNS, Frame, event_rows, known_rows, ledger_rows, order_days
from features.settings import Settings
from features.shop import ShopFacts, read_shop_facts
from features.snapshot import Snapshot

# Counts, days and money come from integers by one division at most; everything else is rounded.
_EXACT_UNITS = frozenset({"orders", "money", "days"})


@dataclass(frozen=True, slots=True)
class Tables:
    """The rows that features are computed from, in memory and free of any snapshot."""

    ledger: pl.DataFrame
    events: pl.DataFrame
    engine: str

    def scan(self, table: pl.DataFrame) -> Frame:
        """Return a lazy frame over a table on the chosen engine."""
        if self.engine == "duckdb":
            return nw.from_native(duckdb.from_arrow(table.to_arrow()))
        return nw.from_native(table.lazy())


def build_features(
    history: History,
    snapshot: Snapshot,
    *,
    settings: Settings,
    buckets: Sequence[int] | None = None,
    engine: str | None = None,
) -> pl.DataFrame:
    """Build the feature table: one row per cohort customer, sorted by customer.

    Columns: `customer_id`, `as_of` (Date), then every declared feature (Float64, null where missing). Only
    rows before the snapshot (and inside its observation window) are read. `buckets` restricts the rows
    returned, not the shop-wide facts; `engine` overrides the settings' one.
    """
    chosen = engine or settings.features.engine
    tables = read_tables(history, engine=chosen, snapshot=snapshot)
    shop = shop_facts(tables, snapshot)
    if buckets is not None:
        tables = read_tables(history, engine=chosen, snapshot=snapshot, buckets=buckets)
    return compute_features(tables, snapshot, settings=settings, shop=shop)


def read_tables(
    history: History, *, engine: str, snapshot: Snapshot | None = None, buckets: Sequence[int] | None = None
) -> Tables:
    """Read the ledger and events, all or (with a snapshot) only what is known at it."""
    lines = history.scan("order_lines", engine=engine, buckets=buckets).select(*LINE_COLUMNS)
    if snapshot is not None:
        lines = known_rows(lines, snapshot).drop("days_ago")
    described = any(history.has_column("products", name) for name in ("category", "subcategory", "brand"))
    products = history.scan("products", engine=engine) if described else None
    events = event_rows(history.scan("events", engine=engine, buckets=buckets))
    if snapshot is not None:
        events = known_rows(events, snapshot).drop("days_ago")
    return Tables(_collect(ledger_rows(lines, products)), _collect(events), engine)


def shop_facts(tables: Tables, snapshot: Snapshot) -> ShopFacts:
    """Measure the whole shop as of a snapshot; `tables` must hold every bucket."""
    known = known_rows(tables.scan(tables.ledger), snapshot)
    events = known_rows(tables.scan(tables.events), snapshot)
    return read_shop_facts(order_days(known, snapshot), [known, events])


def compute_features(
    tables: Tables, snapshot: Snapshot, *, settings: Settings, shop: ShopFacts
) -> pl.DataFrame:
    """Compute the feature table of the customers in `tables`, as `build_features` describes it."""
    at = Moment(snapshot, settings.shop.clv_basis, shop)
    known = known_rows(tables.scan(tables.ledger), snapshot)
    days = order_days(known, snapshot)
    customers = _aggregate(days, (family.days for family in FAMILIES), at)
    totals = _aggregate(known, (family.ledger for family in FAMILIES), at)
    events = _aggregate(
        known_rows(tables.scan(tables.events), snapshot), (family.events for family in FAMILIES), at
    )
    rows = customers.join(totals, on="customer_id", how="left").join(events, on="customer_id", how="left")
    columns = list(chain.from_iterable(family.columns(at) for family in FAMILIES))
    features = _collect(rows.select("customer_id", *columns))
    return _finish(features, snapshot)


def _aggregate(rows: Frame, expressions: Iterable[Expressions], at: Moment) -> Frame:
    aggregates = list(chain.from_iterable(expression(at) for expression in expressions))
    totals = rows.group_by("customer_id").agg(*aggregates)
    # DuckDB answers integer sums as decimals; from here on every column is a float.
    names = [name for name in totals.collect_schema().names() if name != "customer_id"]
    return totals.with_columns(nw.col(*names).cast(nw.Float64))


def _finish(features: pl.DataFrame, snapshot: Snapshot) -> pl.DataFrame:
    unit = {feature.name: feature.unit for feature in FEATURES}
    moneys = [name for name in FEATURE_NAMES if unit[name] == "money"]
    rounded = [name for name in FEATURE_NAMES if unit[name] not in _EXACT_UNITS]
    return (
        features.with_columns(pl.col(FEATURE_NAMES).cast(pl.Float64).fill_nan(None))
        # Polars divides by a constant through its reciprocal; 15 digits bring the cents back.
        .with_columns((pl.col(moneys) / MONEY_SCALE).round_sig_figs(15))
        .with_columns(pl.col(rounded).round_sig_figs(9))
        .sort("customer_id")
        .select("customer_id", pl.lit(snapshot.date).alias("as_of"), *FEATURE_NAMES)
    )


def _collect(rows: Frame) -> pl.DataFrame:
    return rows.collect("polars").to_native()  # type: ignore[no-any-return]
