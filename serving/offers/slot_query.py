"""The rules and the order of a recommendation request, from its address."""

from typing import Annotated, Final

from fastapi import Depends, Query, Request

from features.item_filter import TEXT_LENGTH_MAX, FilterError, compile_filter
from serving.offers.rerank import Objective, Order
from serving.offers.slot_choice import NO_RULES, Rules
from serving.web.ids import ids_in_query
from serving.web.problems import FieldError, malformed

EXCLUDED_MAX: Final = 100

Filter = Annotated[
    str | None,
    Query(
        max_length=TEXT_LENGTH_MAX,
        alias="filter",
        description="only items for which this holds: a boolean over product_id, name, category, "
        "subcategory, brand, price, in_stock, with and, or, not, parentheses, == != < <= > >=, in [...], "
        "not in [...], is null, is not null",
        examples=['in_stock and price < 20 and category not in ["Wine"]'],
    ),
]
BoughtWithin = Annotated[
    int | None,
    Query(ge=1, le=3650, description="leave out what the customer bought this many days before the snapshot"),
]
Excluded = Annotated[
    list[str] | None,
    Query(description=f"a product to leave out; may be repeated, up to {EXCLUDED_MAX} times"),
]


async def read_item_rules(request: Request, filter_text: Filter = None, exclude: Excluded = None) -> Rules:
    """Return the rules of a request that is about no customer; raises a 422 problem."""
    return _rules(request, filter_text, exclude, bought_within_days=None)


async def read_rules(
    request: Request,
    filter_text: Filter = None,
    bought_within_days: BoughtWithin = None,
    exclude: Excluded = None,
) -> Rules:
    """Return the rules of a request; raises a 422 problem."""
    return _rules(request, filter_text, exclude, bought_within_days=bought_within_days)


def _rules(
    request: Request,
    filter_text: str | None,
    exclude: list[str] | None,
    *,
    bought_within_days: int | None,
) -> Rules:
    """Excluded ids are read from the address itself, byte for byte; the parameter only describes them."""
    query: bytes = request.scope["query_string"]
    excluded = () if exclude is None else ids_in_query(query, "exclude", count_max=EXCLUDED_MAX)
    if filter_text is None and not excluded and bought_within_days is None:
        return NO_RULES
    try:
        condition = None if filter_text is None else compile_filter(filter_text)
    except FilterError as error:
        raise malformed(FieldError("/query/filter", error.code, error.message, *error.span)) from None
    return Rules(condition, bought_within_days or 0, excluded)


AskedRules = Annotated[Rules, Depends(read_rules)]
AskedItemRules = Annotated[Rules, Depends(read_item_rules)]

AskedObjective = Annotated[
    Objective,
    Query(description="rank by the chance of a purchase, or by it times the price or the margin"),
]
Diversity = Annotated[
    float, Query(ge=0, le=1, description="weight of variety: other needs and categories than those above")
]


async def read_order(objective: AskedObjective = "purchase", diversity: Diversity = 0.0) -> Order:
    """Return how a request wants its lists ordered."""
    return Order(objective, diversity)


AskedOrder = Annotated[Order, Depends(read_order)]
