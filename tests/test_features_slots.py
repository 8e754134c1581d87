"""Packed slots: bytes that the store keeps and the API reads back."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.slots import (
    CUSTOMER_KINDS,
    ITEM_KINDS,
    KINDS,
    REASONS,
    SHOP_KINDS,
    SLOT,
    SOURCES,
    PackedSlots,
    Slot,
    pack_slots,
    unpack_slots,
)

SLOTS = st.builds(
    Slot,
    item_no=st.integers(0, 2**32 - 1),
    score=st.floats(width=32, allow_nan=False, allow_infinity=False),
    reason=st.sampled_from([reason.code for reason in REASONS]),
    source=st.sampled_from(SOURCES),
    evidence_no=st.none() | st.integers(0, 2**32 - 2),
    value=st.none() | st.integers(-3, 3).map(float),
    spread=st.none() | st.integers(0, 6).map(float),
)


@given(slots=st.lists(SLOTS, max_size=60))
def test_what_is_packed_is_read_back(slots: list[Slot]) -> None:
    packed = pack_slots(slots)
    assert len(packed) == 18 * len(slots)
    assert unpack_slots(packed) == slots


@given(slots=st.lists(SLOTS, max_size=20), first=st.integers(-25, 25), last=st.integers(-25, 25))
def test_a_packed_list_reads_as_the_list_itself(slots: list[Slot], first: int, last: int) -> None:
    packed = PackedSlots(pack_slots(slots))
    assert list(packed) == slots
    assert len(packed) == len(slots)
    assert packed[first:last] == slots[first:last]
    assert [packed[-1 - place] for place in range(len(slots))] == slots[::-1]


def test_a_slot_is_18_bytes_of_known_order() -> None:
    assert SLOT.size == 18
    packed = pack_slots([Slot(1, 0.5, "due_again", "personalised", evidence_no=258, value=-2, spread=9)])
    assert packed.hex(" ") == "01 00 00 00 00 00 00 3f 02 01 00 00 02 00 fe ff 09 00"


@pytest.mark.parametrize(("value", "kept"), [(1e9, 32_767.0), (-1e9, -32_767.0)])
def test_a_value_out_of_range_is_cut(value: float, kept: float) -> None:
    (found,) = unpack_slots(pack_slots([Slot(1, 0.5, "popular", "popular", value=value)]))
    assert found.value == kept


def test_stored_numbers_never_move() -> None:
    assert [reason.code for reason in REASONS][:11] == [
        "popular",
        "bought_before",
        "due_again",
        "like_what_you_buy",
        "same_need_one_tier_up",
        "categories_bought_together",
        "buyers_also_bought",
        "trending",
        "new",
        "similar_to",
        "bought_together",
    ]
    assert SOURCES == ("personalised", "segment", "popular", "fallback", "item")


def test_every_kind_belongs_to_a_customer_the_shop_or_an_item() -> None:
    assert CUSTOMER_KINDS == ("for_you", "buy_again", "cross_sell", "upsell")
    assert SHOP_KINDS == ("popular", "trending", "new")
    assert ITEM_KINDS == ("similar", "bundle")
    assert KINDS == CUSTOMER_KINDS + SHOP_KINDS + ITEM_KINDS


def test_reading_slots_needs_the_standard_library_only() -> None:
    code = "import sys, features.slots; print({'numpy', 'polars', 'pandas', 'narwhals'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
