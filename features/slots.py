"""The packed form of a recommendation list: 16 bytes a slot, in the order of rank.

    item_no       uint32    row of the score run's item table
    score         float32
    evidence_no   uint32    the item that is the evidence, or none
    reason        uint8     place in `REASONS`
    source        uint8     place in `SOURCES`
    value         int16     the reason's number times its scale, or none

All little-endian. This module needs the standard library only, so that the API process can read slots without
a dataframe engine; `models.recommender.packing` writes the same bytes in bulk.
"""

from collections.abc import Iterable, Iterator, Sequence
from struct import Struct
from typing import Final, NamedTuple, overload

KINDS: Final = ("for_you", "buy_again", "cross_sell", "upsell", "popular")
"""The lists of a customer, in the order in which they are shown."""

SOURCES: Final = ("personalised", "segment", "popular", "fallback")
"""Whose behaviour speaks: the customer's, the segment's, the shop's; `fallback` if nobody is known."""

SLOT: Final = Struct("<IfIBBh")
NO_EVIDENCE: Final = 0xFFFF_FFFF
NO_VALUE: Final = -0x8000
VALUE_MAX: Final = 0x7FFF


class Reason(NamedTuple):
    """Why an item is in a list: a code, and the name and scale of the one number that goes with it."""

    code: str
    value_name: str | None = None
    scale: int = 1


# The place is what is stored: new reasons go to the end.
REASONS: Final = (
    Reason("popular", "recent_customer_count"),
    Reason("bought_before", "order_count"),
    Reason("due_again", "due_in_days"),
    Reason("like_what_you_buy"),
    Reason("same_need_one_tier_up", "price_rise_share", 10_000),
    Reason("categories_bought_together", "buyer_share", 10_000),
    Reason("buyers_also_bought", "buyer_share", 10_000),
)
REASON_NUMBERS: Final = {reason.code: number for number, reason in enumerate(REASONS)}


class Slot(NamedTuple):
    """One place in a list, as it is read back; `value` is the number that `REASONS` names, unscaled."""

    item_no: int
    score: float
    reason: str
    source: str
    evidence_no: int | None = None
    value: float | None = None


def pack_slots(slots: Iterable[Slot]) -> bytes:
    """Pack slots; values beyond the range of their field are cut to it.

    >>> len(pack_slots([Slot(7, 0.5, "bought_before", "personalised", value=3)]))
    16
    """
    return b"".join(_pack(slot) for slot in slots)


def unpack_slots(packed: bytes) -> list[Slot]:
    """Unpack what `pack_slots` wrote; scores come back as float32.

    >>> unpack_slots(pack_slots([Slot(7, 0.5, "same_need_one_tier_up", "personalised", 3, 0.25)]))[0].value
    0.25
    """
    return [_unpack(*fields) for fields in SLOT.iter_unpack(packed)]


class PackedSlots(Sequence[Slot]):
    """A packed list that is unpacked as far as it is read: a reader of ten places pays for ten.

    >>> PackedSlots(pack_slots([Slot(7, 0.5, "popular", "popular"), Slot(8, 0.25, "popular", "popular")]))[1]
    Slot(item_no=8, score=0.25, reason='popular', source='popular', evidence_no=None, value=None)
    """

    def __init__(self, packed: bytes) -> None:
        self._packed = packed

    def __len__(self) -> int:
        return len(self._packed) // SLOT.size

    def __iter__(self) -> Iterator[Slot]:
        return (_unpack(*fields) for fields in SLOT.iter_unpack(self._packed))

    @overload
    def __getitem__(self, place: int) -> Slot: ...
    @overload
    def __getitem__(self, place: slice) -> list[Slot]: ...
    def __getitem__(self, place: int | slice) -> Slot | list[Slot]:
        if isinstance(place, slice):
            return [self[number] for number in range(len(self))[place]]
        return _unpack(*SLOT.unpack_from(self._packed, range(len(self))[place] * SLOT.size))


def _pack(slot: Slot) -> bytes:
    number = REASON_NUMBERS[slot.reason]
    value = NO_VALUE
    if slot.value is not None:
        value = max(-VALUE_MAX, min(VALUE_MAX, round(slot.value * REASONS[number].scale)))
    evidence = NO_EVIDENCE if slot.evidence_no is None else slot.evidence_no
    return SLOT.pack(slot.item_no, slot.score, evidence, number, SOURCES.index(slot.source), value)


def _unpack(item_no: int, score: float, evidence: int, reason: int, source: int, value: int) -> Slot:
    known = REASONS[reason]
    return Slot(
        item_no,
        score,
        known.code,
        SOURCES[source],
        None if evidence == NO_EVIDENCE else evidence,
        None if value == NO_VALUE else value / known.scale,
    )
