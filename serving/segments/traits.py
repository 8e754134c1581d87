"""What segments know of a customer beside the scores: the traits, and the table that both stand in.

Written as `serving.rows` writes scores. A trait is null where the shop's data does not have it.
"""

from typing import Final

from serving.rows import STORED, Column

_HORIZONS: Final = (30, 90, 180, 365)
_EVENTS: Final = {
    "view": "views and visits",
    "cart": "carts, wishes and checkouts",
    "message": "messages sent to the customer",
    "open": "messages opened",
    "click": "clicks",
}


def _trait(name: str, kind: str, meaning: str, unit: str = "") -> Column:
    return Column(name, kind, meaning, unit, nullable=True)  # type: ignore[arg-type]


def _event_traits() -> list[Column]:
    return [
        _trait(f"{kind}_count{suffix}", "integer", f"{words}{within}")
        for kind, words in _EVENTS.items()
        for suffix, within in (("", ", ever"), ("_90", " within 90 days"))
    ]


TRAITS: Final[tuple[Column, ...]] = (
    _trait("first_order_at", "datetime", "the first order"),
    _trait("recency_days", "number", "from the last order to the snapshot", "days"),
    _trait("tenure_days", "number", "from the first order to the snapshot", "days"),
    *(_trait(f"order_count_{days}", "integer", f"orders within {days} days", "orders") for days in _HORIZONS),
    *(_trait(f"spend_{days}", "number", f"money within {days} days", "money") for days in _HORIZONS),
    _trait("largest_order_value", "number", "sold in the largest order, before returns", "money"),
    _trait("item_count", "number", "units bought; null in a shop that tells no quantities"),
    _trait("distinct_product_count", "integer", "different products bought; null without product ids"),
    _trait("distinct_category_count", "integer", "different categories bought from; null without categories"),
    _trait("coupon_order_count", "integer", "orders with a coupon; null in a shop without coupons", "orders"),
    _trait(
        "discounted_order_count", "integer", "orders with a discount; null in a shop without any", "orders"
    ),
    _trait("return_count", "integer", "times that something was given back; null in a shop without returns"),
    _trait("return_share", "number", "money given back over money sold; null in the same shops", "share"),
    _trait("country", "string", "from the customers table; null without one"),
    _trait("acquisition_channel", "string", "how the customer was won, from the same table"),
    _trait(
        "favourite_category",
        "string",
        "the category in most of the customer's orders; null without categories",
    ),
    *_event_traits(),
    _trait("visit_count", "integer", "24-hour days with a view or a visit"),
    _trait("viewed_again_product_count", "integer", "products viewed more than once"),
    _trait("last_act_at", "datetime", "the newest event that the customer made; orders are none"),
    _trait("last_view_at", "datetime", "the newest view or visit"),
    _trait("last_open_at", "datetime", "the newest opened message"),
    _trait("last_click_at", "datetime", "the newest click"),
    _trait(
        "loyalty_tier",
        "number",
        "the value of the newest event whose type speaks of a tier (loyalty_tier_changed)",
    ),
    _trait(
        "rfm_segment_before",
        "string",
        "rfm_segment as it was moves.before_days before the run; PROSPECTS: no order by then",
    ),
    _trait(
        "clock_stage",
        "string",
        "lifecycle_stage by the rules that need no model: never at_risk",
    ),
    _trait(
        "clock_stage_before",
        "string",
        "clock_stage as it was moves.before_days before the run; prospect: no order by then",
    ),
    _trait(
        "due_in_days", "number", "until something bought again and again falls due; below 0: overdue", "days"
    ),
)
"""Every trait, in the order in which they are stored."""

_SCORE_KINDS: Final = ("string", "integer", "number", "boolean", "date", "datetime")
SCORES: Final[tuple[Column, ...]] = tuple(column for column in STORED if column.kind in _SCORE_KINDS)
ATTRIBUTES: Final[tuple[Column, ...]] = (*SCORES, *TRAITS)
"""The columns of a run's table `traits`: those of a score that are single values, and the traits."""

TRAIT_NAMES: Final[tuple[str, ...]] = tuple(column.name for column in TRAITS)
ATTRIBUTE_NAMES: Final[tuple[str, ...]] = tuple(column.name for column in ATTRIBUTES)
