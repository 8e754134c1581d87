"""Completions: what is offered where, and that they fit into the text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.condition_completion import Completion, complete
from features.conditions import compile_condition
from serving.segments.words import MEANINGS, SEGMENTS

VALUES = {"risk_band": ["high", "low"], "country": ["KR", 'O"Neil'], "category": ["Tea", "Teapots"]}


def offered(text: str) -> list[str]:
    """Return what is offered where `|` stands."""
    cursor = text.index("|")
    return [each.text for each in complete(text.replace("|", ""), cursor, SEGMENTS, values=VALUES)]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("laps|", ["lapsed"]),
        ("LAPS|", ["lapsed"]),
        ("not largest|", ["largest_order_value"]),
        ("lapsed and bou|", ["bought(", "bought_category("]),
        ("risk_band == |", ['"high"', '"low"']),
        ('risk_band == "hi|', ['"high"']),
        ("risk_band in ['|", ['"high"', '"low"']),
        ("risk_band NOT IN ['high', l|", ['"low"']),
        ("country != 'k|", ['"KR"']),
        ("country == o|", ['"O\\"Neil"']),
        ("bought_category('Teap|", ['"Teapots"']),
        ("bought_category(['Tea', |", ['"Tea"', '"Teapots"']),
        ("lapsed == |", ["true", "false"]),
        ("last_order_at >= d|", ["days_ago("]),
        ("next_order_p50_date <= |", ["days_ago(", "days_ahead("]),
        ("lapsed an|", ["and", "risk_band"]),
        ("acquisition_channel == '|", []),
        ("predicted_clv > |", []),
        ("country == 'a or |b'", []),
    ],
)
def test_what_is_offered(text: str, first: list[str]) -> None:
    assert offered(text)[: len(first) or None] == first


def test_an_empty_text_offers_attributes() -> None:
    assert offered("|")[:2] == ["status", "method"]


def test_a_completion_takes_the_place_of_what_was_begun() -> None:
    text = "lapsed and risk_band == 'h and more"
    found = complete(text, text.index(" and more"), SEGMENTS, values=VALUES, meanings=MEANINGS)
    assert found == [Completion(24, 2, '"high"', "value")]
    (lapsed,) = complete("laps", 4, SEGMENTS, meanings=MEANINGS)
    assert (lapsed.kind, lapsed.meaning) == ("attribute", MEANINGS["lapsed"])


@pytest.mark.parametrize("value", VALUES["country"])
def test_a_completed_value_is_a_value(value: str) -> None:
    (found,) = complete(f"country == {value[0]}", 12, SEGMENTS, values=VALUES)
    assert compile_condition(f"country == {found.text}", SEGMENTS).values == (value,)


@given(
    st.text(max_size=80) | st.text(alphabet="risk_bandcountry='\"[]( ,", max_size=80), st.integers(-5, 100)
)
def test_completions_lie_in_the_text(text: str, cursor: int) -> None:
    for each in complete(text, cursor, SEGMENTS, values=VALUES):
        assert 0 <= each.offset <= each.offset + each.length <= len(text)
