"""What was bought in one order, on hand-made orders."""

from pathlib import Path

import pytest
from recommender_shop import Line, day, write_shop

from features import baskets
from features.baskets import BASKET_SCHEMA, build_baskets
from features.history import History
from features.interactions import Engine
from features.items import build_items
from features.settings import Settings

LINES: list[Line] = [
    ("ann", "tea", 1.0, 1, 1.0),
    ("ann", "tea", 1.0, 2, 2.0),  # a second line of the same item
    ("ann", "mug", 1.0, 1, 1.0),
    ("ann", "mug", 2.0, 1, 1.0),
    ("ann", "tea", 2.0, 1, -1.0),  # a return beside it
    ("bob", "tea", 1.0, 1, 1.0),
    ("bob", "pot", 1.0, 1, 1.0),
    ("bob", None, 1.0, 1, 1.0),
    ("bob", "mug", 9.0, 1, 1.0),  # after the snapshot
]


def contents(shop: History, at: int, *, engine: Engine = "polars", **limits: list[int]) -> list[list[str]]:
    """Return what each basket holds, sorted."""
    items = build_items(shop, day(at), settings=Settings())
    found = build_baskets(shop, day(at), items=items, engine=engine, **limits)
    assert found.schema == BASKET_SCHEMA
    names = dict(items.select("item_no", "product_id").rows())
    held: dict[int, list[str]] = {}
    for basket, _, item in found.rows():
        held.setdefault(basket, []).append(names[item])
    assert sorted(held) == list(range(len(held)))
    return sorted(sorted(names) for names in held.values())


@pytest.mark.parametrize("engine", ["polars", "duckdb"])
def test_the_hand_table(tmp_path: Path, engine: Engine) -> None:
    shop = write_shop(tmp_path, LINES)
    assert contents(shop, 5, engine=engine) == [["mug"], ["mug", "tea"], ["pot", "tea"]]


def test_buckets_limit_the_customers(tmp_path: Path) -> None:
    shop = write_shop(tmp_path, LINES)
    parts = [contents(shop, 5, buckets=[bucket]) for bucket in range(shop.manifest.bucket_count)]
    assert sorted(basket for part in parts for basket in part) == contents(shop, 5)


def test_a_wholesale_load_is_no_basket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baskets, "BASKET_ITEM_COUNT_MAX", 2)
    load: list[Line] = [("cyd", product, 3.0, 1, 1.0) for product in ("tea", "mug", "pot")]
    assert contents(write_shop(tmp_path, [*LINES, *load]), 5) == [["mug"], ["mug", "tea"], ["pot", "tea"]]
