"""The item table on hand-made shops whose figures are known."""

from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from recommender_shop import Line, Product, day, settings, write_shop

from features import build
from features.build import bucket_groups
from features.history import History
from features.interactions import Engine, build_interactions
from features.items import ITEM_SCHEMA, build_items
from features.snapshot import Snapshot
from features.trends import build_trends

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


@pytest.mark.parametrize("engine", ["polars", "duckdb"])
def test_a_group_of_buckets_at_a_time_counts_the_same(
    shop: History, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = build_items(shop, day(40), settings=settings(), engine=engine)
    trends = build_trends(shop, day(40), items=whole, settings=settings(), engine=engine)
    monkeypatch.setattr(build, "LINES_AT_ONCE", 1)
    assert len(bucket_groups(shop, engine=engine)) > 1
    assert_frame_equal(build_items(shop, day(40), settings=settings(), engine=engine), whole)
    again = build_trends(shop, day(40), items=whole, settings=settings(), engine=engine)
    assert_frame_equal(again, trends)


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


def shelf_with_unsold(folder: Path) -> History:
    """Tea is sold; three further products of its need never were."""
    attributes: dict[str, dict[str, object]] = {
        "old": {"list_price_minor": 50_000, "launched_on": date(2025, 1, 1), "in_stock": True},
        "fresh": {"list_price_minor": 20_000, "launched_on": date(2026, 2, 1)},
        "undated": {"in_stock": True},
        "unknown": {},
    }
    unsold: list[Product] = [(name, "drinks", "hot", found) for name, found in attributes.items()]
    return write_shop(folder, LINES, [("tea", "drinks", "hot"), ("sofa", "home", "seats"), *unsold])


def test_a_product_that_nobody_bought_has_no_figures_of_orders(tmp_path: Path) -> None:
    found = build_items(shelf_with_unsold(tmp_path), day(60), settings=settings())
    assert found["product_id"].to_list() == ["fresh", "gift", "old", "sofa", "tea", "undated", "unknown"]
    unsold = found.filter(pl.col("order_count") == 0)
    assert unsold["product_id"].to_list() == ["fresh", "old", "undated", "unknown"]
    for name in ("customer_count", "recent_order_count", "recent_customer_count", "repeat_customer_count"):
        assert unsold[name].to_list() == [0] * 4
    assert unsold["order_weight_30"].to_list() == [0.0] * 4
    assert unsold["first_days"].to_list() == unsold["last_days"].to_list() == [None] * 4
    assert unsold["unit_price_minor"].to_list() == [20_000.0, 50_000.0, None, None]


@pytest.mark.parametrize(
    ("at", "offered"),
    [
        (30, ["undated"]),  # 31 January: not launched yet
        (31, ["fresh", "undated"]),
        (61, ["fresh", "undated"]),
        (62, ["undated"]),
    ],
)
def test_what_was_never_sold_is_offered_when_new_or_surely_in_stock(
    tmp_path: Path, at: int, offered: list[str]
) -> None:
    found = build_items(shelf_with_unsold(tmp_path), day(at), settings=settings(popularity_days=30))
    unsold = found.filter(pl.col("is_active"), pl.col("order_count") == 0)
    assert unsold["product_id"].to_list() == offered


def test_what_was_never_sold_moves_nothing_of_what_was(tmp_path: Path, shop: History) -> None:
    with_unsold = build_items(shelf_with_unsold(tmp_path / "b"), day(60), settings=settings())
    sold = with_unsold.filter(pl.col("order_count") > 0)
    alone = build_items(shop, day(60), settings=settings())
    assert_frame_equal(sold.drop("item_no"), alone.drop("item_no"))
    tiers = dict(with_unsold.select("product_id", "price_tier").rows())
    assert (tiers["fresh"], tiers["tea"], tiers["old"], tiers["undated"]) == (1, 2, 3, None)


def test_what_was_never_sold_comes_after_all_that_was(tmp_path: Path) -> None:
    lines: list[Line] = [("ann", f"p{number}", 1.0, 1, 1.0) for number in range(9)]
    launched = {"z-new": date(2026, 2, 1), "a-old": date(2026, 1, 20)}
    unsold: list[Product] = [(name, None, None, {"launched_on": on}) for name, on in launched.items()]
    found = build_items(write_shop(tmp_path, lines, unsold), day(90), settings=settings(item_count_max=10))
    assert found["product_id"].to_list() == [*(f"p{number}" for number in range(9)), "z-new"]


def test_the_past_does_not_know_a_product_that_was_loaded_later(tmp_path: Path) -> None:
    loaded = datetime(2026, 2, 15, tzinfo=UTC)
    product: Product = ("mug", "home", "cups", {"launched_on": date(2026, 1, 5), "loaded_at": loaded})
    shop = write_shop(tmp_path, LINES, [product])
    assert "mug" not in build_items(shop, day(40), settings=settings())["product_id"]
    assert "mug" in build_items(shop, day(60), settings=settings())["product_id"]


def test_the_day_of_launch_is_read_where_it_is_known(tmp_path: Path) -> None:
    tea: Product = ("tea", None, None, {"launched_on": date(2026, 1, 1)})
    found = build_items(write_shop(tmp_path, LINES, [tea]), day(60), settings=settings())
    launched = dict(found.select("product_id", "launched_days").rows())
    assert launched == {"gift": None, "sofa": None, "tea": day(0).end_days}


@pytest.mark.parametrize("zone", ["UTC", "Europe/Amsterdam", "America/New_York", "Asia/Seoul"])
def test_a_launch_is_whole_days_ago_in_every_time_zone(tmp_path: Path, zone: str) -> None:
    tea: Product = ("tea", None, None, {"launched_on": date(2026, 2, 14)})
    shop = write_shop(tmp_path, LINES, [tea])
    at = Snapshot(date(2026, 2, 15), zone)
    found = build_items(shop, at, settings=settings())
    launched = dict(found.select("product_id", "launched_days").rows())
    assert at.end_days - launched["tea"] == 1.0


def test_a_catalogue_without_any_sale_is_no_item_table(tmp_path: Path) -> None:
    shop = write_shop(tmp_path, [("ann", None, 1.0, 1, 1.0)], [("tea", None, None, {"in_stock": True})])
    assert build_items(shop, day(5), settings=settings()).is_empty()
