"""What a shop tells while it happens: orders, refunds, cancellations and events, in canonical values.

Messages hold what the tables hold and nothing else: no name, no address, no number of a phone. They are made
by whoever receives them and read by `features.received`, which needs no word of where they came from.
"""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

Money = Annotated[int, Field(description="in ten-thousandths of the shop's currency")]
Quantity = Annotated[int, Field(description="in thousandths")]


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Line(_Message):
    """One line of an order; `amount_minor` is after discount, before tax and shipping.

    `returned_at` is when it was given back; such a line has a negative amount.
    """

    product_id: str | None = None
    line_id: str | None = None
    amount_minor: Money
    quantity_minor: Quantity | None = None
    discount_minor: Money | None = None
    returned_at: AwareDatetime | None = None


class Product(_Message):
    """What a message tells of a product; None says nothing."""

    product_id: str
    name: str | None = None
    category: str | None = None
    brand: str | None = None
    list_price_minor: Money | None = None
    url: str | None = None
    image_url: str | None = None


class _OrderWord(_Message):
    """A word about an order: of two words of one kind the later `said_at` counts."""

    customer_id: str
    order_id: str
    said_at: AwareDatetime


class Order(_OrderWord):
    """An order as it stands: it replaces every earlier word on its lines."""

    kind: Literal["order"] = "order"
    ordered_at: AwareDatetime
    lines: tuple[Line, ...]
    currency: str | None = None
    coupon: str | None = None
    channel: str | None = None
    products: tuple[Product, ...] = ()
    country: str | None = None
    email_consent: bool | None = None


class Cancellation(_OrderWord):
    """An order that is none: cancelled, voided, deleted."""

    kind: Literal["cancellation"] = "cancellation"


class Refund(_OrderWord):
    """Money given back for an order, told apart from it; `refund_id` is told once.

    `lines` are what came back; without them `amount_minor` was paid back, and without that, everything.
    """

    kind: Literal["refund"] = "refund"
    refund_id: str
    lines: tuple[Line, ...] = ()
    amount_minor: Money | None = None
    currency: str | None = None


class Event(_Message):
    """One thing that a customer did, or that was done to them."""

    kind: Literal["event"] = "event"
    customer_id: str
    event_type: str
    occurred_at: AwareDatetime
    product_id: str | None = None
    value: float | None = None
    campaign_id: str | None = None


OrderWord = Order | Cancellation | Refund
Message = Annotated[Order | Cancellation | Refund | Event, Field(discriminator="kind")]


def happened_at(message: Order | Cancellation | Refund | Event) -> datetime:
    """Return when what a message tells took place (aware)."""
    if isinstance(message, Event):
        return message.occurred_at
    return message.ordered_at if isinstance(message, Order) else message.said_at


def currency_of(message: Order | Cancellation | Refund | Event) -> str | None:
    """Return the ISO 4217 code of a message's money, None where it names none."""
    return message.currency if isinstance(message, Order | Refund) else None
