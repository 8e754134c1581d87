"""Conditions in plain words: sentences by hand in both languages, every attribute named, anything said."""

import random

import pytest
from random_segments import CUT, random_segment
from segment_shop import NUMBERS
from serving_runs import meta

from features.condition_functions import FUNCTIONS
from serving.console.attribute_words import named
from serving.console.plain_words import Speaker
from serving.console.tongues import LOCALES, tongue
from serving.segments.profile import ProfileTrait
from serving.segments.words import SEGMENTS

AT = meta(
    cuts={name: [CUT] * 19 for name in NUMBERS} | {"predicted_clv": [float(each) for each in range(19)]}
)


def said(text: str, code: str = "en") -> str:
    return Speaker(tongue(code), AT).sentence(text)


@pytest.mark.parametrize(
    ("text", "english"),
    [
        (SEGMENTS.example, "chance of no order within 90 days: more than 60 % and expected spend: more than "
         "€100 and not: bought “SKU1” within 180 days"),
        ("last_order_at >= days_ago(90)", "last order: on or after 24 Aug 2026 (90 days before the run)"),
        ("next_order_p50_date < days_ahead(14)",
         "expected date of the next order: before 6 Dec 2026 (14 days after the run)"),
        ('first_order_at == "2026-01-31"', "first order: on 31 Jan 2026"),
        ("lapsed != true", "not: silent for longer than nearly all gaps between orders in this shop"),
        ("email_consent == false", "may be e-mailed: no"),
        ("email_consent != false", "may be e-mailed: anything but no, or unknown"),
        ("country is null or not country in ['KR']", "country: unknown or not: country: “KR”"),
        ("country in []", "nobody at all"),
        ("historic_number_of_orders in [1]", "orders so far: 1"),
        ("top(predicted_clv, 20)", "expected spend: among the highest 20 % (more than €15.00)"),
        ("not top(predicted_clv, 80)", "expected spend: among the lowest 20 % (€3.00 or less), or unknown"),
        ("not top(predicted_clv, 80) and predicted_clv is not null and country is not null",
         "expected spend: among the lowest 20 % (€3.00 or less) and country: known"),
        ("predicted_clv is not null or not top(predicted_clv, 80)",
         "expected spend: known or expected spend: among the lowest 20 % (€3.00 or less), or unknown"),
        ('lifecycle_stage in ["at_risk", "odd"] and (lapsed or spend_30 >= 5)',
         "stage: at risk or “odd” and (silent for longer than nearly all gaps between orders in this shop or "
         "money within 30 days: €5.00 or more)"),
        ("rfm_segment_before == 'PROSPECTS' and clock_stage_before == 'lapsed' and clock_stage == 'won_back'",
         "RFM group at the earlier date: Prospects and stage by clocks alone at the earlier date: lapsed and "
         "stage by clocks alone: won back"),
        ("bought_category(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'])",
         "bought from the category “a” or “b” or “c” or “d” or “e” or “f” or 2 more"),
    ],
)  # fmt: skip
def test_a_condition_in_plain_words(text: str, english: str) -> None:
    assert said(text) == f"Customers: {english}."


def test_a_condition_in_korean() -> None:
    assert said("last_order_at < days_ago(90) and top(predicted_clv, 20)", "ko") == (
        "고객 조건: 마지막 주문: 2026. 8. 24.(기준일 90일 전) 이전(당일 제외) "
        "그리고 예상 지출: 상위 20% (€15.00 초과)."
    )


@pytest.mark.parametrize("name", SEGMENTS.attributes)
def test_every_attribute_has_a_name(name: str) -> None:
    assert named(name).sentence % named(name).values


@pytest.mark.parametrize("code", LOCALES)
def test_whatever_is_accepted_can_be_said(code: str) -> None:
    dice = random.Random(10)
    for _ in range(300):
        text, _ = random_segment(dice)
        assert said(text, code).startswith("Customers: " if code == "en" else "고객 조건: ")


def test_every_function_is_known_to_the_words() -> None:
    """A new function needs words of its own."""
    assert set(FUNCTIONS) == {"days_ago", "days_ahead", "bought", "bought_category", "top"}


@pytest.mark.parametrize(
    ("trait", "words"),
    [
        (("return_count", "yes", None, None), "returns: yes"),
        (("rfm_segment", "CHAMPIONS", None, None), "RFM group: Champions"),
        (("country", "<b>", None, None), "country: “<b>”"),
        (("recency_days", None, None, 5.04), "days since the last order: 5 or less"),
        (("recency_days", None, 5.04, 160.4), "days since the last order: more than 5, up to 160"),
        (("historic_clv", None, 99.0, None), "money so far: more than €99.00"),
    ],
)
def test_a_trait_in_words(trait: tuple[str, str | None, float | None, float | None], words: str) -> None:
    shown = ProfileTrait(*trait, member_share=0.5, other_share=0.25, lift=2.0, low=1.5, high=2.7)
    assert Speaker(tongue("en"), AT).trait(shown) == words
