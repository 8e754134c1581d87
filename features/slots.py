"""The packed form of a recommendation list: 18 bytes a slot, in the order of rank.

    item_no       uint32    row of the score run's item table
    score         float32
    evidence_no   uint32    the item that is the evidence, or none
    reason        uint8     place in `REASONS`
    source        uint8     place in `SOURCES`
    value         int16     the reason's number times its scale, or none
    spread        uint16    half of all truths lie within ± this of the value; its scale, or none

All little-endian. This module needs the standard library only, so that the API process can read slots without
a dataframe engine; `models.recommender.packing` writes the same bytes in bulk.
"""

from collections.abc import Iterable, Iterator, Sequence
from struct import Struct
from typing import Final, NamedTuple, overload

CUSTOMER_KINDS: Final = ("for_you", "buy_again", "cross_sell", "upsell")
"""The lists of a customer, in the order in which they are shown."""

SHOP_KINDS: Final = ("popular", "trending", "new")
"""The lists of the whole shop, the same for everybody."""

ITEM_KINDS: Final = ("similar", "bundle")
"""The lists of an item."""

SHOWN_KINDS: Final = (*CUSTOMER_KINDS, *SHOP_KINDS)
"""What a customer can be shown: their own lists, then the shop's."""

KINDS: Final = (*SHOWN_KINDS, *ITEM_KINDS)

SOURCES: Final = ("personalised", "segment", "popular", "fallback", "item")
"""What speaks: the customer's behaviour, the segment's, the shop's (`fallback`: to the unknown), an item."""

SLOT: Final = Struct("<IfIBBhH")
ITEM_BYTES: Final = 4
"""The item stands first in a slot, in so many bytes."""

NO_EVIDENCE: Final = 0xFFFF_FFFF
NO_VALUE: Final = -0x8000
VALUE_MAX: Final = 0x7FFF
NO_SPREAD: Final = 0xFFFF


class Reason(NamedTuple):
    """Why an item is in a list: a code, the name and scale of the number that goes with it, and of its ±."""

    code: str
    value_name: str | None = None
    scale: int = 1
    spread_name: str | None = None


# The place is what is stored: new reasons go to the end.
REASONS: Final = (
    Reason("popular", "recent_customer_count"),
    Reason("bought_before", "order_count"),
    Reason("due_again", "due_in_days", spread_name="due_spread_days"),
    Reason("like_what_you_buy"),
    Reason("same_need_one_tier_up", "price_rise_share", 10_000),
    Reason("categories_bought_together", "buyer_share", 10_000),
    Reason("buyers_also_bought", "buyer_share", 10_000),
    Reason("trending", "times_usual", 100),
    Reason("new", "launched_days_ago"),
    Reason("similar_to"),
    Reason("bought_together", "basket_share", 10_000),
)
REASON_NUMBERS: Final = {reason.code: number for number, reason in enumerate(REASONS)}


class Slot(NamedTuple):
    """One place in a list, as it is read back; `value`, `spread` are those that `REASONS` names, unscaled."""

    item_no: int
    score: float
    reason: str
    source: str
    evidence_no: int | None = None
    value: float | None = None
    spread: float | None = None


def pack_slots(slots: Iterable[Slot]) -> bytes:
    """Pack slots; values beyond the range of their field are cut to it.

    >>> len(pack_slots([Slot(7, 0.5, "bought_before", "personalised", value=3)]))
    18
    """
    return b"".join(_pack(slot) for slot in slots)


def unpack_slots(packed: bytes) -> list[Slot]:
    """Unpack what `pack_slots` wrote; scores come back as float32.

    >>> unpack_slots(pack_slots([Slot(7, 0.5, "same_need_one_tier_up", "personalised", 3, 0.25)]))[0].value
    0.25
    """
    return [_unpack(*fields) for fields in SLOT.iter_unpack(packed)]


def item_number(packed: bytes) -> int:
    """Return the item of the first slot, of which the first `ITEM_BYTES` are enough.

    >>> item_number(pack_slots([Slot(7, 0.5, "popular", "popular")])[:ITEM_BYTES])
    7
    """
    return int.from_bytes(packed[:ITEM_BYTES], "little")


class PackedSlots(Sequence[Slot]):
    """A packed list that is unpacked as far as it is read: a reader of ten places pays for ten.

    >>> PackedSlots(pack_slots([Slot(7, 0.5, "popular", "popular"), Slot(8, 0.25, "popular", "popular")]))[1]
    Slot(item_no=8, score=0.25, reason='popular', source='popular', evidence_no=None, value=None, spread=None)
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
    scale = REASONS[number].scale
    value, spread = NO_VALUE, NO_SPREAD
    if slot.value is not None:
        value = max(-VALUE_MAX, min(VALUE_MAX, round(slot.value * scale)))
    if slot.spread is not None:
        spread = max(0, min(NO_SPREAD - 1, round(slot.spread * scale)))
    evidence = NO_EVIDENCE if slot.evidence_no is None else slot.evidence_no
    return SLOT.pack(slot.item_no, slot.score, evidence, number, SOURCES.index(slot.source), value, spread)


def _unpack(
    item_no: int, score: float, evidence: int, reason: int, source: int, value: int, spread: int
) -> Slot:
    known = REASONS[reason]
    return Slot(
        item_no,
        score,
        known.code,
        SOURCES[source],
        None if evidence == NO_EVIDENCE else evidence,
        None if value == NO_VALUE else value / known.scale,
        None if spread == NO_SPREAD else spread / known.scale,
    )
