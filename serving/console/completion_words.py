"""What attributes and functions of the segment language mean, in the reader's language, while one writes."""

from typing import Final

from features.condition_functions import FUNCTIONS
from serving.console.attribute_words import named
from serving.console.tongues import DEFAULT, Tongue
from serving.console.words import marked
from serving.segments.words import MEANINGS, SEGMENTS

FUNCTION_WORDS: Final = {
    "days_ago": marked("the day so many days before the snapshot"),
    "days_ahead": marked("the day so many days after the snapshot"),
    "bought": marked(
        "bought a product, ever or within so many days before the snapshot; a list of products: any of them"
    ),
    "bought_category": marked("the same of anything in a category, or in any of a list"),
    "top": marked(
        "above the value that at most so many percent of the customers exceed (5 to 95, in steps of 5)"
    ),
}
"""The meanings of `features.condition_functions.FUNCTIONS`, marked for translation."""


def meanings_in(spoken: Tongue) -> dict[str, str]:
    """Return what every attribute and function means; English says attributes at more length."""
    if spoken.code == DEFAULT:
        return MEANINGS
    attributes = {name: named(name) for name in SEGMENTS.attributes}
    return {name: spoken.say(each.sentence, **each.values) for name, each in attributes.items()} | {
        name: spoken.say(FUNCTION_WORDS[name]) for name in FUNCTIONS
    }
