"""Packed purchases: bytes that the store keeps and the API reads back."""

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from features.owned import NOTHING_OWNED, Purchase, pack_owned, unpack_owned

PURCHASES = st.lists(
    st.builds(
        Purchase,
        item_no=st.integers(0, 2**32 - 1),
        age_days=st.integers(0, 0xFFFF),
        may_repeat=st.booleans(),
    ),
    max_size=40,
    unique_by=lambda bought: bought.item_no,
)


@given(purchases=PURCHASES, days=st.integers(0, 0xFFFF))
def test_what_is_packed_is_read_back(purchases: list[Purchase], days: int) -> None:
    packed = pack_owned(purchases)
    owned = unpack_owned(packed)
    assert len(packed) == 4 + 6 * len(purchases)
    assert set(zip(owned.item_nos, owned.ages_days, strict=True)) == {
        (p.item_no, p.age_days) for p in purchases
    }
    assert set(owned.never_again()) == {p.item_no for p in purchases if not p.may_repeat}
    assert set(owned.bought_within(days)) == {p.item_no for p in purchases if p.age_days <= days}
    assert len(owned.bought_within(days)) == len(set(owned.bought_within(days)))


def test_bytes_are_of_known_order() -> None:
    packed = pack_owned([Purchase(1, 258, True), Purchase(3, 2, True), Purchase(2, 5, False)])
    assert packed.hex(" ") == "01 00 00 00 02 00 00 00 03 00 00 00 01 00 00 00 05 00 02 00 02 01"


def test_nobody_owns_nothing() -> None:
    assert unpack_owned(pack_owned([])) == NOTHING_OWNED
    assert NOTHING_OWNED.never_again() == NOTHING_OWNED.bought_within(9) == ()


def test_an_age_out_of_range_is_cut() -> None:
    assert unpack_owned(pack_owned([Purchase(1, 10**9, True)])).ages_days == (0xFFFF,)


def test_reading_purchases_needs_the_standard_library_only() -> None:
    code = "import sys, features.owned; print({'numpy', 'polars', 'pandas', 'narwhals'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
