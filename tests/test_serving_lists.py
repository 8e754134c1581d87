"""Lists in bulk: the bytes are those of `features.slots`, the cards those of the shop's products."""

from pathlib import Path

import pandas as pd
from recommender_shop import Product, day, write_shop
from serving_shop import make_orders, write_history

from features.history import MONEY_SCALE, History
from features.owned import Purchase, pack_owned, unpack_owned
from features.settings import RecommenderSettings, Settings
from features.slots import KINDS, Slot, pack_slots, unpack_slots
from features.snapshot import Snapshot
from models.recommender.baselines import Popular
from models.recommender.material import build_material
from serving.scoring.lists import (
    ListMaker,
    build_item_cards,
    denied_ids,
    make_lists,
    not_offered,
    pack_purchases,
    unnamed,
)
from serving.store.records import Item

TABLE = pd.DataFrame(
    [
        ("b", "for_you", 1, "p1", 0.5, "bought_before", "personalised", None, 3.0, None),
        ("b", "for_you", 2, "p0", 0.25, "same_need_one_tier_up", "segment", "p1", 0.254, None),
        ("b", "upsell", 1, "p2", 0.125, "due_again", "popular", None, -4.0, 3.0),
        ("a", "upsell", 1, "p2", 0.125, "like_what_you_buy", "fallback", "p0", None, None),
    ],
    columns=[
        "customer_id",
        "kind",
        "rank",
        "product_id",
        "score",
        "reason",
        "source",
        "evidence_product_id",
        "value",
        "spread",
    ],
)
CARDS = pd.DataFrame(
    {
        "product_id": ["p0", "p1"],
        "unit_price_minor": [4.5 * MONEY_SCALE, float("nan")],
        "need_no": [3, -1],
        "popular_rank": [float("nan"), 1.0],
        "recent_customer_count": [3, 9],
    }
)
ITEMS = [Item(item_no=number, product_id=f"p{number}") for number in range(3)]


def maker(tmp_path: Path, items: list[Item]) -> ListMaker:
    history = write_history(tmp_path, make_orders(6))
    return ListMaker(history, Snapshot(pd.Timestamp("2026-07-01").date()), Settings(), None, items)


def test_bulk_packing_equals_packing_one_by_one(tmp_path: Path) -> None:
    packed = list(maker(tmp_path, ITEMS).pack(TABLE))
    assert [(customer, kind) for customer, kind, _ in packed] == [
        ("b", "for_you"),
        ("b", "upsell"),
        ("a", "upsell"),
    ]
    wanted = [
        Slot(1, 0.5, "bought_before", "personalised", value=3.0),
        Slot(0, 0.25, "same_need_one_tier_up", "segment", 1, 0.254),
    ]
    assert packed[0][2] == pack_slots(wanted)
    assert unpack_slots(packed[0][2]) == wanted
    assert packed[1][2] == pack_slots([Slot(2, 0.125, "due_again", "popular", value=-4.0, spread=3.0)])
    assert packed[2][2] == pack_slots([Slot(2, 0.125, "like_what_you_buy", "fallback", 0)])


def test_nothing_is_packed_of_nothing(tmp_path: Path) -> None:
    assert list(maker(tmp_path, ITEMS).pack(TABLE.iloc[:0])) == []


def test_a_card_has_the_price_paid_where_there_is_no_list_price(tmp_path: Path) -> None:
    history = write_history(tmp_path, make_orders(6))
    cards = build_item_cards(history, CARDS)
    assert [(card.item_no, card.product_id, card.price, card.need_no) for card in cards] == [
        (0, "p0", 4.5, 3),
        (1, "p1", None, None),
    ]
    assert [(card.popular_rank, card.recent_customer_count) for card in cards] == [(None, 3), (1, 9)]


def test_what_is_denied_is_named_or_of_a_named_category() -> None:
    settings = RecommenderSettings(deny_product_ids=("p1", "gone"), deny_categories=("Wine",))
    items = [
        Item(item_no=0, product_id="p0", category="Wine"),
        Item(item_no=1, product_id="p1"),
        Item(item_no=2, product_id="p2", category="wine"),
        Item(item_no=3, product_id="p3"),
    ]
    assert denied_ids(items, settings) == {"p0", "p1"}


