"""Money, quantities, flags and ids, as people and programs write them."""

import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.parsing import (
    currencies_of,
    id_strings,
    parse_flags,
    parse_money,
    parse_numbers,
    parse_quantities,
    texts,
    unreadable,
)


@pytest.mark.parametrize(
    ("cell", "mark", "minor"),
    [
        ("12.50", ".", 125_000),
        ("1,234,000원", ".", 12_340_000_000),
        ("₩1,000", ".", 10_000_000),
        ("￦1,000", ".", 10_000_000),
        ("€1.234,50", ",", 12_345_000),
        ("1.234,50 €", ",", 12_345_000),
        ("1 234,5", ",", 12_345_000),
        ("1'234.50", ".", 12_345_000),
        ("(12.00)", ".", -120_000),
        ("($12.00)", ".", -120_000),
        ("-12", ".", -120_000),
        ("−12", ".", -120_000),
        ("12-", ".", -120_000),
        ("-$5", ".", -50_000),
        ("$-5", ".", -50_000),
        ("EUR 12.00", ".", 120_000),
        ("12.00 EUR", ".", 120_000),
        ("1e3", ".", 10_000_000),
        (".5", ".", 5_000),
        ("0.00006", ".", 1),
        ("１２", ".", 120_000),
        (" 12 ", ".", 120_000),
    ],
)
def test_money_is_read_exactly(cell: str, mark: str, minor: int) -> None:
    assert parse_money(pl.Series([cell]), decimal_mark=mark).to_list() == [minor]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "cell", ["abc", "1,23", "1.2.3", "1,234,56", "-", "nan", "inf", "12 13a", "1.234,50", "()"]
)
def test_what_is_no_amount_is_not_guessed(cell: str) -> None:
    cells = pl.Series([cell])
    values = parse_money(cells)
    assert values.to_list() == [None]
    assert unreadable(cells, values).to_list() == [True]


def test_empty_and_blank_cells_are_not_unreadable() -> None:
    cells = pl.Series([None, "  ", "7"], dtype=pl.String)
    assert unreadable(cells, parse_money(cells)).to_list() == [False, False, False]


@given(st.integers(min_value=-(10**15), max_value=10**15))
def test_four_decimals_survive_as_minor_units(minor: int) -> None:
    sign, whole, part = "-" if minor < 0 else "", abs(minor) // 10_000, abs(minor) % 10_000
    plain, grouped = f"{sign}{whole}.{part:04d}", f"{sign}{whole:,}.{part:04d}"
    assert parse_money(pl.Series([plain, grouped])).to_list() == [minor, minor]


def test_typed_columns_are_taken_as_they_are() -> None:
    assert parse_money(pl.Series([1.005, None, math.nan, 2.5])).to_list() == [10_050, None, None, 25_000]
    assert parse_money(pl.Series([3, -4])).to_list() == [30_000, -40_000]
    assert parse_quantities(pl.Series(["1.5", "2"])).to_list() == [1_500, 2_000]
    assert parse_numbers(pl.Series([True])).to_list() == [1.0]


def test_huge_amounts_stay_huge() -> None:
    assert (parse_money(pl.Series(["1e30", "-1e12"])).abs() > 10**15).all()


def test_currencies_beside_amounts() -> None:
    cells = pl.Series(["€1", "1 EUR", "£2", "1,000원", "US$ 5", "7", None, "abc"])
    assert currencies_of(cells).to_list() == ["EUR", "EUR", "GBP", "KRW", "USD", None, None, None]
    assert currencies_of(pl.Series(["1", "2.5"])).null_count() == 2
    assert currencies_of(pl.Series([1.0])).null_count() == 1


@pytest.mark.parametrize(
    "identifier",
    ["00123", "NA", "null", "NaN", "=1+1", " a", "a ", "a/b", "김철수", "1e5", "\u00e9", "e\u0301"],
)
def test_ids_survive_byte_for_byte(identifier: str) -> None:
    (kept,) = id_strings(pl.Series([identifier])).to_list()
    assert kept.encode() == identifier.encode()


def test_ids_of_typed_columns() -> None:
    assert id_strings(pl.Series([17850.0, None, math.nan])).to_list() == ["17850", None, None]
    assert id_strings(pl.Series([1, 2])).to_list() == ["1", "2"]
    assert id_strings(pl.Series([1.5, 2.0])).to_list() == ["1.5", "2.0"]
    assert id_strings(pl.Series(["", "x"])).to_list() == [None, "x"]
    assert texts(pl.Series(["  ", " x "])).to_list() == [None, " x "]


def test_flags() -> None:
    cells = pl.Series(["TRUE", " no", "Y", "0", "예", "아니오", "maybe", None])
    assert parse_flags(cells).to_list() == [True, False, True, False, True, False, None, None]
    assert parse_flags(pl.Series([1, 0])).to_list() == [True, False]
    assert parse_flags(pl.Series([True])).to_list() == [True]
