"""Reasons in words: every code has a sentence, every number in it was stored."""

import re
from typing import get_args

import pytest

from features.declare import Reason
from features.slots import REASONS
from serving.wording import ENGLISH, LANGUAGES, Wording

WORDING = Wording()


def test_the_sentence_of_the_readme() -> None:
    text = WORDING.reason("gap_over_usual", {"days": 143, "usual_days": 41})
    assert text == "143 days since the last order; the usual gap is 41"


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"days": 1, "usual_days": 1.0}, "1 day since the last order; the usual gap is 1"),
        ({"days": 12.4, "usual_days": 2.25}, "12 days since the last order; the usual gap is 2.2"),
        ({"days": 1234, "usual_days": None}, "1,234 days since the only order"),
        ({}, "the time since the last order"),
    ],
)
def test_numbers_and_missing_values(values: dict[str, float | None], text: str) -> None:
    assert WORDING.reason("gap_over_usual", values) == text


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_declared_code_has_words(language: str) -> None:
    words = LANGUAGES[language]
    assert set(get_args(Reason)) == set(words.plain) == set(words.sentences)
    assert {reason.code for reason in REASONS} <= set(words.recommendations)


def test_every_number_in_a_recommendation_is_the_stored_one() -> None:
    assert WORDING.recommendation("bought_before", {"order_count": 3.0}) == "bought 3 times before"
    assert WORDING.recommendation("bought_before", {"order_count": 1.0}) == "bought once before"
    assert WORDING.recommendation("due_again", {"due_in_days": 4.0}) == "due again in 4 days"
    assert WORDING.recommendation("due_again", {"due_in_days": -63.0}) == "was due 63 days ago"
    share = {"price_rise_share": 0.254, "evidence": "Mug"}
    assert WORDING.recommendation("same_need_one_tier_up", share) == "one step up from Mug, 25 % dearer"
    assert WORDING.recommendation("categories_bought_together", {}).startswith("a new kind of thing")
    trend = {"times_usual": 3.14, "window_days": 14}
    assert WORDING.recommendation("trending", trend) == "3.1 x its usual in the last 14 days"
    older = trend | {"window_ended_days_ago": 1}
    assert WORDING.recommendation("trending", older) == "3.1 x its usual in 14 days, until 1 day ago"
    assert WORDING.recommendation("due_again", {"due_in_days": 0.0}) == "due again today"
    assert WORDING.recommendation("due_again", {"due_in_days": -0.04}) == "due again today"
    assert WORDING.recommendation("due_again", {"due_in_days": 1.0}) == "due again in 1 day"
    assert WORDING.recommendation("due_again", {"due_in_days": -1.0}) == "was due 1 day ago"
    assert WORDING.recommendation("new", {"launched_days_ago": 0.0}) == "launched today"
    assert WORDING.reason("tenure", {"tenure_days": 0}) == "first ordered today"
    assert Wording("ko").recommendation("due_again", {"due_in_days": 0.0}) == "오늘이 다시 살 시기"
    assert Wording("ko").recommendation("due_again", {"due_in_days": 12.0}) == "12일 후가 다시 살 시기"
    assert Wording("ko").recommendation("new", {"launched_days_ago": 0.0}) == "오늘 출시"
    assert WORDING.recommendation("new", {"launched_days_ago": 1.0}) == "launched 1 day ago"
    assert WORDING.recommendation("similar_to", {"evidence": "Mug"}) == "similar to Mug"
    share = {"basket_share": 0.31, "evidence": "Mug"}
    assert WORDING.recommendation("bought_together", share) == "31 % of the baskets with Mug hold this too"
    assert WORDING.recommendation("unheard_of", {}) == "unheard of"


OTHERS = {"evidence", "overdue_days", "window_days", "window_ended_days_ago"}


def test_values_are_named_alike_in_slots_and_sentences() -> None:
    for reason in REASONS:
        sentences = " ".join(ENGLISH.recommendations[reason.code])
        named = set(re.findall(r"{(\w+)", sentences)) - OTHERS
        assert named == {name for name in (reason.value_name, reason.spread_name) if name}
