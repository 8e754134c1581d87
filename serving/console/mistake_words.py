"""Why a condition is refused, in the reader's words: a sentence of `features.condition_reasons.REASONS`.

Names of attributes stand in quotes and as they are written: the language tells small letters from capitals.
"""

from difflib import get_close_matches
from typing import Final

from features.condition_text import FilterError
from serving.console.tongues import Tongue
from serving.console.words import marked

_CLOSEST: Final = 3
_CUT_AT: Final = 64
MISTAKES: Final = {
    "too_long": marked("A condition has at most %(count)s characters."),
    "empty": marked("The condition is empty. Write one such as: %(example)s"),
    "syntax": marked("This cannot be read as a condition. Write one such as: %(example)s"),
    "thousands": marked("Write numbers without commas between thousands: 12500, not 12,500."),
    "one_equals_sign": marked("Write two equals signs (==) to compare with a value, not one."),
    "too_deep": marked("Brackets and “not” may be nested at most %(count)s deep."),
    "too_many": marked("A condition has at most %(count)s comparisons; “in” takes a whole list of values."),
    "one_flag": marked("Compare “%(name)s” with a value. Only %(flags)s can stand alone."),
    "flags": marked("Compare “%(name)s” with a value. Only these can stand alone: %(flags)s."),
    "gives_day": marked(
        "“%(function)s” gives a day: compare an attribute with it, such as last_order_at >= days_ago(90)."
    ),
    "is_condition": marked("“%(function)s” is compared with nothing: write it alone, as %(signature)s."),
    "null_order": marked("“null” is neither larger nor smaller: write “is null” or “is not null”."),
    "list_wanted": marked('After “in” stands a list of values in brackets: ["A", "B"].'),
    "no_list": marked("“%(name)s” is a time, which no list holds: compare it with < <= > >= == or !=."),
    "null_wanted": marked("“is” and “is not” test for null only: compare values with == and !=."),
    "near_attribute": marked("There is no such attribute. Did you mean %(names)s?"),
    "unknown_attribute": marked("There is no such attribute. The closest names: %(names)s."),
    "attribute_wanted": marked("A comparison begins with an attribute, such as: %(names)s."),
    "near_function": marked("There is no such function. Did you mean %(names)s?"),
    "arguments": marked("Write it like this: %(signature)s."),
    "unordered": marked("“%(name)s” is true or false and has no order: write == or !=."),
    "text_wanted": marked('“%(name)s” is compared with a text in quotes, such as "A"; or write “is null”.'),
    "number_wanted": marked("“%(name)s” is compared with a number, such as 100; or write “is null”."),
    "boolean_wanted": marked("“%(name)s” is compared with true or false; or write “is null”."),
    "date_wanted": marked(
        '“%(name)s” is compared with a day: "2026-01-31", days_ago(90) or days_ahead(14); or write “is null”.'
    ),
    "instant_wanted": marked(
        '“%(name)s” is compared with a day or a time: "2026-01-31", days_ago(90) or "2026-01-31T10:00:00Z"; '
        "or write “is null”."
    ),
    "texts_wanted": marked("“%(function)s” takes a text in quotes, or a list of them: %(signature)s."),
    "top_of_number": marked("“top” takes an attribute that is a number."),
    "percentage": marked("Write a percentage from %(low)s to %(high)s in steps of %(step)s."),
    "days": marked("Days are a whole number from 0 to %(count)s, such as 90 or 90d."),
    "value_wanted": marked('A value is a text in quotes ("A"), a number, true, false or null.'),
    "finite": marked("This number is too large."),
    "half_character": marked("This text holds half a character."),
    "nul": marked("A text cannot hold the character NUL."),
}
"""What a reader has to mend, by reason."""
_OR: Final = marked("or")


def say_mistake(spoken: Tongue, error: FilterError) -> str:
    """Say why a condition is refused, in a language; of many names only the closest are named."""
    values = dict(error.values)
    if error.reason in ("unknown_attribute", "attribute_wanted"):
        values["names"] = _closest(error)
    between = f" {spoken.say(_OR)} " if error.reason.startswith("near_") else ", "
    told = {
        name: between.join(value) if isinstance(value, tuple) else value for name, value in values.items()
    }
    return spoken.say(MISTAKES[error.reason], **told)


def _closest(error: FilterError) -> tuple[str, ...]:
    names = error.values["names"]
    assert isinstance(names, tuple)  # noqa: S101 - both reasons have them so
    if error.seen is None:
        return names[:_CLOSEST]
    return tuple(get_close_matches(error.seen[:_CUT_AT].lower(), names, n=_CLOSEST, cutoff=0.0))
