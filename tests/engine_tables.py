"""Everything that an engine computes of a shop, by name, and the comparison of two engines."""

from collections.abc import Mapping
from typing import Any

import polars as pl
from polars.testing import assert_frame_equal

from features.baskets import build_baskets
from features.behaviour import read_behaviour
from features.build import build_features, build_shop_facts, read_parts
from features.category_clocks import read_clocks
from features.cohort import cohort_rows
from features.customer_totals import read_customer_totals
from features.engines import scan_table
from features.examples import ExampleBuilder
from features.favourite_category import favourite_categories
from features.first_days import read_beginnings
from features.formula_clv import estimate_lifespan, formula_clv
from features.high_value import flag_high_value
from features.history import History
from features.interactions import build_interactions, build_purchases
from features.items import build_items
from features.labels import build_labels
from features.orders import known_rows
from features.past_clocks import read_past_clocks
from features.replenishment import build_gap_errors
from features.retention import read_retention
from features.rfm import find_cuts, quintile_11, shopify_2021
from features.rfm_table import describe_rfm
from features.settings import Engine, FeatureSettings, Settings
from features.snapshot import Snapshot
from features.trends import build_trends

Tables = Mapping[str, Any]
OUTCOME_DAYS = 30


def settings_of(engine: Engine, snapshot: Snapshot, settings: Settings | None = None) -> Settings:
    """Return settings that compute on an engine, with the snapshot's observation window."""
    chosen = FeatureSettings(engine=engine, observation_days=snapshot.observation_days or 0)
    return (settings or Settings()).model_copy(update={"features": chosen})


def tables_of(
    history: History, snapshot: Snapshot, *, engine: Engine, settings: Settings | None = None
) -> Tables:
    """Compute all of it on one engine."""
    chosen = settings_of(engine, snapshot, settings)
    return {
        **_customer_tables(history, snapshot, chosen),
        **_shop_tables(history, snapshot, chosen),
        **_item_tables(history, snapshot, chosen),
        **_rfm_tables(history, snapshot, chosen),
    }


def core_tables_of(history: History, snapshot: Snapshot, *, engine: Engine) -> Tables:
    """Compute what all else is made like: features, labels, interactions, purchases and totals."""
    settings = settings_of(engine, snapshot)
    until = snapshot.shifted(OUTCOME_DAYS)
    return {
        "features": build_features(history, snapshot, settings=settings),
        "labels": build_labels(
            history, snapshot, horizons_days=[OUTCOME_DAYS], known_until=until, settings=settings
        ),
        "interactions": build_interactions(history, snapshot, settings=settings, engine=engine),
        "purchases": build_purchases(history, snapshot, until, engine=engine),
        "totals": read_customer_totals(history, snapshot, settings=settings).customers,
    }


def assert_same(found: Any, wanted: Any, *, exact: bool = False, name: str = "") -> None:
    """Hold two engines' tables to each other: floats to 1e-9 (or exactly), all else exactly."""
    if isinstance(wanted, Mapping):
        assert list(found) == list(wanted)
        for key in wanted:
            assert_same(found[key], wanted[key], exact=exact, name=str(key))
    elif isinstance(wanted, pl.DataFrame):
        assert found.schema == wanted.schema, name
        rows = [frame.sort(frame.columns) for frame in (found, wanted)]
        try:
            assert_frame_equal(*rows, check_exact=exact, rel_tol=1e-9, abs_tol=1e-9)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from error
    else:
        assert found == wanted, name


