"""The traits that a segment's profile looks at: what a customer is and did, never what is predicted.

A text is looked at value by value; a count of something rare by whether it happened; any other number by the
shop's own quartiles (the 25th, 50th and 75th percentile among `RunMeta.cuts`), of which equal ones are one.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

TEXTS: Final = ("lifecycle_stage", "rfm_segment", "acquisition_channel", "country", "favourite_category")
FLAGS: Final = ("email_consent",)
HAPPENED: Final = (
    "coupon_order_count",
    "discounted_order_count",
    "return_count",
    "view_count_90",
    "cart_count_90",
    "open_count_90",
    "click_count_90",
    "loyalty_tier",
)
QUARTILES: Final = (
    "recency_days",
    "tenure_days",
    "historic_number_of_orders",
    "average_days_between_orders",
    "average_order_value",
    "largest_order_value",
    "historic_clv",
    "spend_90",
    "item_count",
    "distinct_product_count",
    "distinct_category_count",
)
_QUARTILE_CUTS: Final = (4, 9, 14)
_KIN: Final = {
    "last_order_at": ("recency_days",),
    "first_order_at": ("tenure_days",),
    "lapsed": ("recency_days", "lifecycle_stage"),
    "total_clv": ("historic_clv",),
    "clock_stage": ("lifecycle_stage",),
    "rfm_recency": ("recency_days", "rfm_segment"),
    "rfm_frequency": ("historic_number_of_orders", "rfm_segment"),
    "rfm_monetary": ("historic_clv", "rfm_segment"),
    "order_count_90": ("spend_90",),
    "due_in_days": (),
}
"""What says the same as an attribute in other words."""


class Looked(NamedTuple):
    """A trait as it is counted: its SQL, whose value is a text, and the edges between its numbers."""

    name: str
    sql: str
    edges: tuple[float, ...] = ()


def looked_at(cuts: Mapping[str, Sequence[float]], *, besides: Iterable[str] = ()) -> list[Looked]:
    """Return the traits to be counted in a run with such cuts.

    What a condition itself speaks of (`besides`) is left out: that its members have it is no news.
    """
    told = set(besides)
    told |= {each for name in told for each in _KIN.get(name, ())}
    found = [Looked(name, name) for name in TEXTS]
    found += [Looked(name, f"CASE {name} WHEN 1 THEN 'yes' WHEN 0 THEN 'no' END") for name in FLAGS]
    found += [
        Looked(name, f"CASE WHEN {name} > 0 THEN 'yes' WHEN {name} <= 0 THEN 'no' END") for name in HAPPENED
    ]
    for name in QUARTILES:
        if cuts.get(name):
            edges = tuple(sorted({cuts[name][place] for place in _QUARTILE_CUTS}))
            found.append(Looked(name, _between(name, edges), edges))
    return [each for each in found if each.name not in told]


def _between(name: str, edges: Sequence[float]) -> str:
    """Return the SQL of the place among edges: 0 up to the first, 1 above it up to the second."""
    steps = "".join(f" WHEN {name} <= {float(edge)!r} THEN '{place}'" for place, edge in enumerate(edges))
    return f"CASE{steps} WHEN {name} IS NOT NULL THEN '{len(edges)}' END"
