"""A run with the newer scores of customers laid over it, whose events came in since it was made.

Which customers have newer scores is held in memory and followed; the scores themselves are read when they are
asked for. Places of lists stay the run's own: who belongs to a list no more is left out of it, who newly
belongs to it comes with the next run. `as_of` shows a run as it was at a number that some reader has seen,
for the rest of its pages.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from copy import copy
from typing import Any, Final

from features.item_filter import Condition
from features.owned import NOTHING_OWNED, OwnedItems, unpack_owned
from features.slots import PackedSlots, Slot, item_number
from serving.rows import STORED_NAMES
from serving.state.database import StateError
from serving.state.overlays import Laid, Overlay, Overlays
from serving.store.contract import ScoreRun
from serving.store.records import (
    LINE,
    CustomerList,
    Item,
    ItemLists,
    MatchingItems,
    Member,
    SegmentOrder,
    SegmentPlace,
    StoredRow,
)

_KEPT: Final = 2_000
_SUPERSEDED_KNOWN: Final = 4
_CLV_AT: Final = STORED_NAMES.index("predicted_clv")


class OverlaidRun:
    """A score run as it is by now; it reads as any other."""

    def __init__(self, base: ScoreRun, overlays: Overlays) -> None:
        self.base = base
        self.meta = base.meta
        self._overlays = overlays
        self._newer: dict[str, Laid] = {}
        # The last numbers that newer ones took the place of, for the few who were scored several times.
        self._superseded: dict[str, tuple[int, ...]] = {}
        self._limit: int | None = None
        self._following = asyncio.Lock()
        self.through = 0
        self._kept: OrderedDict[int, Overlay] = OrderedDict()

    async def follow(self) -> None:
        """Learn which customers have newer scores by now; where that cannot be read, what is known stays."""
        # One at a time: an answer that comes late would put older numbers back.
        async with self._following:
            with suppress(StateError):
                run_id = self.meta.score_run_id
                for laid in await asyncio.to_thread(self._overlays.list_after, run_id, self.through):
                    self._learn(laid)

    def _learn(self, laid: Laid) -> None:
        before = self._newer.get(laid.customer_id)
        if before is not None:
            numbers = (*self._superseded.get(laid.customer_id, ()), before.sequence)
            self._superseded[laid.customer_id] = numbers[-_SUPERSEDED_KNOWN:]
        self._newer[laid.customer_id] = laid
        self.through = laid.sequence

    async def as_of(self, sequence: int) -> "OverlaidRun":
        """Return the run with nothing laid over it that came after a number."""
        if self.through < sequence:
            # Another process of the service gave the number out.
            await self.follow()
        # What is known and kept is the same: only what counts differs.
        run = copy(self)
        run._limit = sequence
        return run

    def version_of(self, customer_id: str) -> str:
        """Return what tells a customer's answers of this run from earlier ones."""
        newer = self._newer.get(customer_id)
        return self.meta.score_run_id if newer is None else f"{self.meta.score_run_id}.{newer.sequence}"

    def heard_through(self, customer_id: str) -> int:
        """Return the number up to which messages are in a customer's scores and lists."""
        newer = self._newer.get(customer_id)
        return self.meta.inbox_sequence if newer is None else newer.inbox_sequence

    async def get_score(self, customer_id: str) -> StoredRow | None:
        """Return a customer's row, or None where there is no such customer."""
        if customer_id not in self._newer:
            return await self.base.get_score(customer_id)
        overlay = (await self._read([customer_id])).get(customer_id)
        return await self.base.get_score(customer_id) if overlay is None else overlay.row

    async def get_scores(self, customer_ids: Sequence[str]) -> Mapping[str, StoredRow]:
        """Return the rows of customers by id; unknown ids are left out."""
        rows = dict(await self.base.get_scores(customer_ids))
        for customer_id, overlay in (await self._read(customer_ids)).items():
            rows.pop(customer_id, None)
            if overlay.row is not None:
                rows[customer_id] = overlay.row
        return rows

    async def get_recommendations(self, customer_id: str) -> Mapping[str, Sequence[Slot]]:
        """Return a customer's lists by kind, best first; {} where there are none."""
        overlay = (await self._read([customer_id])).get(customer_id)
        if overlay is None:
            return await self.base.get_recommendations(customer_id)
        return {kind: PackedSlots(packed) for kind, packed in overlay.lists.items()}

    async def get_fallback(self) -> Mapping[str, Sequence[Slot]]:
        """Return the shop's lists and `for_you` of somebody unknown; {} without a recommender."""
        return await self.base.get_fallback()

    async def get_owned(self, customer_id: str) -> OwnedItems:
        """Return what a customer had bought; nothing where there is no such customer."""
        overlay = (await self._read([customer_id])).get(customer_id)
        return await self.base.get_owned(customer_id) if overlay is None else _owned(overlay)

    async def get_timeline(self, customer_id: str) -> str | None:
        """Return what had happened to a customer when the run was made."""
        return await self.base.get_timeline(customer_id)

    async def get_document(self, name: str) -> str | None:
        """Return a document of the run about the shop as a whole."""
        return await self.base.get_document(name)

    async def match_items(self, condition: Condition | None) -> MatchingItems:
        """Return the items that pass a condition (None: all of them)."""
        return await self.base.match_items(condition)

    async def item_numbers(self, product_ids: Iterable[str]) -> Sequence[int]:
        """Return the numbers of products; unknown ids are left out."""
        return await self.base.item_numbers(product_ids)

    async def list_customers(self, *, after: int, limit: int) -> Sequence[tuple[int, str]]:
        """Return the next (place, customer_id) of the run after a place; places count from 1."""
        return await self.base.list_customers(after=after, limit=limit)

    async def list_kind(self, kind: str, customer_ids: Sequence[str]) -> Mapping[str, CustomerList]:
        """Return one list of each customer, with what they had bought."""
        found = dict(await self.base.list_kind(kind, customer_ids))
        for customer_id, overlay in (await self._read(customer_ids)).items():
            found[customer_id] = CustomerList(PackedSlots(overlay.lists.get(kind, b"")), _owned(overlay))
        return found

    async def get_items(self, item_numbers: Iterable[int]) -> Mapping[int, Item]:
        """Return products by their number; unknown numbers are left out."""
        return await self.base.get_items(item_numbers)

    async def get_item_lists(self, product_ids: Sequence[str]) -> Mapping[str, ItemLists]:
        """Return products with their lists by product_id; unknown ids are left out."""
        return await self.base.get_item_lists(product_ids)

    async def list_members(
        self,
        audience: str,
        *,
        after: int = 0,
        limit: int = 100,
        clv_min: float | None = None,
        names: Sequence[str] = STORED_NAMES,
    ) -> Sequence[Member]:
        """Return the next members after a position, in the audience's order; rows of the columns named."""
        while True:
            members = await self.base.list_members(
                audience, after=after, limit=limit, clv_min=clv_min, names=names
            )
            kept = await self._as_of_now(members, audience, names, clv_min)
            # An empty page would be taken for the end.
            if kept or len(members) < limit:
                return kept
            after = members[-1].position

    async def _as_of_now(
        self, members: Sequence[Member], audience: str, names: Sequence[str], clv_min: float | None
    ) -> Sequence[Member]:
        """Return members with the rows that count by now, without those who belong to the list no more."""
        if not members or not self._newer:
            return members
        id_at = names.index("customer_id")
        newer = await self._read([member.row[id_at] for member in members])
        shown = (
            _member(member, newer.get(member.row[id_at]), audience, names, clv_min) for member in members
        )
        return [member for member in shown if member is not None]

    async def count_segment(self, condition: Condition) -> int:
        """Return how many customers of the run pass: newer scores are looked at with the next run."""
        return await self.base.count_segment(condition)

    async def list_segment(
        self,
        condition: Condition,
        *,
        after: SegmentPlace | None = None,
        limit: int = 100,
        order: SegmentOrder | None = None,
    ) -> Sequence[SegmentPlace]:
        """Return the next customers who pass in the run; whose scores are newer passes by the older ones."""
        return await self.base.list_segment(condition, after=after, limit=limit, order=order)

    async def get_traits(self, customer_ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        """Return the traits of customers by id, as the run holds them; unknown ids are left out."""
        return await self.base.get_traits(customer_ids)

    async def list_values(self, name: str) -> Sequence[str]:
        """Return the most frequent values of a text attribute, or of `category` of what was sold."""
        return await self.base.list_values(name)

    async def ask_segments(self, query: str, values: Sequence[object]) -> Sequence[StoredRow]:
        """Return the rows of a query of ours over a run's tables (`@traits`); values are `?`."""
        return await self.base.ask_segments(query, values)

    async def list_top_products(self, customer_ids: Sequence[str]) -> Mapping[str, Item]:
        """Return each customer's first recommendation of the kind `for_you`; without one, none."""
        found = dict(await self.base.list_top_products(customer_ids))
        newer = await self._read(customer_ids)
        tops = {
            customer_id: item_number(packed)
            for customer_id, overlay in newer.items()
            if (packed := overlay.lists.get("for_you"))
        }
        items = await self.get_items(tops.values()) if tops else {}
        for customer_id in newer:
            found.pop(customer_id, None)
            if tops.get(customer_id) in items:
                found[customer_id] = items[tops[customer_id]]
        return found

    async def first_customer_id(self) -> str:
        """Return the first id of the run in byte order, for examples; raises `StoreError` without any."""
        return await self.base.first_customer_id()

    async def check(self) -> None:
        """Read one row; raises `StoreError` where the run cannot be read."""
        await self.base.check()

    def is_replaced(self) -> bool:
        """Say whether the run was written anew, without somebody, since it was opened."""
        return self.base.is_replaced()

    def close(self) -> None:
        """Let go of files or connections."""
        self.base.close()

    async def _read(self, customer_ids: Sequence[str]) -> dict[str, Overlay]:
        """Return the overlays of those customers who have one; where they cannot be read, none."""
        known = ((each, self._number_of(each)) for each in customer_ids if each in self._newer)
        wanted = {each: number for each, number in known if number is not None}
        found = await self._fetch(wanted)
        # What a cursor saw is kept for a while: then it sees what counts by now.
        gone = {each: self._newer[each].sequence for each in wanted.keys() - found.keys()}
        if any(wanted[each] != number for each, number in gone.items()):
            found |= await self._fetch(gone)
        return found

    async def _fetch(self, wanted: Mapping[str, int]) -> dict[str, Overlay]:
        overlays = {number: self._kept[number] for number in wanted.values() if number in self._kept}
        missing = [number for number in wanted.values() if number not in overlays]
        if missing:
            with suppress(StateError):
                read = await asyncio.to_thread(self._overlays.read, self.meta.score_run_id, missing)
                overlays |= read
                self._kept |= read
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        found = {each: overlays[number] for each, number in wanted.items() if number in overlays}
        # A state that was put back under a running service gives numbers out again.
        return {each: overlay for each, overlay in found.items() if overlay.customer_id == each}

    def _number_of(self, customer_id: str) -> int | None:
        """Return the number of the overlay that counts; None where all of them came later."""
        newest = self._newer[customer_id]
        if self._limit is None or newest.sequence <= self._limit:
            return newest.sequence
        if self._limit < newest.first_sequence:
            return None
        before = self._superseded.get(customer_id, ())
        return max((number for number in before if number <= self._limit), default=newest.sequence)


def _owned(overlay: Overlay) -> OwnedItems:
    return unpack_owned(overlay.owned) if overlay.owned else NOTHING_OWNED


def _member(
    member: Member, overlay: Overlay | None, audience: str, names: Sequence[str], clv_min: float | None
) -> Member | None:
    """Return a member as it is by now, None where it belongs to the list no more."""
    if overlay is None:
        return member
    row = overlay.row
    if row is None or audience not in overlay.audiences:
        return None
    if clv_min is not None and (row[_CLV_AT] is None or row[_CLV_AT] < clv_min):
        return None
    return Member(member.position, tuple(_value(row, name) for name in names))


def _value(row: StoredRow, name: str) -> Any:  # noqa: ANN401 - as typed as the column
    return None if name == LINE else row[STORED_NAMES.index(name)]
