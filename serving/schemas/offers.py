"""The shapes of recommendations."""

from datetime import date, datetime

from serving.schemas.base import Schema


class PlaceReason(Schema):
    """Why an item is in a list."""

    code: str
    values: dict[str, float]
    evidence_product_id: str | None
    text: str


class Product(Schema):
    """A product; money in major units of `currency`."""

    name: str | None
    category: str | None
    subcategory: str | None
    brand: str | None
    price: float | None
    url: str | None
    image_url: str | None
    currency: str


class Place(Schema):
    """One place in a list; `product` comes with `include=product`.

    `source` says what speaks: a customer's behaviour (personalised), a segment's, the shop's (popular, or
    fallback for somebody unknown), or an item.
    """

    rank: int
    product_id: str
    score: float
    source: str
    reason: PlaceReason
    product: Product | None = None


class ShortFill(Schema):
    """A list with fewer places than were asked for: `wanted`, `got`, and the code of the reason."""

    wanted: int
    got: int
    reason: str


class Recommendations(Schema):
    """A customer's lists by kind; `unavailable` says why a kind has none in this shop.

    Every kind that was asked for has `limit` places or an entry in `short_fill`. `objective` is what the
    lists are ranked by: `purchase` where no item of theirs has a price or a margin.
    """

    customer_id: str
    status: str
    as_of: date
    scored_at: datetime
    score_run_id: str
    recommender_model_version: int | None
    objective: str
    lists: dict[str, list[Place]]
    unavailable: dict[str, str]
    short_fill: dict[str, ShortFill]


class SharedList(Schema):
    """A list that is nobody's: `unavailable` says why it is empty, `short_fill` why it is short."""

    as_of: date
    scored_at: datetime
    score_run_id: str
    recommender_model_version: int | None
    places: list[Place]
    unavailable: str | None
    short_fill: ShortFill | None


class ItemList(SharedList):
    """A list of a product."""

    product_id: str
    kind: str


class Bundle(SharedList):
    """What goes with the products of a basket; those that the run does not hold are named."""

    product_ids: list[str]
    unknown_product_ids: list[str]
