"""How well the next purchase can be foreseen, by hand."""

from pathlib import Path

import pytest
from recommender_shop import Line, day, settings, write_shop

from features.history import History
from features.interactions import Engine, build_interactions
from features.items import build_items
from features.replenishment import build_gap_errors

PRODUCTS = [("milk", "dairy", None), ("cream", "dairy", None), ("nail", "tools", None), ("soap", None, None)]


def regulars(product: str, days: tuple[float, ...], *, count: int) -> list[Line]:
    return [(f"{product}{number}", product, day_, 1, 2.0) for number in range(count) for day_ in days]


@pytest.fixture
def shop(tmp_path: Path) -> History:
    # milk: usual 10 days, then 15: half off; nail: usual 10, then 10; cream and soap: too few to say
    lines = regulars("milk", (0, 10, 25), count=20) + regulars("nail", (0, 10, 20, 30), count=20)
    lines += regulars("cream", (0, 10, 40), count=3) + regulars("soap", (0, 10), count=30)
    return write_shop(tmp_path, lines, PRODUCTS)


@pytest.mark.parametrize("engine", ["polars", "duckdb"])
def test_an_items_gaps_are_foreseen_as_well_as_its_own_its_categorys_or_the_shops(
    shop: History, engine: Engine
) -> None:
    snapshot = day(60)
    interactions = build_interactions(shop, snapshot, settings=settings())
    items = build_items(shop, snapshot, settings=settings())
    found = build_gap_errors(shop, snapshot, interactions=interactions, items=items, engine=engine)
    assert found["product_id"].to_list() == ["cream", "milk", "nail", "soap"]
    assert found["gap_count"].to_list() == [3, 20, 20, 0]
    # cream takes dairy's median (20 × 0.5, 3 × 2.0), soap the shop's (20 × 0.0, 20 × 0.5, 3 × 2.0)
    assert found["gap_error_share"].to_list() == [0.5, 0.5, 0.0, 0.5]


def test_what_happened_later_is_not_known_and_few_gaps_say_nothing(shop: History) -> None:
    snapshot = day(12)
    interactions = build_interactions(shop, snapshot, settings=settings())
    items = build_items(shop, snapshot, settings=settings())
    found = build_gap_errors(shop, snapshot, interactions=interactions, items=items)
    assert found["gap_error_share"].to_list() == [None] * len(items)
