"""What goes with a basket: the bundles of its products as one list."""

from collections.abc import Collection, Iterable, Mapping

from features.slots import Slot
from serving.store.records import Item, ItemLists

BUNDLE = "bundle"


def merge_bundles(basket: Collection[ItemLists], partners: Mapping[int, Item]) -> list[Slot]:
    """Return the partners of a basket's products, best first: each once, by the product that speaks loudest.

    That is the one with the highest score, the lower bound of lift; ties go to the lower number. Left out is
    what the basket holds, and what serves the same need as anything in it. `partners` has every product of
    the lists by number.
    """
    best: dict[int, Slot] = {}
    for held in basket:
        for slot in held.lists.get(BUNDLE, ()):
            if slot.item_no not in best or slot.score > best[slot.item_no].score:
                best[slot.item_no] = slot
    products = [held.item for held in basket]
    wanted = (slot for slot in best.values() if _adds(partners.get(slot.item_no), products))
    return sorted(wanted, key=lambda slot: (-slot.score, slot.item_no))


def _adds(partner: Item | None, products: Iterable[Item]) -> bool:
    if partner is None:
        return False
    return not any(
        product.item_no == partner.item_no or serve_same_need(product, partner) for product in products
    )


def serve_same_need(first: Item, second: Item) -> bool:
    """Say whether two products are known to serve one need; of one category, if a need is not known.

    >>> mug, cup = (Item(item_no=n, product_id=str(n), need_no=7) for n in (1, 2))
    >>> serve_same_need(mug, cup), serve_same_need(mug, Item(item_no=3, product_id="3", need_no=8))
    (True, False)
    """
    if first.need_no is not None and second.need_no is not None:
        return first.need_no == second.need_no
    return first.category is not None and first.category == second.category
