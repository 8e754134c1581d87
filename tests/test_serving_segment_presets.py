"""The presets and the traits beneath them, on ten customers who were loaded and scored by the program."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from preset_shop import AS_OF, LISTS, make_preset_shop

from features.behaviour import EVENT_KINDS, read_behaviour
from features.build import build_features, build_shop_facts, read_parts
from features.history import History
from features.layout import Layout
from features.settings import Settings
from features.snapshot import Snapshot
from serving.segments.presets import BY_SLUG, PRESETS, preset_text
from serving.segments.words import compile_segment
from serving.store.contract import ScoreRun
from serving.store.sqlite_store import SqliteStore

# MLflow's own database layer uses what SQLAlchemy has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    var = tmp_path_factory.mktemp("shop")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("serving.registry.check_bundle", lambda *_: None)
        make_preset_shop(var)
    return var


def live(var: Path) -> ScoreRun:
    store = SqliteStore.of(Layout(var))
    return store.open_run(store.live_run_id())


def members(run: ScoreRun, text: str) -> str:
    found = asyncio.run(run.list_segment(compile_segment(text, run.meta), limit=100))
    return " ".join(place.customer_id for place in found)


@pytest.mark.parametrize("slug", [preset.slug for preset in PRESETS])
def test_a_preset_lists_whom_one_finds_by_hand(shop: Path, slug: str) -> None:
    run = live(shop)
    assert run.meta.as_of == AS_OF
    text = asyncio.run(preset_text(BY_SLUG[slug], run))
    assert members(run, text) == LISTS[slug]


def test_a_run_keeps_the_tree_of_its_micro_segments(shop: Path) -> None:
    found = json.loads(asyncio.run(live(shop).get_document("micro_segments")) or "")
    assert (found["customer_count"], found["leaf_customers_min"], found["branches"]) == (10, 50, [])
    assert found["levels"] == ["lifecycle_stage", "rfm_segment", "favourite_category"]


def test_there_are_seven_presets_and_ten() -> None:
    assert len(LISTS) == len(BY_SLUG) == 17


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("largest_order_value >= 150", "bob gus"),
        ("bought('mug', 60d)", "ann"),
        ('favourite_category == "Drinks"', "cem dot fay ivy"),
        ('favourite_category == "Kitchen"', "ann bob eve gus hal jan"),
        ("bought('mug') and return_count == 1", "hal"),
        ("return_share == 0.5", "hal"),
        ("bought_category('Kitchen', 90)", "ann gus hal"),
        ("distinct_product_count == 2 and distinct_category_count == 2", "ann"),
        ("order_count_90 == 3 and order_count_180 == 6", "fay"),
        ("spend_90 == 30", "ann dot fay"),
        ("last_order_at == '2026-01-02'", "cem"),
        ("first_order_at < '2026-01-01' and historic_number_of_orders == 2", "hal"),
        ("tenure_days == 180 and recency_days == 180", "cem"),
        ("last_view_at is not null", "ann bob dot"),
        ("last_act_at == '2026-06-29'", "ann"),
        ("open_count == 1 and open_count_90 == 1", "bob"),
        ("click_count == 1 and click_count_90 == 0", "cem"),
        ("view_count >= 3", "ann dot"),
        ("loyalty_tier == 0", "eve"),
        ("message_count is not null or discounted_order_count is not null", ""),
        ("historic_clv == 5 and item_count == 2", "hal"),
    ],
)
def test_traits_are_what_one_counts_by_hand(shop: Path, text: str, wanted: str) -> None:
    assert members(live(shop), text) == wanted


def behaviour_of(shop: Path, engine: str) -> Any:
    history, snapshot = History.open(Layout(shop).history), Snapshot(AS_OF)
    facts = build_shop_facts(history, snapshot)
    bucket_count = history.manifest.bucket_count
    tables = [
        read_behaviour(
            history,
            read_parts(history, engine=engine, snapshot=snapshot, buckets=[bucket]),
            snapshot,
            bucket=bucket,
            shop=facts,
        )
        for bucket in range(bucket_count)
    ]
    return [row for table in tables for row in table.iter_rows()]


def test_both_engines_count_the_same(shop: Path) -> None:
    assert behaviour_of(shop, "polars") == behaviour_of(shop, "duckdb")


def test_counts_agree_with_the_features_of_the_same_name(shop: Path) -> None:
    history, snapshot = History.open(Layout(shop).history), Snapshot(AS_OF)
    features = build_features(history, snapshot, settings=Settings())
    run = live(shop)
    for name in [f"{kind}_count_90" for kind in EVENT_KINDS if f"{kind}_count_90" in features.columns]:
        for customer, value in features.select("customer_id", name).iter_rows():
            text = f"{name} is null" if value is None else f"{name} == {value}"
            assert customer in members(run, text).split(), (name, customer)