def test_what_is_sold_out_or_fails_the_shops_filter_is_not_offered() -> None:
    items = [
        Item(item_no=0, product_id="p0", category="Wine", in_stock=True),
        Item(item_no=1, product_id="p1", category="wine"),
        Item(item_no=2, product_id="p2", in_stock=False),
    ]
    assert not_offered(items, RecommenderSettings()) == {"p2"}
    assert not_offered(items, RecommenderSettings(offer_only='category == "Wine"')) == {"p1", "p2"}
    assert not_offered(items, RecommenderSettings(offer_only="not price < 20")) == {"p2"}
    assert not_offered(items, RecommenderSettings(offer_only="in_stock")) == {"p1", "p2"}


def test_what_sold_out_since_the_training_is_in_no_list(tmp_path: Path) -> None:
    lines = [(f"c{n}", f"p{n % 3}", float(n), 1.0, 5.0) for n in range(30)]

    def shop(*, in_stock: bool) -> History:
        products: list[Product] = [(f"p{n}", "k", None, {"in_stock": in_stock}) for n in range(3)]
        return write_shop(tmp_path / str(in_stock), lines, products)

    stocked, sold_out = shop(in_stock=True), shop(in_stock=False)
    settings = Settings(recommender=RecommenderSettings(stored_depth=5))
    recommender = Popular().fit(build_material(stocked, day(31), settings=settings))
    for history, expected in ((stocked, {"p0", "p1", "p2"}), (sold_out, set())):
        lists = make_lists(history, day(31), recommender, settings=settings)
        made = [*lists.of_bucket(["c0", "c1"], bucket=0), *lists.of_nobody()]
        assert {product for part in made for product in part.table["product_id"]} == expected
        assert {card.popular_rank is None for card in lists.items} == {not expected}


def test_denied_names_that_nothing_has_are_found(tmp_path: Path) -> None:
    history = write_history(tmp_path, make_orders(6), unit_cost_minor=1)
    denied = RecommenderSettings(deny_product_ids=("p00", "P00"), deny_categories=("Wine",))
    snapshot = Snapshot(pd.Timestamp("2026-07-01").date())
    lists = make_lists(history, snapshot, None, settings=Settings(recommender=denied))
    assert lists.unknown_denied == ["P00", "Wine"]
    assert make_lists(history, snapshot, None, settings=Settings()).unknown_denied == []


def test_no_reason_names_what_is_denied() -> None:
    told = unnamed(TABLE, {"p1"})
    assert told["product_id"].equals(TABLE["product_id"])
    assert told["evidence_product_id"].fillna("").to_list() == ["", "", "", "p0"]
    assert told["value"].fillna(-1.0).to_list() == [3.0, -1.0, -4.0, -1.0]
    assert unnamed(TABLE, {"p2"}).equals(TABLE)


def test_purchases_are_packed_in_bulk_as_one_by_one() -> None:
    owned = pd.DataFrame(
        [(0, 1, 3, True), (0, 5, 90_000, False), (0, 9, 2, True), (2, 4, 1, True), (2, 7, 0, False)],
        columns=["row", "item_no", "age_days", "may_repeat"],
    )
    packed = dict(pack_purchases(owned, ["a", "b", "c"]))
    assert packed == {
        "a": pack_owned([Purchase(1, 3, True), Purchase(5, 90_000, False), Purchase(9, 2, True)]),
        "c": pack_owned([Purchase(7, 0, False), Purchase(4, 1, True)]),
    }
    assert unpack_owned(packed["a"]).never_again() == (5,)
    assert unpack_owned(packed["a"]).bought_within(2) == (9,)
    assert dict(pack_purchases(owned.iloc[:0], [])) == {}


def test_without_a_recommender_every_kind_says_why(tmp_path: Path) -> None:
    history = write_history(tmp_path, make_orders(6))
    lists = make_lists(history, Snapshot(pd.Timestamp("2026-07-01").date()), None, settings=Settings())
    assert lists.unavailable == dict.fromkeys(KINDS, "no_product")
    assert [*lists.of_bucket(["a"], bucket=0), *lists.of_nobody()] == []
    assert list(lists.item_tables()) == []
