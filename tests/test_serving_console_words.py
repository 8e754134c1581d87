"""The console's languages: each says everything that English says, with the same blanks to fill."""

import re
from string import Formatter

import pytest

from serving import wording
from serving.console import catalogue
from serving.console.tongues import DEFAULT, LOCALES, tongue
from serving.wording import LANGUAGES, Wording

OTHERS = [code for code in LOCALES if code != DEFAULT]


def blanks(sentence: object) -> set[str]:
    return set(re.findall(r"%\((\w+)\)s|%%", str(sentence))) | ({"%%"} if "%%" in str(sentence) else set())


@pytest.mark.parametrize("code", OTHERS)
def test_a_language_has_every_sentence_and_no_other(code: str) -> None:
    committed, wanted = catalogue.read(code), catalogue.said()
    assert {message.id for message in committed} == {message.id for message in wanted}
    assert catalogue.missing(committed) == []
    assert len(wanted) > 200


@pytest.mark.parametrize("code", OTHERS)
def test_a_translation_has_the_blanks_of_its_sentence(code: str) -> None:
    for message in catalogue.read(code):
        if message.id:
            sentence = message.id[-1] if isinstance(message.id, tuple) else message.id
            translations = message.string if isinstance(message.string, tuple) else (message.string,)
            for translation in translations:
                assert blanks(translation) == blanks(sentence), message.id


def test_korean_is_spoken() -> None:
    assert tongue("ko").say("At risk") == "이탈 위험"
    assert tongue("ko").say("within %(days)s days", days=30) == "30일 안"
    assert tongue("en").say("within %(days)s days", days=30) == "within 30 days"


@pytest.mark.parametrize("part", ["sentences", "recommendations"])
@pytest.mark.parametrize("code", OTHERS)
def test_reasons_stand_in_every_language_with_the_same_values(code: str, part: str) -> None:
    english, other = getattr(wording.ENGLISH, part), getattr(LANGUAGES[code], part)
    assert other.keys() == english.keys()
    for name, sentences in english.items():
        assert [names(text) for text in other[name]] == [names(text) for text in sentences], name
    assert LANGUAGES[code].plain.keys() == wording.ENGLISH.plain.keys()


def names(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_a_reason_in_korean() -> None:
    words = Wording("ko")
    text = words.reason("gap_over_usual", {"days": 143, "usual_days": 41})
    assert text == "마지막 주문 후 143일 경과, 평소 간격은 41일"
    assert words.reason("discounts", {"discounted_order_share": 0.88}) == "주문의 88%에서 할인을 받음"
