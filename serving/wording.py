"""Reasons in words: code + values → one sentence, in the reader's language.

A sentence is chosen by its code and by which values are there, so every number in it is one that was stored.
A language is one entry of `LANGUAGES`; English is the first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Formatter
from typing import Any

Number = int | float

_PERCENT_ENDINGS = ("_share", "_probability")


@dataclass(frozen=True, slots=True)
class Language:
    """One language: sentences by reason code (the first whose values are all there is used), and signs."""

    sentences: Mapping[str, Sequence[str]]
    recommendations: Mapping[str, Sequence[str]]
    plain: Mapping[str, str]
    thousands: str = ","
    percent: str = "{} %"


class _Words(Formatter):
    """Formats `{days:day|days}` as "1 day" or "143 days", `{x_share}` as a percentage."""

    def __init__(self, language: Language) -> None:
        self._language = language

    def get_value(self, key: int | str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:  # noqa: ANN401
        value = kwargs[str(key)]
        if isinstance(value, Number) and str(key).endswith(_PERCENT_ENDINGS):
            return self._language.percent.format(_number(value * 100, self._language))
        return value

    def format_field(self, value: Any, format_spec: str) -> str:  # noqa: ANN401
        if isinstance(value, bool) or not isinstance(value, Number):
            return str(value)
        text = _number(value, self._language)
        if not format_spec:
            return text
        one, _, many = format_spec.partition("|")
        return f"{text} {one if text == '1' else many}"


ENGLISH = Language(
    sentences={
        "gap_over_usual": (
            "{days:day|days} since the last order; the usual gap is {usual_days}",
            "{days:day|days} since the last order",
        ),
        "order_count": ("{orders:order|orders} so far",),
        "order_trend": (
            "{recent_orders:order|orders} in the last {window_days:day|days}, {earlier_orders} before",
        ),
        "tenure": ("customer for {tenure_days:day|days}",),
        "spend_level": ("{spend_total} {currency} spent so far", "{spend_total} spent so far"),
        "spend_trend": (
            "{recent_spend} {currency} in the last {window_days:day|days}, {earlier_spend} in those before",
        ),
        "rhythm": ("orders every {usual_days:day|days} on average",),
        "breadth": ("{products:product|products} bought so far",),
        "discounts": ("{discount_share} of the spend was discount",),
        "returns": ("{return_share} of the spend was returned",),
        "engagement": ("{events:visit or click|visits and clicks} lately",),
        "season": (),
    },
    recommendations={
        "bought_before": ("bought before",),
        "popular": ("popular in the shop",),
        "similar_customers": ("liked by customers with a similar taste",),
        "goes_with": ("goes with {evidence}",),
    },
    plain={
        "gap_over_usual": "the time since the last order",
        "order_count": "the number of orders",
        "order_trend": "how the number of orders changes",
        "tenure": "how long the customer has been with the shop",
        "spend_level": "how much the customer spends",
        "spend_trend": "how the spend changes",
        "rhythm": "the rhythm of the orders",
        "breadth": "how many different things were bought",
        "discounts": "the use of discounts",
        "returns": "returns",
        "engagement": "visits and clicks",
        "season": "the time of the year",
    },
)
LANGUAGES: dict[str, Language] = {"en": ENGLISH}


class Wording:
    """Writes sentences in one language."""

    def __init__(self, language: str = "en") -> None:
        self._language = LANGUAGES[language]
        self._words = _Words(self._language)

    def reason(self, code: str, values: Mapping[str, Any]) -> str:
        """Return the sentence of a reason; a code without numbers falls back to plain words.

        >>> Wording().reason("gap_over_usual", {"days": 143, "usual_days": 41})
        '143 days since the last order; the usual gap is 41'
        """
        known = {name: value for name, value in values.items() if value is not None}
        sentence = self._pick(self._language.sentences.get(code, ()), known)
        return sentence or self._language.plain.get(code, code.replace("_", " "))

    def recommendation(self, code: str, values: Mapping[str, Any]) -> str:
        """Return why an item is in a list; `evidence` is the name of the item that speaks for it."""
        sentence = self._pick(self._language.recommendations.get(code, ()), values)
        return sentence or code.replace("_", " ")

    def _pick(self, sentences: Sequence[str], values: Mapping[str, Any]) -> str | None:
        for sentence in sentences:
            needed = {name for _, name, _, _ in self._words.parse(sentence) if name}
            if needed <= values.keys():
                return self._words.vformat(sentence, (), values)
        return None


def _number(value: Number, language: Language) -> str:
    """Write a number as a person would: whole from 10 on, else one decimal, thousands set apart."""
    rounded = round(value) if abs(value) >= 10 or round(value, 1) == round(value) else round(value, 1)
    return f"{rounded:,}".replace(",", language.thousands)
