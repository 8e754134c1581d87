"""The language of segments and rules: what it means, and where it says that a mistake is."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nasty_filters import NASTY_FILTERS

from features.condition_text import FilterError
from features.condition_values import Standpoint
from features.conditions import Vocabulary, compile_condition
from serving.segments.words import SEGMENTS

AT = Standpoint(date(2026, 11, 22), "Asia/Seoul", {"predicted_clv": list(range(1, 20))})


def compiled(text: str, vocabulary: Vocabulary = SEGMENTS) -> tuple[str, tuple[object, ...]]:
    return tuple(compile_condition(text, vocabulary, AT))


@pytest.mark.parametrize(
    ("text", "values"),
    [
        (SEGMENTS.example, (0.6, 100.0, "SKU1", 180)),
        ("last_order_at >= days_ago(90)", ("2026-08-23T15:00:00Z",)),
        ("last_order_at > days_ago(90)", ("2026-08-24T15:00:00Z",)),
        ("last_order_at < days_ago(90d)", ("2026-08-23T15:00:00Z",)),
        ("days_ago(90) >= last_order_at", ("2026-08-24T15:00:00Z",)),
        ('first_order_at >= "2026-01-01"', ("2025-12-31T15:00:00Z",)),
        ('first_order_at == "2026-01-01"', ("2025-12-31T15:00:00Z", "2026-01-01T15:00:00Z")),
        ('first_order_at > "2026-01-01T10:00:00+09:00"', ("2026-01-01T01:00:00Z",)),
        ("next_order_p50_date <= days_ahead(14)", ("2026-12-06",)),
        ('next_order_p50_date in ["2026-12-06", "2026-12-07"]', ("2026-12-06", "2026-12-07")),
        ("recency_days > 90d", (90.0,)),
        ("bought('SKU1')", ("SKU1",)),
        ("bought_category(['Tea', 'Mugs'], 30)", ("Tea", "Mugs", 30)),
        ("top(predicted_clv, 20)", (16,)),
        ("top(predicted_clv, 95)", (1,)),
        ("NOT lapsed OR country IN ['KR'] AND country IS NOT NULL", ("KR",)),
        ("  lapsed\n\tand\u00a0country == 'KR'  ", ("KR",)),
        ("country == 'A AND B is NULL 180d'", ("A AND B is NULL 180d",)),
    ],
)  # fmt: skip
def test_what_is_bound(text: str, values: tuple[object, ...]) -> None:
    assert compiled(text)[1] == values


def test_capitals_and_durations_change_nothing() -> None:
    assert compiled("NOT lapsed AND bought('a', 7d)") == compiled("not lapsed and bought('a', 7)")


@pytest.mark.parametrize(
    ("text", "code", "part"),
    [
        ("predicted_clv > 1 and churn_probabilty > 0.5", "attribute", "churn_probabilty"),
        ("김 == 1 or lapsed", "attribute", "김"),
        ("country == '김철수' and colour == 1", "attribute", "colour"),
        ("  colour == 1", "attribute", "colour"),
        ("lapsed and bougth('a')", "function", "bougth"),
        ("lapsed and bought()", "arguments", "bought()"),
        ("bought('a', days=3)", "arguments", "bought('a', days=3)"),
        ("bought(lapsed)", "value", "lapsed"),
        ("bought(['a', 3])", "type", "['a', 3]"),
        ("bought('a', -3)", "value", "-3"),
        ("bought('a', 999999d)", "value", "999999d"),
        ("bought('a', 1.5)", "value", "1.5"),
        ("bought('a') == true", "attribute", "bought('a')"),
        ("lapsed == bought('a')", "type", "bought('a')"),
        ("days_ago(3)", "type", "days_ago(3)"),
        ("country == days_ago(3)", "type", "days_ago(3)"),
        ("last_order_at > 'soon'", "type", "'soon'"),
        ("last_order_at > '2026-02-30'", "type", "'2026-02-30'"),
        ("last_order_at > '0000-01-01'", "type", "'0000-01-01'"),
        ("last_order_at > '2026-01-01T00:00:00'", "type", "'2026-01-01T00:00:00'"),
        ("next_order_p50_date > '2026-01-01T00:00:00Z'", "type", "'2026-01-01T00:00:00Z'"),
        ("last_order_at in ['2026-01-01']", "type", "['2026-01-01']"),
        ("top(country, 20)", "type", "country"),
        ("top(predicted_clv, 21)", "value", "21"),
        ("top(predicted_clv)", "arguments", "top(predicted_clv)"),
        ("top()", "arguments", "top()"),
        ("predicted_clv > 'x'", "type", "'x'"),
        ("lapsed and # not", "syntax", "# not"),
        ("country == 'a", "syntax", "'a"),
        ("country == '''a'''", "syntax", "'''a'''"),
        ("predicted_clv = 3", "syntax", "="),
        ("lapsed lapsed", "syntax", "lapsed"),
        ("180d", "attribute", "180d"),
        ("d180 == 3", "attribute", "d180"),
        ("lapsed and", "syntax", ""),
    ],
)
def test_a_mistake_says_what_and_where(text: str, code: str, part: str) -> None:
    with pytest.raises(FilterError) as refused:
        compiled(text)
    offset, length = refused.value.span
    assert (refused.value.code, text[offset : offset + length]) == (code, part)


def test_a_name_that_is_nearly_right_is_offered() -> None:
    with pytest.raises(FilterError, match="did you mean churn_probability") as refused:
        compiled("churn_probabilty > 0.5")
    assert refused.value.suggestions[0] == "churn_probability"
    with pytest.raises(FilterError, match="did you mean bought") as refused:
        compiled("brought('a')")
    assert refused.value.suggestions == ("bought",)
    with pytest.raises(FilterError) as refused:
        compiled("colour == 'x'")
    assert "colour" not in refused.value.message


@pytest.mark.parametrize(("text", "_code"), NASTY_FILTERS)
def test_no_nasty_text_is_a_segment(text: str, _code: str) -> None:
    with pytest.raises(FilterError) as refused:
        compiled(text)
    assert 0 <= refused.value.span.offset <= sum(refused.value.span) <= len(text)


WORDS = (
    "bought top days_ago lapsed country 'é' 180d ( ) [ ] , < >= == and OR not in is null '2026-01-01' 김 1 #"
)
SOUP = st.lists(st.sampled_from(WORDS.split()), max_size=20).map(" ".join)


@given(st.text(max_size=60) | SOUP | st.text(alphabet="lapsedbought()<>=!1.9'\"[],d_ \n", max_size=80))
def test_any_text_is_a_condition_or_refused_at_a_place_in_it(text: str) -> None:
    try:
        sql, values = compiled(text)
    except FilterError as error:
        begin, length = error.span
        is_inside = 0 <= begin <= begin + length <= len(text)
        assert is_inside, error.span  # noqa: PT017 - a text may be no mistake at all
        return
    assert sql.count("?") == len(values)
