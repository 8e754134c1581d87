"""The parts of conditions: what the compiler accepts is read as what it means."""

import random

import pytest
from random_segments import CUT, random_segment
from segment_shop import NUMBERS
from serving_runs import meta

from features.condition_phrases import (
    Among,
    Bought,
    Compared,
    Days,
    Either,
    Every,
    Not,
    Phrase,
    Top,
    names_in,
    read_phrases,
)
from serving.segments.words import SEGMENTS, compile_segment


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("predicted_clv > 100", Compared("predicted_clv", ">", 100.0)),
        ("100 < predicted_clv", Compared("predicted_clv", ">", 100.0)),
        ("country == 'KR'", Compared("country", "==", "KR")),
        ("country IS NOT NULL", Compared("country", "!=", None)),
        ("lapsed != true", Compared("lapsed", "!=", True)),
        ("lapsed", Among("lapsed", (True,))),
        ("country not in ['KR', 'GB']", Not(Among("country", ("KR", "GB")))),
        ("country in []", Among("country", ())),
        ("last_order_at >= days_ago(90)", Compared("last_order_at", ">=", Days(-90))),
        ("next_order_p50_date <= days_ahead(14)", Compared("next_order_p50_date", "<=", Days(14))),
        ("bought('a', 180d)", Bought(False, ("a",), 180)),
        ("bought_category(['a', 'b'])", Bought(True, ("a", "b"), None)),
        ("top(predicted_clv, 20)", Top("predicted_clv", 20)),
        (
            "60 < recency_days <= 120",
            Every((Compared("recency_days", ">", 60.0), Compared("recency_days", "<=", 120.0))),
        ),
        (
            "NOT (lapsed OR predicted_clv < -1.5)",
            Not(Either((Among("lapsed", (True,)), Compared("predicted_clv", "<", -1.5)))),
        ),
    ],
)
def test_parts_are_what_the_text_says(text: str, phrase: Phrase) -> None:
    assert compile_segment(text, meta()).sql
    assert read_phrases(text, SEGMENTS) == phrase


def test_names_are_those_of_attributes_alone() -> None:
    text = "lapsed and not (top(predicted_clv, 20) or bought('country')) and country in ['lapsed']"
    assert list(names_in(read_phrases(text, SEGMENTS))) == ["lapsed", "predicted_clv", "country"]


def test_whatever_is_accepted_is_read() -> None:
    dice = random.Random(9)
    at = meta(cuts={name: [CUT] * 19 for name in NUMBERS})
    for _ in range(300):
        text, _ = random_segment(dice)
        assert compile_segment(text, at).sql
        assert set(names_in(read_phrases(text, SEGMENTS))) <= set(SEGMENTS.attributes)
