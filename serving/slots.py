"""Recommendation slots as the store holds them: packed bytes, at most 16 a slot.

The API process unpacks them with the standard library alone.
"""

import struct
from collections.abc import Iterable
from typing import NamedTuple

_SLOT = struct.Struct("<IfHxxI")
NO_EVIDENCE = 0xFFFFFFFF


class Slot(NamedTuple):
    """One place in a list: the item's number, its score, why, and the item that is the evidence."""

    item_number: int
    score: float
    reason: int
    evidence: int = NO_EVIDENCE


def pack_slots(slots: Iterable[Slot]) -> bytes:
    """Pack slots in the order of their rank.

    >>> len(pack_slots([Slot(7, 0.5, 1)]))
    16
    """
    return b"".join(_SLOT.pack(*slot) for slot in slots)


def unpack_slots(packed: bytes) -> list[Slot]:
    """Unpack what `pack_slots` wrote.

    >>> unpack_slots(pack_slots([Slot(7, 0.5, 1, 3)]))
    [Slot(item_number=7, score=0.5, reason=1, evidence=3)]
    """
    return [Slot(*values) for values in _SLOT.iter_unpack(packed)]


REASONS: tuple[str, ...] = ("popular", "bought_before", "similar_customers", "goes_with")


def reason_name(reason: int) -> str:
    """Return the reason's code as readers know it."""
    return REASONS[reason]
