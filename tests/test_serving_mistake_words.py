"""Why a condition is refused, in the reader's language: every reason, every nasty text, names as written."""

import random
import re

import pytest
from nasty_filters import NASTY_FILTERS
from random_segments import random_segment
from serving_runs import meta

from features.condition_reasons import REASONS
from features.condition_text import FilterError
from features.item_filter import compile_filter
from serving.console.mistake_words import MISTAKES, say_mistake
from serving.console.tongues import tongue
from serving.segments.words import compile_segment

AT = meta()
WRONG = {
    "too_long": "x" * 1001,
    "empty": " ",
    "syntax": "lapsed and",
    "thousands": "predicted_clv > 1,000",
    "one_equals_sign": "country = 'KR'",
    "too_deep": "not " * 30 + "lapsed",
    "too_many": " or ".join(["lapsed"] * 40),
    "flags": "predicted_clv",
    "gives_day": "days_ago(90)",
    "is_condition": "last_order_at > bought('a')",
    "null_order": "predicted_clv > null",
    "list_wanted": "country in 'KR'",
    "no_list": "last_order_at in ['2026-01-01']",
    "null_wanted": "country is 'KR'",
    "near_attribute": "churn_probabilty > 0.5",
    "unknown_attribute": "qqq > 0.5",
    "attribute_wanted": "1 < 2",
    "near_function": "brought('a')",
    "arguments": "bought()",
    "unordered": "lapsed > true",
    "text_wanted": "country == 1",
    "number_wanted": "predicted_clv > 'a'",
    "boolean_wanted": "lapsed == 1",
    "date_wanted": "next_order_p50_date > 1",
    "instant_wanted": "last_order_at > 1",
    "texts_wanted": "bought(1)",
    "top_of_number": "top(country, 20)",
    "percentage": "top(predicted_clv, 21)",
    "days": "last_order_at > days_ago('a')",
    "value_wanted": "country == KR",
    "finite": "predicted_clv > 1e400",
    "half_character": "country == '\\ud800'",
    "nul": "country == '\\x00'",
}


def refused(text: str) -> FilterError:
    with pytest.raises(FilterError) as found:
        compile_segment(text, AT)
    return found.value


def is_korean(sentence: str) -> bool:
    return re.search("[가-힣]", sentence) is not None and "%(" not in sentence


def test_every_reason_has_words() -> None:
    assert MISTAKES.keys() == REASONS.keys()
    assert WRONG.keys() | {"one_flag"} == REASONS.keys()  # only products have a single flag


@pytest.mark.parametrize("reason", WRONG)
def test_each_reason_is_said_in_both_languages(reason: str) -> None:
    error = refused(WRONG[reason])
    assert error.reason == reason
    assert is_korean(say_mistake(tongue("ko"), error))
    english = say_mistake(tongue("en"), error)
    assert "%(" not in english
    assert not is_korean(english)


@pytest.mark.parametrize(("text", "code"), NASTY_FILTERS)
def test_nasty_texts_are_said_in_korean(text: str, code: str) -> None:
    with pytest.raises(FilterError) as found:
        compile_filter(text)
    assert found.value.code == code
    assert is_korean(say_mistake(tongue("ko"), found.value))


def test_random_conditions_that_are_cut_are_said_in_korean() -> None:
    dice = random.Random(7)
    refusals = []
    for _ in range(200):
        text, _ = random_segment(dice)
        try:
            compile_segment(text[: dice.randrange(len(text))], AT)
        except FilterError as error:
            refusals.append(error)
    assert len(refusals) > 100
    assert all(is_korean(say_mistake(tongue("ko"), error)) for error in refusals)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "predicted_clv > 'a'",
            "“predicted_clv” is compared with a number, such as 100; or write “is null”.",
        ),
        ("predicted_clv > 1,500", "Write numbers without commas between thousands: 12500, not 12,500."),
        ("churn_probabilty > 0.5", "There is no such attribute. Did you mean churn_probability?"),
        ("country = 'KR'", "Write two equals signs (==) to compare with a value, not one."),
    ],
)
def test_a_sentence_as_it_is_read(text: str, sentence: str) -> None:
    assert say_mistake(tongue("en"), refused(text)).startswith(sentence[:-1])


def test_an_unknown_name_is_answered_by_the_closest_three() -> None:
    sentence = say_mistake(tongue("en"), refused("tenuré > 3"))
    assert "tenure_days" in sentence
    assert sentence.count(",") <= 2
    assert say_mistake(tongue("en"), refused("qqq > 3")).count(",") == 2


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("predicted_clv > 1,000", "1,000"),
        ("predicted_clv >= 1,250,000 and lapsed", "1,250,000"),
        ("lapsed and country = 'a = 1,000'", "="),
    ],
)
def test_a_frequent_mistake_is_marked_at_its_place(text: str, wrong: str) -> None:
    error = refused(text)
    assert (error.code, text[error.span.offset :][: error.span.length]) == ("syntax", wrong)
    assert text[error.span.offset - 1] == " "


def test_a_text_in_quotes_is_no_frequent_mistake() -> None:
    assert refused("country == 'x = 1' and").reason == "syntax"
    assert refused("country == '> 1,000' and").reason == "syntax"
