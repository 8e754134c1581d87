"""Another order of a list at request time: for the money that it brings, or for variety.

The stored score ranks by the chance of a purchase. `revenue` multiplies it by the item's price, `margin` by
what is left of the price after the cost of the goods; an item without that figure follows those that have it,
and popular items follow what speaks of the customer.
`diversity` between 0 and 1 is the weight of variety in a maximal marginal relevance (Carbonell & Goldstein,
"The use of MMR", 1998): the next item is the one with the largest (1 - diversity) × worth - diversity ×
likeness to the most alike item above it. Worth is scaled to [0, 1] within the list; likeness is 1 for the
same need, ½ for the same category, else 0.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from features.slots import Slot
from serving.offers.slot_choice import Choice, Shortfall
from serving.store.contract import ScoreRun
from serving.store.records import Item

Objective = Literal["purchase", "revenue", "margin"]
# As deep as lists are stored by default: what is ranked anew is everything that there is.
DEPTH = 50
_SAME_CATEGORY = 0.5
_FILLS = ("popular", "fallback")


class Order(NamedTuple):
    """How a request wants its lists ordered; the default is as they are stored."""

    objective: Objective = "purchase"
    diversity: float = 0.0


STORED_ORDER = Order()


async def reorder_lists(
    run: ScoreRun, choice: Choice, order: Order, *, limit: int
) -> tuple[Choice, Objective]:
    """Return lists chosen `DEPTH` deep in another order, cut to `limit`, and the objective that was applied.

    That is `purchase` where no item of the lists has the figure that another objective needs.
    """
    items = await run.get_items({slot.item_no for slots in choice.lists.values() for slot in slots})
    objective = order.objective
    if all(_worth(1.0, item, objective) is None for item in items.values()):
        objective = "purchase"
    lists = {
        kind: [
            slot
            for part in _parts(slots)
            for slot in reorder(part, items, objective=objective, diversity=order.diversity)
        ][:limit]
        for kind, slots in choice.lists.items()
    }
    short = {
        kind: Shortfall(limit, shortfall.got, shortfall.reason)
        for kind, shortfall in choice.short.items()
        if shortfall.got < limit
    }
    return Choice(lists, short), objective


def _parts(slots: Sequence[Slot]) -> tuple[list[Slot], list[Slot]]:
    """Return the places that speak of the customer, and the popular ones, whose score may be no chance."""
    fills = [slot.source in _FILLS for slot in slots]
    return (
        [slot for slot, is_fill in zip(slots, fills, strict=True) if not is_fill],
        [slot for slot, is_fill in zip(slots, fills, strict=True) if is_fill],
    )


def reorder(
    slots: Sequence[Slot],
    items: Mapping[int, Item],
    *,
    objective: Objective = "purchase",
    diversity: float = 0.0,
) -> list[Slot]:
    """Return the slots in their new order; ties keep the stored one. Every slot's item is among `items`."""
    worths = [_worth(slot.score, items[slot.item_no], objective) for slot in slots]
    known = [place for place, worth in enumerate(worths) if worth is not None]
    unknown = [slot for slot, worth in zip(slots, worths, strict=True) if worth is None]
    best = sorted(known, key=lambda place: -(worths[place] or 0.0))
    ordered = [slots[place] for place in best]
    if diversity <= 0:
        return ordered + unknown
    scaled = _scaled([worths[place] or 0.0 for place in best])
    return _varied(ordered, scaled, items, diversity) + unknown


def _worth(score: float, item: Item, objective: Objective) -> float | None:
    if objective == "purchase":
        return score
    figure = item.price if objective == "revenue" else item.unit_margin
    return None if figure is None else max(score, 0.0) * figure


def _scaled(worths: Sequence[float]) -> list[float]:
    """Return falling worths on a scale from 1 to 0; all 1 where they are equal."""
    if not worths or worths[0] == worths[-1]:
        return [1.0] * len(worths)
    return [(worth - worths[-1]) / (worths[0] - worths[-1]) for worth in worths]


def _varied(
    slots: Sequence[Slot], worths: Sequence[float], items: Mapping[int, Item], diversity: float
) -> list[Slot]:
    """Choose one by one; `alike` is each one's likeness to the most alike of those chosen."""
    alike = [0.0] * len(slots)
    left = list(range(len(slots)))
    chosen: list[Slot] = []
    while left:
        best = max(left, key=lambda place: (1 - diversity) * worths[place] - diversity * alike[place])
        left.remove(best)
        chosen.append(slots[best])
        item = items[slots[best].item_no]
        for place in left:
            alike[place] = max(alike[place], _likeness(item, items[slots[place].item_no]))
    return chosen


def _likeness(one: Item, other: Item) -> float:
    if one.category is None or one.category != other.category:
        return 0.0
    same_need = one.subcategory == other.subcategory
    return 1.0 if same_need else _SAME_CATEGORY
