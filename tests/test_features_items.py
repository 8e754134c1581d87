"""The item table on hand-made shops whose figures are known."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from recommender_shop import Line, day, settings, write_shop

from features.history import History
from features.interactions import Engine, build_interactions
from features.items import ITEM_SCHEMA, build_items

# Ann and bob come back for tea after 10 and 20 days, cyd does not; nobody comes back for the sofa.
LINES: list[Line] = [
    ("ann", "tea", 1.0, 1, 4.00),
    ("ann", "tea", 11.0, 2, 10.00),
    ("bob", "tea", 1.0, 1, 4.00),
    ("bob", "tea", 21.0, 1, 4.00),
    ("cyd", "tea", 30.0, 1, 4.00),
    ("cyd", "sofa", 30.0, 1, 900.00),
    ("bob", "gift", 21.0, 1, 0.00),
    ("dan", "sofa", 50.0, 1, 900.00),  # after the snapshot
]


@pytest.fixture
def shop(tmp_path: Path) -> History:
    return write_shop(tmp_path, LINES, [("tea", "drinks", "hot"), ("sofa", "home", "seats")])


@pytest.mark.parametrize("engine", ["polars", "duckdb"])
def test_the_hand_table(shop: History, engine: Engine) -> None:
    found = build_items(shop, day(40), settings=settings(popularity_days=15), engine=engine)
    assert found.schema == ITEM_SCHEMA
    assert found["product_id"].to_list() == ["gift", "sofa", "tea"]
    assert found["item_no"].to_list() == [0, 1, 2]
    counts = found.select(
        "order_count",
        "customer_count",
        "recent_order_count",
        "recent_customer_count",
        "repeat_customer_count",
    )
    assert counts.rows() == [(1, 1, 0, 0, 0), (1, 1, 1, 1, 0), (5, 3, 1, 1, 2)]
    assert found["unit_price_minor"].to_list() == [None, 9_000_000.0, 40_000.0]
    assert found["category"].to_list() == [None, "home", "drinks"]
    pairs = build_interactions(shop, day(40), settings=settings(popularity_days=15))
    counted = build_items(
        shop, day(40), settings=settings(popularity_days=15), engine=engine, interactions=pairs
    )
    assert_frame_equal(counted, found)


def test_the_repurchase_rate_is_shrunk_to_category_and_shop(shop: History) -> None:
    rates = dict(
        build_items(shop, day(40), settings=settings()).select("product_id", "repurchase_rate").rows()
    )
    shop_rate = 2 / 5
    drinks = (2 + 20 * shop_rate) / (3 + 20)
    assert rates["tea"] == pytest.approx((2 + 20 * drinks) / (3 + 20))
    assert rates["sofa"] < shop_rate < rates["tea"]


def test_the_repurchase_gap_is_the_median_of_the_buyers_own(shop: History) -> None:
    found = build_items(shop, day(40), settings=settings())
    gaps = dict(found.select("product_id", "repurchase_gap_days").rows())
    assert gaps["tea"] == pytest.approx(15.0)
    assert gaps["sofa"] == pytest.approx(15.0)  # nothing of its own: the shop's


def test_where_nobody_comes_back_there_is_no_gap(tmp_path: Path) -> None:
    shop = write_shop(tmp_path, [("ann", "a", 1.0, 1, 1.0), ("bob", "a", 2.0, 1, 1.0)])
    found = build_items(shop, day(5), settings=settings())
    assert found["repurchase_gap_days"].to_list() == [None]
    assert found["repurchase_rate"].to_list() == [0.0]


def test_two_orders_on_one_day_are_no_repurchase(tmp_path: Path) -> None:
    shop = write_shop(tmp_path, [("ann", "a", 1.0, 1, 1.0), ("ann", "a", 1.5, 1, 1.0)])
    assert build_items(shop, day(5), settings=settings())["repeat_customer_count"].to_list() == [0]


def test_price_tiers_cut_each_need_in_three_and_keep_ties_together(tmp_path: Path) -> None:
    prices = {"a": 1.0, "b": 2.0, "c": 3.0, "x": 5.0, "y": 5.0, "z": 5.0}
    lines: list[Line] = [("ann", product, 1.0, 1, price) for product, price in prices.items()]
    shop = write_shop(tmp_path, lines, [(p, "food", "one" if p < "m" else "two") for p in prices])
    assert build_items(shop, day(5), settings=settings())["price_tier"].to_list() == [1, 2, 3, 2, 2, 2]


def test_an_item_is_inactive_after_a_silence_of_four_of_its_gaps(tmp_path: Path) -> None:
    often: list[Line] = [("ann", "often", float(number), 1, 1.0) for number in range(1, 41)]
    rare: list[Line] = [("ann", "rare", number, 1, 1.0) for number in (1.0, 40.0)]
    shop = write_shop(tmp_path, often + rare)
    chosen = settings(popularity_days=7)
    assert build_items(shop, day(46), settings=chosen)["is_active"].to_list() == [True, True]
    assert build_items(shop, day(60), settings=chosen)["is_active"].to_list() == [False, True]


def test_only_the_most_ordered_are_kept_and_numbered_by_id(tmp_path: Path) -> None:
    lines: list[Line] = [
        (f"c{buyer}", f"p{number:02}", 1.0, 1, 1.0) for number in range(12) for buyer in range(number + 1)
    ]
    found = build_items(write_shop(tmp_path, lines), day(5), settings=settings(item_count_max=10))
    assert found["product_id"].to_list() == [f"p{number:02}" for number in range(2, 12)]
    assert found["item_no"].to_list() == list(range(10))


@pytest.mark.parametrize(
    ("snapshot_day", "loaded_day", "expected"),
    [
        (40, 39, False),  # loaded before the snapshot
        (40, 45, None),  # loaded later, and later orders are known: the past
        (60, 65, False),  # loaded later, but no later order is known: the present
    ],
)
def test_stock_is_believed_only_when_it_was_known(
    tmp_path: Path, snapshot_day: int, loaded_day: int, expected: bool | None
) -> None:
    loaded = datetime(2026, 1, 1, tzinfo=UTC) + (day(loaded_day).date - day(0).date)
    products = [("sofa", "home", "seats", {"in_stock": False, "loaded_at": loaded})]
    found = build_items(write_shop(tmp_path, LINES, products), day(snapshot_day), settings=settings())
    assert found.filter(pl.col("product_id") == "sofa")["in_stock"].to_list() == [expected]


def test_later_lines_change_nothing(shop: History, tmp_path: Path) -> None:
    earlier = write_shop(tmp_path / "b", LINES[:-1], [("tea", "drinks", "hot"), ("sofa", "home", "seats")])
    assert_frame_equal(
        build_items(shop, day(40), settings=settings()), build_items(earlier, day(40), settings=settings())
    )


def test_no_products_give_an_empty_table(tmp_path: Path) -> None:
    found = build_items(write_shop(tmp_path, [("ann", None, 1.0, 1, 1.0)]), day(5), settings=settings())
    assert found.is_empty()
    assert found.schema == ITEM_SCHEMA
