"""Reasons in words: code + values → one sentence, in the reader's language.

A sentence is chosen by its code and by which values are there, so every number in it is one that was stored.
A language is one entry of `LANGUAGES`; English is the first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from string import Formatter
from typing import Any, Literal

from serving import wording_ko

Number = int | float

_WORDS_KEPT = 4_096
_PERCENT_ENDINGS = ("_share", "_probability")


@dataclass(frozen=True, slots=True)
class Language:
    """One language: sentences by reason code (the first whose values are all there is used), and signs."""

    sentences: Mapping[str, Sequence[str]]
    recommendations: Mapping[str, Sequence[str]]
    plain: Mapping[str, str]
    thousands: str = ","
    percent: str = "{} %"


class _Sentence:
    """A sentence taken apart once, so that writing it is cheap.

    `{days:day|days}` becomes "1 day" or "143 days", `{n:once|# times}` "once" or "3 times",
    `{n:today|in # day|in # days}` "today" of 0, `{x_share}` a percentage, another number itself.
    """

    def __init__(self, text: str, language: Language) -> None:
        parsed = list(Formatter().parse(text))
        self._language = language
        self._frame = "".join(
            literal.replace("%", "%%") + ("" if name is None else "%s") for literal, name, _, _ in parsed
        )
        # The same few numbers of days and orders come again and again in a list of a whole shop.
        self._words = [
            (name, lru_cache(_WORDS_KEPT)(partial(self._value, name=name, spec=spec or "")))
            for _, name, spec, _ in parsed
            if name
        ]
        self.needed = frozenset(name for name, _ in self._words)

    def write(self, values: Mapping[str, Any]) -> str:
        """Return the sentence with its values; `needed` says which."""
        return self._frame % tuple([word(values[name]) for name, word in self._words])

    def _value(self, value: Any, *, name: str, spec: str) -> str:  # noqa: ANN401 - whatever was stored
        if not isinstance(value, Number):
            return str(value)
        if name.endswith(_PERCENT_ENDINGS):
            return self._language.percent.format(_number(value * 100, self._language))
        text = _number(value, self._language)
        if not spec:
            return text
        *zero, one, many = spec.split("|")
        if zero and text == "0":
            return zero[0]
        form = one if text == "1" else many
        return form.replace("#", text) if "#" in many else f"{text} {form}"


ENGLISH = Language(
    sentences={
        "gap_over_usual": (
            "{days:day|days} since the last order; the usual gap is {usual_days}",
            "{days:day|days} since the only order",
        ),
        "order_count": (
            "{orders:order|orders} so far, {recent_orders} in the last {window_days:day|days}",
            "{orders:order|orders} so far",
        ),
        "order_trend": (
            "{recent_orders:order|orders} in the last {window_days:day|days}, {earlier_orders} in the "
            "{window_days} before",
        ),
        "tenure": ("first ordered {tenure_days:today|# day ago|# days ago}",),
        "spend_level": ("{mean_order_value} {currency} an order, {spend_total} {currency} so far",),
        "spend_trend": (
            "{recent_spend} {currency} in the last {window_days:day|days}, {earlier_spend} in the "
            "{window_days} before",
        ),
        "rhythm": (
            "orders every {usual_days:day|days} or so; the last gap was {last_gap_days}",
            "{orders:order|orders}, so no rhythm yet",
        ),
        "breadth": ("{products:different product|different products} so far",),
        "discounts": ("{discounted_order_share} of the orders had a discount",),
        "returns": ("{returned_spend_share} of the spend was returned",),
        "engagement": ("{acts:visit, mail or click|visits, mails and clicks} in the last 30 days",),
        "season": ("{year_ago_orders:order|orders} in these 90 days a year ago",),
    },
    recommendations={
        "popular": (
            "bought by {recent_customer_count:customer|customers} in {window_days:day|days}, until "
            "{window_ended_days_ago:day|days} ago",
            "bought by {recent_customer_count:customer|customers} in the last {window_days:day|days}",
            "bought by {recent_customer_count:customer|customers} lately",
            "popular in the shop",
        ),
        "trending": (
            "{times_usual} x its usual in {window_days:day|days}, until {window_ended_days_ago:day|days} ago",
            "{times_usual} x its usual in the last {window_days:day|days}",
            "{times_usual} x its usual",
            "sells more than usual",
        ),
        "new": ("launched {launched_days_ago:today|# day ago|# days ago}", "new in the shop"),
        "similar_to": ("similar to {evidence}", "similar"),
        "bought_together": (
            "{basket_share} of the baskets with {evidence} hold this too",
            "often in one basket with {evidence}",
            "often in one basket with it",
        ),
        "bought_before": ("bought {order_count:once|# times} before", "bought before"),
        "due_again": (
            "{overdue_days:due again today|was due # day ago|was due # days ago} (± {due_spread_days})",
            "{overdue_days:due again today|was due # day ago|was due # days ago}",
            "due again {due_in_days:today|in # day|in # days} (± {due_spread_days})",
            "due again {due_in_days:today|in # day|in # days}",
            "due again",
        ),
        "like_what_you_buy": ("goes with {evidence}", "goes with what this customer buys"),
        "buyers_also_bought": (
            "{buyer_share} of those who bought {evidence} bought this too",
            "bought by many who bought {evidence}",
            "bought by many who buy what this customer buys",
        ),
        "same_need_one_tier_up": (
            "one step up from {evidence}, {price_rise_share} dearer",
            "one step up from {evidence}",
            "one step up from what this customer has",
        ),
        "categories_bought_together": (
            "{buyer_share} of those who buy things like {evidence} also buy this kind of thing",
            "a new kind of thing that customers like this one buy",
        ),
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
KOREAN = Language(
    wording_ko.SENTENCES, wording_ko.RECOMMENDATIONS, wording_ko.PLAIN, thousands=",", percent="{}%"
)
LanguageCode = Literal["en", "ko"]
LANGUAGES: dict[str, Language] = {"en": ENGLISH, "ko": KOREAN}


@lru_cache(maxsize=8)
def wording_in(language: str) -> "Wording":
    """Return the sentences of a language of `LANGUAGES`, made once."""
    return Wording(language)


class Wording:
    """Writes sentences in one language."""

    def __init__(self, language: str = "en") -> None:
        words = LANGUAGES[language]
        self.language = language
        self._plain = words.plain
        self._reasons = _taken_apart(words.sentences, words)
        self._recommendations = _taken_apart(words.recommendations, words)

    def reason(self, code: str, values: Mapping[str, Any]) -> str:
        """Return the sentence of a reason; a code without numbers falls back to plain words.

        >>> Wording().reason("gap_over_usual", {"days": 143, "usual_days": 41})
        '143 days since the last order; the usual gap is 41'
        """
        if None in values.values():
            values = {name: value for name, value in values.items() if value is not None}
        return _pick(self._reasons.get(code, ()), values) or self._plain.get(code, code.replace("_", " "))

    def recommendation(self, code: str, values: Mapping[str, Any]) -> str:
        """Return why an item is in a list; `evidence` is the name of the item that speaks for it."""
        due = values.get("due_in_days")
        if due is not None and due < 0:
            values = {**values, "overdue_days": -due}
        return _pick(self._recommendations.get(code, ()), values) or code.replace("_", " ")


def _taken_apart(
    sentences: Mapping[str, Sequence[str]], language: Language
) -> dict[str, tuple[_Sentence, ...]]:
    return {code: tuple(_Sentence(text, language) for text in texts) for code, texts in sentences.items()}


def _pick(sentences: Sequence[_Sentence], values: Mapping[str, Any]) -> str | None:
    for sentence in sentences:
        if sentence.needed <= values.keys():
            return sentence.write(values)
    return None


def _number(value: Number, language: Language) -> str:
    """Write a number as a person would: whole from 10 on, else one decimal, thousands set apart."""
    rounded = round(value) if abs(value) >= 10 or round(value, 1) == round(value) else round(value, 1)
    return f"{rounded:,}".replace(",", language.thousands)
