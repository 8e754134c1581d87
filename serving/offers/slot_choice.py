"""Which places a list shows: what must not be offered is left out first, then it is cut, then filled.

A list holds as many places as were asked for, or `Shortfall` says why not. Only `for_you` and `popular` are
filled: with the shop's popular items that pass the same rules, most popular first.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, NamedTuple

from features.item_filter import Condition
from features.owned import NOTHING_OWNED, OwnedItems
from features.slots import CUSTOMER_KINDS, SHOP_KINDS, SHOWN_KINDS, Slot
from serving.store.contract import ScoreRun
from serving.store.records import MatchingItems

FILLED_KINDS: Final = frozenset({"for_you", "popular"})
FILTERED: Final = "filter_leaves_fewer"
_SHORT_BY_NATURE: Final = {
    "buy_again": "not_enough_due",
    "cross_sell": "not_enough_new_categories",
    "upsell": "not_enough_dearer_items",
}
_NO_MORE: Final = "no_more_items"
_UNKNOWN: Final = "unknown_customer"
# As in stored lists: fillers follow in steps too small to matter and large enough to be seen.
_FILL_STEP = 1e-5


@dataclass(frozen=True, slots=True)
class Rules:
    """What a request leaves out: items that fail a condition, named ones, those bought lately."""

    condition: Condition | None = None
    bought_within_days: int = 0
    excluded_ids: tuple[str, ...] = ()


NO_RULES: Final = Rules()


class Shortfall(NamedTuple):
    """A list that came out short, and why."""

    wanted: int
    got: int
    reason: str


class Choice(NamedTuple):
    """Places by kind (kinds without any are missing), and the kinds that came out short."""

    lists: dict[str, list[Slot]]
    short: dict[str, Shortfall]


class Left(NamedTuple):
    """What one customer is not offered: never (`standing`), or not in this request (`asked`)."""

    standing: Collection[int]
    asked: Collection[int]


@dataclass(frozen=True, slots=True)
class Chooser:
    """Chooses the places of any customer of a run under one set of rules; made by `prepare`.

    `matching`   the items that pass the request's condition; `offered` those of any request
    `excluded`   items that this request leaves out for everybody, by number
    `shop_lists` the lists that belong to nobody: for unknown customers, and the kinds that all share
    """

    run: ScoreRun
    matching: MatchingItems
    offered: MatchingItems
    excluded: frozenset[int]
    bought_within_days: int
    shop_lists: Mapping[str, Sequence[Slot]]

    def left_out(self, owned: OwnedItems, bought_since: Collection[int] = ()) -> Left:
        """Return what a customer is not offered; `bought_since` are items bought after the snapshot."""
        standing = frozenset((*owned.never_again(), *bought_since))
        if not self.bought_within_days:
            return Left(standing, self.excluded)
        return Left(standing, self.excluded.union(owned.bought_within(self.bought_within_days)))

    def choose(
        self, kind: str, slots: Sequence[Slot], left: Left, *, limit: int, is_known: bool = True
    ) -> tuple[list[Slot], Shortfall | None]:
        """Return the places of one list, best first, and why there are fewer than `limit`, if there are."""
        if kind in SHOP_KINDS:
            slots = self.shop_lists.get(kind, ())
        places, is_filtered = self._keep(slots, left, limit)
        if kind in FILLED_KINDS and len(places) < limit:
            taken = {slot.item_no for slot in places}
            fillers = self._fillers(taken, left, limit - len(places))
            places += _follow(places, fillers, by_buyers=kind == "popular", is_known=is_known)
            is_filtered = is_filtered or self._could_be_longer(places, left, limit)
        if len(places) == limit:
            return places, None
        reason = FILTERED if is_filtered else self._own_reason(kind, is_known=is_known)
        return places, Shortfall(limit, len(places), reason)

    def _keep(self, slots: Sequence[Slot], left: Left, limit: int) -> tuple[list[Slot], bool]:
        """Return the first `limit` places that may be offered, and whether the request left any out."""
        kept: list[Slot] = []
        is_filtered = False
        for slot in slots:
            number = slot.item_no
            if number in left.standing:
                continue
            if number in left.asked or number not in self.matching:
                is_filtered = True
                continue
            kept.append(slot)
            if len(kept) == limit:
                break
        return kept, is_filtered

    def _fillers(self, taken: Collection[int], left: Left, count: int) -> list[tuple[int, int]]:
        """Return (item_no, recent buyers) of the most popular items that may be offered and are not taken."""
        rows = zip(self.matching.popular, self.matching.buyers, strict=True)
        may = (
            row for row in rows if not (row[0] in taken or row[0] in left.standing or row[0] in left.asked)
        )
        return list(islice(may, count))

    def _could_be_longer(self, places: Sequence[Slot], left: Left, limit: int) -> bool:
        """Say whether a short list would have another item without the request's own rules."""
        if len(places) == limit:
            return False
        taken = {slot.item_no for slot in places}
        return any(not (number in taken or number in left.standing) for number in self.offered.popular)

    def _own_reason(self, kind: str, *, is_known: bool) -> str:
        unavailable = self.run.meta.unavailable_kinds.get(kind)
        if unavailable is not None:
            return unavailable
        if not is_known and kind in CUSTOMER_KINDS and kind not in FILLED_KINDS:
            return _UNKNOWN
        return _SHORT_BY_NATURE.get(kind, _NO_MORE)


