"""Another order of a list: by money, and with variety."""

import pytest

from features.slots import Slot
from serving.offers.rerank import Objective, reorder
from serving.store.records import Item


def item(number: int, category: str | None, subcategory: str | None, **figures: float) -> Item:
    return Item(
        item_no=number, product_id=f"p{number}", category=category, subcategory=subcategory, **figures
    )


ITEMS = {
    found.item_no: found
    for found in (
        item(0, "drinks", "tea", price=2.0, unit_margin=1.5),
        item(1, "drinks", "tea", price=9.0, unit_margin=0.5),
        item(2, "drinks", "coffee", price=6.0),
        item(3, "kitchen", "pans", unit_margin=4.0),
        item(4, None, None, price=1.0, unit_margin=0.1),
    )
}
SLOTS = [
    Slot(number, score, "popular", "popular") for number, score in enumerate([1.0, 0.75, 0.5, 0.25, 0.0])
]


@pytest.mark.parametrize(
    ("objective", "order"),
    [
        ("purchase", [0, 1, 2, 3, 4]),
        ("revenue", [1, 2, 0, 4, 3]),  # 6.75, 3, 2, 0, no price
        ("margin", [0, 3, 1, 4, 2]),  # 1.5, 1, 0.375, 0, no margin
    ],
)
def test_an_objective_ranks_by_the_chance_times_the_money(objective: Objective, order: list[int]) -> None:
    assert [slot.item_no for slot in reorder(SLOTS, ITEMS, objective=objective)] == order


@pytest.mark.parametrize(
    ("diversity", "order"),
    [
        (0.0, [0, 1, 2, 3, 4]),
        # after tea (0): the other tea .7×.75-.3 = .225, coffee .7×.5-.15 = .2, pans .7×.25 = .175
        (0.3, [0, 1, 2, 3, 4]),
        # after tea (0): tea .5×.75-.5 < 0, coffee .5×.5-.25 = 0, pans .125, nothing known 0
        (0.5, [0, 3, 2, 4, 1]),
        (1.0, [0, 3, 4, 2, 1]),
    ],
)
def test_variety_puts_other_needs_and_categories_first(diversity: float, order: list[int]) -> None:
    assert [slot.item_no for slot in reorder(SLOTS, ITEMS, diversity=diversity)] == order


def test_variety_among_equal_scores_keeps_the_stored_order_between_strangers() -> None:
    slots = [slot._replace(score=0.2) for slot in SLOTS]
    assert [slot.item_no for slot in reorder(slots, ITEMS, diversity=0.5)] == [0, 3, 4, 2, 1]
    assert reorder([], ITEMS, diversity=0.5) == []
