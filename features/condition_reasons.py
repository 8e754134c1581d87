"""Why a condition is refused: reasons by name, each with the code that calls see and its English words.

The words are made of a reason's values, and the values are what the program knows: nothing that was sent.
Whoever speaks another language says the reason in its own words, of the same values.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

ReasonValues = Mapping[str, str | int | tuple[str, ...]]
"""What a reason speaks of; several names are a tuple."""


class Reason(NamedTuple):
    """A reason: its code, its words with gaps, and what stands between several names."""

    code: str
    words: str
    between: str = ", "


_COMPARED: Final = "%(name)s is compared with "
_OR_NULL: Final = "; test for null with `is null`"

REASONS: Final = {
    "too_long": Reason("too_long", "a filter has at most %(count)s characters"),
    "empty": Reason("empty", "the filter is empty; leave it out, or write a condition such as: %(example)s"),
    "syntax": Reason("syntax", "write a condition such as: %(example)s"),
    "thousands": Reason("syntax", "write numbers without commas between thousands: 12500, not 12,500"),
    "one_equals_sign": Reason("syntax", "write == to compare with a value, not ="),
    "too_deep": Reason("too_deep", "conditions are nested at most %(count)s deep"),
    "too_many": Reason("too_many", "a filter has at most %(count)s comparisons; `in` takes a whole list"),
    "one_flag": Reason("type", "only %(flags)s is a condition by itself; compare the others with a value"),
    "flags": Reason("type", "only %(flags)s are a condition by itself; compare the others with a value"),
    "gives_day": Reason(
        "type", "%(function)s gives a day, which an attribute is compared with: last_order_at >= days_ago(90)"
    ),
    "is_condition": Reason("type", "%(function)s is a condition by itself: not %(signature)s"),
    "null_order": Reason("type", "null has no order; write `is null` or `is not null`"),
    "list_wanted": Reason("type", 'after `in` stands a list of values: brand in ["A", "B"]'),
    "no_list": Reason("type", "compare %(name)s with < <= > >= == or !="),
    "null_wanted": Reason("operator", "`is` and `is not` test for null only; compare values with == and !="),
    "near_attribute": Reason(
        "attribute", "there is no such attribute; did you mean %(names)s?", between=" or "
    ),
    "unknown_attribute": Reason("attribute", "compare an attribute with a value; attributes: %(names)s"),
    "attribute_wanted": Reason("attribute", "compare an attribute with a value; attributes: %(names)s"),
    "near_function": Reason("function", "there is no such function; did you mean %(names)s?", between=" or "),
    "arguments": Reason("arguments", "write %(signature)s"),
    "unordered": Reason("operator", "%(name)s is true or false and has no order; write == or !="),
    "text_wanted": Reason("type", f"{_COMPARED}a text: put it in quotes{_OR_NULL}"),
    "number_wanted": Reason("type", f"{_COMPARED}a number{_OR_NULL}"),
    "boolean_wanted": Reason("type", f"{_COMPARED}true or false{_OR_NULL}"),
    "date_wanted": Reason(
        "type", f'{_COMPARED}a day: "2026-01-31", days_ago(90) or days_ahead(14){_OR_NULL}'
    ),
    "instant_wanted": Reason(
        "type",
        f'{_COMPARED}a day or an instant: "2026-01-31", days_ago(90) or "2026-01-31T10:00:00Z"{_OR_NULL}',
    ),
    "texts_wanted": Reason("type", "%(function)s takes a text in quotes, or a list of them: %(signature)s"),
    "top_of_number": Reason("type", "top takes an attribute that is a number"),
    "percentage": Reason("value", "write a percentage from %(low)s to %(high)s in steps of %(step)s"),
    "days": Reason("value", "days are a whole number from 0 to %(count)s, such as 90 or 90d"),
    "value_wanted": Reason("value", 'a value is a text in quotes ("Tea"), a number, true, false or null'),
    "finite": Reason("value", "a number is finite"),
    "half_character": Reason("value", "a text is made of Unicode characters; half of one is none"),
    "nul": Reason("value", "no text that is stored holds the character NUL"),
}
"""Every reason why a condition is refused."""


def reason_words(name: str, values: ReasonValues) -> str:
    """Say a reason in English.

    >>> reason_words("near_attribute", {"names": ("price", "brand")})
    'there is no such attribute; did you mean price or brand?'
    """
    _, words, between = REASONS[name]
    told = {each: between.join(told) if isinstance(told, tuple) else told for each, told in values.items()}
    return words % told if told else words
