"""A segment as a list that leaves: consent kept, and a control group of its own left out by chance."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

from features.conditions import Condition
from features.delivery_settings import ControlSettings
from features.suppression import Suppressed
from serving.audiences.control_group import Control, ControlGroup
from serving.audiences.named import Listed
from serving.audiences.picked_rows import ONLY_IDS, picked_rows
from serving.rows import STORED_NAMES
from serving.segments.words import compile_segment
from serving.store.contract import ScoreRun
from serving.store.parts import in_parts
from serving.store.records import SegmentPlace

SEGMENT: Final = "segment:"
"""Stands before a segment's name where lists have theirs: no list has a colon in its name."""
_CONSENT: Final = "email_consent"
_REFUSED_NOT: Final = f"{_CONSENT} != false"
_PLACES_AT_ONCE: Final = 20_000


def name_of(request: Mapping[str, Any]) -> str:
    """Return what the people of an export request are written down as.

    >>> name_of({"audience": "at-risk"}), name_of({"segment": "large-order"})
    ('at-risk', 'segment:large-order')
    """
    return request.get("audience") or f"{SEGMENT}{request['segment']}"


class SegmentList:
    """The people of a segment who may be contacted, as the run holds them.

    Who is in the control group follows from the secret, the segment's name and the id, whatever its version:
    whoever was left alone stays so when the words change. `control_group_count` is known once all were read.
    """

    def __init__(
        self,
        *,
        run: ScoreRun,
        slug: str,
        condition: Condition,
        group: ControlGroup,
        suppressed: Suppressed,
        control: Control = "exclude",
    ) -> None:
        consent = compile_segment(_REFUSED_NOT, run.meta)
        self.run = run
        self.name = f"{SEGMENT}{slug}"
        self.control = control
        self.suppressed = suppressed
        self.condition = Condition(
            f"({condition.sql}) AND ({consent.sql})", (*condition.values, *consent.values)
        )
        self.control_group_share = 0.0
        self.control_group_count: int | None = None
        self._group = group

    async def chunks(
        self, *, after: int = 0, size: int, names: Sequence[str] = STORED_NAMES
    ) -> AsyncIterator[list[Listed]]:
        """Yield those wanted in the order of the run, up to `size` at once; a chunk may be empty."""
        held, place = 0, SegmentPlace(after, "") if after else None
        # Many places at once: what a condition says of purchases is looked for once for all of them.
        while places := await self.run.list_segment(self.condition, after=place, limit=_PLACES_AT_ONCE):
            place = places[-1]
            for part in in_parts(places, size):
                members = [each for each in part if each.customer_id not in self.suppressed]
                marks = [self._is_held(each.customer_id) for each in members]
                held += sum(marks)
                yield await self._wanted(members, marks, names)
                # Others are answered between two.
                await asyncio.sleep(0)
        if not after:
            self.control_group_count = held

    def _is_held(self, customer_id: str) -> bool:
        return self._group.holds(self.name, customer_id, share=self.control_group_share)

    async def _wanted(
        self, members: Sequence[SegmentPlace], marks: Sequence[bool], names: Sequence[str]
    ) -> list[Listed]:
        marked = [
            (each, mark)
            for each, mark in zip(members, marks, strict=True)
            if self.control == "include" or mark == (self.control == "only")
        ]
        ids = [each.customer_id for each, _ in marked]
        if tuple(names) == ONLY_IDS:
            # As the run has it: of who belongs, no row says more.
            return [Listed(each.row_number, (each.customer_id,), mark) for each, mark in marked]
        rows = await picked_rows(self.run, ids, (*names, _CONSENT))
        return [
            Listed(each.row_number, rows[each.customer_id][:-1], mark)
            for each, mark in marked
            # Whoever refused since the run was made is told by the newer score alone.
            if each.customer_id in rows and rows[each.customer_id][-1] not in (0, False)
        ]


async def share_of_segment(people: SegmentList, settings: ControlSettings) -> float:
    """Return the share of a segment's control group by the rule of lists: none of a small one."""
    count = await people.run.count_segment(people.condition)
    return settings.share if count >= settings.list_size_min else 0.0
