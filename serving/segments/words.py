"""The words of segments: every attribute of a customer, and the functions; see `docs/segments.md`.

A segment names no customer: its text is kept, and would outlive an erasure.
"""

from typing import Final

from features.condition_functions import FUNCTIONS
from features.condition_values import Standpoint
from features.conditions import Condition, Vocabulary, compile_condition
from serving.segments.traits import ATTRIBUTES
from serving.store.records import RunMeta

KINDS: Final = {
    "string": "text",
    "integer": "number",
    "number": "number",
    "boolean": "boolean",
    "date": "date",
    "datetime": "instant",
}
"""What a column's kind is called in conditions."""

SEGMENTS: Final = Vocabulary(
    {column.name: KINDS[column.kind] for column in ATTRIBUTES if column.name != "customer_id"},
    "churn_probability_90 > 0.6 and predicted_clv > 100 and not bought('SKU1', 180d)",
    frozenset(FUNCTIONS),
)
MEANINGS: Final = {column.name: column.meaning for column in ATTRIBUTES} | {
    name: function.meaning for name, function in FUNCTIONS.items()
}
"""What an attribute or function means, in a few words."""


def standpoint_of(meta: RunMeta) -> Standpoint:
    """Return what the conditions of a run are seen from."""
    return Standpoint(meta.as_of, meta.time_zone, meta.cuts)


def compile_segment(text: str, meta: RunMeta) -> Condition:
    """Compile a segment's text for a run; raises `FilterError`."""
    return compile_condition(text, SEGMENTS, standpoint_of(meta))
