"""Numbers as people type them, worked by hand."""

import pytest

from serving.console.numbers_typed import number_typed


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("0,30", 0.3),
        ("0.30", 0.3),
        ("2,5", 2.5),
        ("-2,50", -2.5),
        ("0,300", 0.3),
        ("1,000", 1000),
        ("12,345", 12345),
        ("1234,567", 1234.567),
        ("1,000,000", 1_000_000),
        ("1.000.000", 1_000_000),
        ("1.000", 1.0),
        ("1.000,50", 1000.5),
        ("1,000.50", 1000.5),
        ("1 000,50", 1000.5),
        ("1\u00a0000", 1000),
        ("1'000.5", 1000.5),
        ("1e3", 1000.0),
    ],
)
def test_a_number_is_read_as_it_was_meant(typed: str, number: float) -> None:
    assert number_typed(typed) == number


@pytest.mark.parametrize(
    "typed", ["1,20,0", "1.00.000", "10,00.50", "1,2.3,4", "€5", "5 %", "--1", "<script>"]
)
def test_what_is_no_number_is_refused_as_it_was_typed(typed: str) -> None:
    assert number_typed(typed) == typed
