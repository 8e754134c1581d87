"""Lists in bulk: the bytes are those of `features.slots`, the cards those of the shop's products."""

from pathlib import Path

import pandas as pd
from serving_shop import make_orders, write_history

from features.history import MONEY_SCALE
from features.settings import Settings
from features.slots import KINDS, Slot, pack_slots, unpack_slots
from features.snapshot import Snapshot
from serving.lists import ListMaker, build_item_cards, make_lists
from serving.store import Item

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
    prices = [4.5 * MONEY_SCALE, float("nan")]
    items = pd.DataFrame({"product_id": ["p0", "p1"], "unit_price_minor": prices, "need_no": [3, -1]})
    cards = build_item_cards(history, items)
    assert [(card.item_no, card.product_id, card.price, card.need_no) for card in cards] == [
        (0, "p0", 4.5, 3),
        (1, "p1", None, None),
    ]


def test_without_a_recommender_every_kind_says_why(tmp_path: Path) -> None:
    history = write_history(tmp_path, make_orders(6))
    lists = make_lists(history, Snapshot(pd.Timestamp("2026-07-01").date()), None, settings=Settings())
    assert lists.unavailable == dict.fromkeys(KINDS, "no_product")
    assert list(lists.tables([["a"], ["b"]])) == []
    assert list(lists.item_tables()) == []