async def prepare(run: ScoreRun, rules: Rules = NO_RULES) -> Chooser:
    """Read what a request's rules mean in a run, once for all its customers."""
    excluded = await run.item_numbers(rules.excluded_ids) if rules.excluded_ids else ()
    offered = await run.match_items(None)
    return Chooser(
        run=run,
        matching=offered if rules.condition is None else await run.match_items(rules.condition),
        offered=offered,
        excluded=frozenset(excluded),
        bought_within_days=rules.bought_within_days,
        shop_lists=await run.get_fallback(),
    )


async def filter_slots(
    run: ScoreRun, slots: Sequence[Slot], rules: Rules, *, limit: int
) -> tuple[list[Slot], Shortfall | None]:
    """Return the first places of a list that is nobody's which pass a request's rules; nothing fills it."""
    if rules == NO_RULES:
        kept = list(slots[:limit])
    else:
        matching = await run.match_items(rules.condition)
        excluded = set(await run.item_numbers(rules.excluded_ids))
        passing = (slot for slot in slots if slot.item_no in matching and slot.item_no not in excluded)
        kept = list(islice(passing, limit))
    if len(kept) == limit:
        return kept, None
    reason = FILTERED if len(kept) < min(limit, len(slots)) else _NO_MORE
    return kept, Shortfall(limit, len(kept), reason)


async def choose_lists(
    run: ScoreRun,
    customer_id: str,
    *,
    is_known: bool,
    limit: int,
    kinds: Sequence[str] = SHOWN_KINDS,
    rules: Rules = NO_RULES,
    bought_since: Sequence[str] = (),
) -> Choice:
    """Return one customer's lists under a request's rules.

    `bought_since` are the products that the customer bought after the run's snapshot: none is offered.
    """
    chooser = await prepare(run, rules)
    stored = await run.get_recommendations(customer_id) if is_known else chooser.shop_lists
    owned = await run.get_owned(customer_id) if is_known else NOTHING_OWNED
    left = chooser.left_out(owned, await run.item_numbers(bought_since) if bought_since else ())
    choice = Choice({}, {})
    for kind in kinds:
        slots = stored.get(kind, ())
        places, short = chooser.choose(kind, slots, left, limit=limit, is_known=is_known)
        if places:
            choice.lists[kind] = places
        if short is not None:
            choice.short[kind] = short
    return choice


def _follow(
    places: Sequence[Slot], fillers: Sequence[tuple[int, int]], *, by_buyers: bool, is_known: bool
) -> list[Slot]:
    """Return popular items as the places after others; scores fall on, or count buyers."""
    source = "popular" if is_known or by_buyers else "fallback"
    if by_buyers or not places:
        return [Slot(item, buyers, "popular", source, value=buyers) for item, buyers in fillers]
    last = places[-1].score
    step = _FILL_STEP * max(1.0, abs(last))
    return [
        Slot(item, last - step * number, "popular", source, value=buyers)
        for number, (item, buyers) in enumerate(fillers, start=1)
    ]
