"""The favourite category: orders count, then money, then the name; on both engines."""

from datetime import date
from pathlib import Path

import duckdb
import narwhals as nw
import polars as pl
import pytest
from features_shop import line, write_shop

from features.favourite_category import favourite_categories, read_favourites
from features.snapshot import Snapshot

LINES = pl.DataFrame(
    [
        # two orders with tea, one with three mugs: orders count, not lines or money
        ("a", "o1", "tea", 100, False),
        ("a", "o2", "tea", 100, False),
        ("a", "o2", "mug", 900, False),
        ("a", "o2", "jug", 900, False),
        # one order each: the more money; what came back takes nothing away
        ("b", "o3", "tea", 300, False),
        ("b", "o4", "mug", 200, False),
        ("b", "o5", "tea", -300, True),
        # all equal: the first name
        ("c", "o6", "tea", 200, False),
        ("c", "o7", "mug", 200, False),
        # no category known, no product
        ("d", "o8", "odd", 200, False),
        ("e", "o9", None, 200, False),
    ],
    schema=["customer_id", "order_id", "product_id", "amount_minor", "is_return"],
    orient="row",
)
CATEGORIES = pl.DataFrame(
    {"product_id": ["tea", "mug", "jug", "odd"], "category": ["Tea", "<b>Pots", "<b>Pots", None]}
)


@pytest.mark.parametrize("engine", ["polars", "duckdb"])
def test_the_category_of_most_orders_is_the_favourite(engine: str) -> None:
    tables = [
        nw.from_native(table.lazy() if engine == "polars" else duckdb.from_arrow(table.to_arrow()))
        for table in (LINES, CATEGORIES)
    ]
    found = favourite_categories(*tables).collect("polars").to_native().sort("customer_id")
    assert found.rows() == [("a", "Tea"), ("b", "Tea"), ("c", "<b>Pots")]


def test_what_comes_after_the_snapshot_is_not_known(tmp_path: Path) -> None:
    lines = [
        line("a", "1", "2026-01-01", 10.0, product="tea"),
        line("a", "2", "2026-02-01", 10.0, product="mug"),
        line("a", "3", "2026-02-02", 10.0, product="mug"),
    ]
    shop = write_shop(tmp_path, lines, categories={"tea": "Tea", "mug": "Pots"}, bucket_count=1)
    for day, favourite in ((date(2026, 1, 15), "Tea"), (date(2026, 3, 1), "Pots")):
        assert read_favourites(shop, Snapshot(day), bucket=0).rows() == [("a", favourite)]


def test_a_shop_without_categories_has_no_favourites(tmp_path: Path) -> None:
    shop = write_shop(tmp_path, [line("a", "1", "2026-01-01", 10.0)], bucket_count=1)
    assert read_favourites(shop, Snapshot(date(2026, 3, 1)), bucket=0).rows() == []
