"""Recommendations in wide rows, as mail templates take them: six columns an item, `item1_product_id` and on.

Texts are what a template prints: the reason is a sentence. A place that a list does not have is empty cells.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from features.slots import Slot
from serving.present import RunView
from serving.store.records import Item

ITEM_COLUMNS: Final = ("product_id", "name", "price", "url", "image_url", "reason")
ITEMS_MAX: Final = 10
_NO_PLACE: Final = (None,) * len(ITEM_COLUMNS)


def item_header(count: int) -> list[str]:
    """Return the names of the columns of `count` items.

    >>> item_header(2)[5:8]
    ['item1_reason', 'item2_product_id', 'item2_name']
    """
    return [f"item{number}_{name}" for number in range(1, count + 1) for name in ITEM_COLUMNS]


def item_cells(places: Sequence[Slot], items: Mapping[int, Item], view: RunView, *, count: int) -> list[Any]:
    """Return the cells of the first `count` places of a list."""
    cells: list[Any] = []
    for slot in places[:count]:
        item = items[slot.item_no]
        reason = view.place_reason(slot, items)
        cells += (item.product_id, item.name, item.price, item.url, item.image_url, reason)
    return [*cells, *(_NO_PLACE * (count - len(places[:count])))]