def _customer_tables(history: History, snapshot: Snapshot, settings: Settings) -> Tables:
    until = snapshot.shifted(OUTCOME_DAYS)
    before = snapshot.shifted(-OUTCOME_DAYS)
    engine = settings.features.engine
    builder = ExampleBuilder(history, settings)
    parts = read_parts(history, engine=engine, snapshot=snapshot, buckets=[0])
    facts = build_shop_facts(history, snapshot, engine=engine)
    return {
        "features": build_features(history, snapshot, settings=settings),
        "bucket": build_features(history, snapshot, settings=settings, buckets=[0], shop=facts),
        "facts": facts,
        "labels": build_labels(
            history, snapshot, horizons_days=(14, OUTCOME_DAYS), known_until=until, settings=settings
        ),
        "examples": pl.from_pandas(builder.features_at(before).reset_index()),
        "outcomes": pl.from_pandas(builder.outcomes(before, [OUTCOME_DAYS], snapshot).reset_index()),
        "cohort": cohort_rows(known_rows(parts[0].scan(parts[0].ledger), snapshot))
        .collect("polars")
        .to_native(),
        "behaviour": read_behaviour(history, parts, snapshot, bucket=0, shop=facts),
        "beginnings": read_beginnings(history, snapshot, settings=settings).customers,
    }


def _shop_tables(history: History, snapshot: Snapshot, settings: Settings) -> Tables:
    dates = [snapshot.shifted(-days) for days in (60, 30, 0)]
    clocks = list(read_past_clocks(history, dates, engine=settings.features.engine))
    return {
        "retention": read_retention(history, Snapshot(snapshot.date, snapshot.time_zone), settings=settings),
        "category clocks": read_clocks(history, snapshot, kind="category", settings=settings),
        "product clocks": read_clocks(
            history, snapshot, kind="product_id", settings=settings, clock_count_max=5
        ),
        **{f"clocks {number}": found.customers for number, found in enumerate(clocks)},
        "gaps": [(found.gaps, found.fully_churned) for found in clocks],
    }


def _item_tables(history: History, snapshot: Snapshot, settings: Settings) -> Tables:
    engine = settings.features.engine
    pairs = build_interactions(history, snapshot, settings=settings, engine=engine)
    items = build_items(history, snapshot, settings=settings, engine=engine)
    return {
        "interactions": pairs,
        "purchases": build_purchases(history, snapshot, snapshot.shifted(OUTCOME_DAYS), engine=engine),
        "items": items,
        "items of pairs": build_items(
            history, snapshot, settings=settings, engine=engine, interactions=pairs
        ),
        "baskets": build_baskets(history, snapshot, items=items, engine=engine),
        "trends": build_trends(history, snapshot, items=items, settings=settings, engine=engine),
        "gap errors": build_gap_errors(history, snapshot, interactions=pairs, items=items, engine=engine),
        "favourites": _favourites(history, snapshot, engine),
    }


def _favourites(history: History, snapshot: Snapshot, engine: Engine) -> pl.DataFrame:
    lines = known_rows(history.scan("order_lines", engine=engine), snapshot)
    products = history.read("products").unique("product_id", keep="last")
    categories = scan_table(products.select("product_id", "category"), engine=engine)
    found: pl.DataFrame = favourite_categories(lines, categories).collect("polars").to_native()
    return found


def _rfm_tables(history: History, snapshot: Snapshot, settings: Settings) -> Tables:
    totals = read_customer_totals(history, snapshot, settings=settings)
    rows = scan_table(totals.customers, engine=settings.features.engine)
    values = rows.rename({"spend_total": "value"}).select("customer_id", "value")
    lifespan = estimate_lifespan(totals.returns, default_days=1_095)
    tables: dict[str, Any] = {
        "totals": totals.customers,
        "returns": totals.returns,
        "high value": flag_high_value(values).collect("polars").to_native(),
    }
    for scheme in (quintile_11(), shopify_2021()):
        cuts = find_cuts(rows, scheme)
        scored = cuts.score(rows)
        tables |= {
            f"{scheme.name} scores": scored.collect("polars").to_native(),
            f"{scheme.name} cuts": cuts,
            f"{scheme.name} table": describe_rfm(scored, cuts),
            f"{scheme.name} values": formula_clv(
                scored, segments=scheme.segments, lifespan=lifespan, window_days=settings.rfm.window_days
            ),
        }
    return tables
