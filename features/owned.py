"""The packed form of what one customer bought: which items, how long ago, and which never to offer again.

    never_count   uint32            how many of the items are never offered to this customer again
    item_nos      uint32 × n        rows of the score run's item table
    ages_days     uint16 × n        whole days from the last purchase to the snapshot, rounded up

All little-endian. The never-offered come first; both parts are sorted by age, newest first, then by number.
This module needs the standard library only, so that the API process can read it without a dataframe engine.
"""

import struct
from bisect import bisect_right
from collections.abc import Iterable
from typing import Final, NamedTuple

AGE_DAYS_MAX: Final = 0xFFFF
_HEAD_SIZE = 4
_ITEM_SIZE = 6


class Purchase(NamedTuple):
    """One item that a customer bought; `may_repeat` is false for a durable and for what was sent back."""

    item_no: int
    age_days: int
    may_repeat: bool


class OwnedItems(NamedTuple):
    """What a customer bought, as it is read back."""

    never_count: int
    item_nos: tuple[int, ...]
    ages_days: tuple[int, ...]

    def never_again(self) -> tuple[int, ...]:
        """Return the numbers of the items that are not offered to this customer again."""
        return self.item_nos[: self.never_count]

    def bought_within(self, days: int) -> tuple[int, ...]:
        """Return the numbers of the items bought at most `days` before the snapshot.

        >>> OwnedItems(1, (7, 3, 9), (5, 2, 30)).bought_within(5)
        (7, 3)
        """
        never, ages = self.never_count, self.ages_days
        first = bisect_right(ages, days, 0, never)
        second = bisect_right(ages, days, never)
        return self.item_nos[:first] + self.item_nos[never:second]


NOTHING_OWNED: Final = OwnedItems(0, (), ())


def pack_owned(purchases: Iterable[Purchase]) -> bytes:
    """Pack one customer's distinct items; ages beyond the range of their field are cut to it.

    >>> len(pack_owned([Purchase(7, 3, True), Purchase(2, 90, False)]))
    16
    """
    ordered = sorted(purchases, key=lambda bought: (bought.may_repeat, bought.age_days, bought.item_no))
    never_count = sum(not bought.may_repeat for bought in ordered)
    ages = [min(max(bought.age_days, 0), AGE_DAYS_MAX) for bought in ordered]
    return _layout(len(ordered)).pack(never_count, *(bought.item_no for bought in ordered), *ages)


def unpack_owned(packed: bytes) -> OwnedItems:
    """Unpack what `pack_owned` wrote.

    >>> unpack_owned(pack_owned([Purchase(7, 3, True), Purchase(2, 90, False)]))
    OwnedItems(never_count=1, item_nos=(2, 7), ages_days=(90, 3))
    """
    count = (len(packed) - _HEAD_SIZE) // _ITEM_SIZE
    values = _layout(count).unpack(packed)
    return OwnedItems(values[0], values[1 : 1 + count], values[1 + count :])


def _layout(count: int) -> struct.Struct:
    return struct.Struct(f"<I{count}I{count}H")
