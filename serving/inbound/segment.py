"""Track calls as Segment's e-commerce specification words them, one at a time.

Orders: `Order Completed` and `Order Updated` tell a whole order, `Order Cancelled` that it is none,
`Order Refunded` what came back. Every other track call is an event of the customer.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from features.messages import Cancellation, Event, Line, Order, OrderWord, Product, Refund
from serving.inbound.amounts import rounded, spread
from serving.inbound.people import People, Person
from serving.inbound.values import QUANTITY_SCALE, CellError, Cells

SOURCE: Final = "events"
LINES_MAX: Final = 1_000
_WHOLE_ORDER: Final = frozenset({"order_completed", "order_updated"})


def read_track(call: object, people: People, *, zone: ZoneInfo) -> tuple[Event | OrderWord, Person, str]:
    """Return what a track call says, of whom, and its `messageId`; raises `CellError`."""
    cells = Cells(call, zone=zone)
    if cells.raw("type") not in (None, "track"):
        raise CellError("/type", "unsupported_type")
    message_id = cells.required_id("messageId")
    person = _person(cells, people)
    return _message(cells, person.customer_id), person, message_id


def _person(cells: Cells, people: People) -> Person:
    traits, properties = cells.inner("context").inner("traits"), cells.inner("properties")
    person = people.find(
        cells.id("userId"),
        email=traits.text("email") or properties.text("email"),
        phone=traits.text("phone") or properties.text("phone"),
    )
    if person is None:
        raise CellError("/userId", "missing")
    return person


def _message(cells: Cells, customer_id: str) -> Event | OrderWord:
    name = cells.text("event")
    if name is None:
        raise CellError("/event", "missing")
    event_type = re.sub(r"[\W_]+", "_", name.strip().lower()).strip("_")[:100]
    if not event_type:
        raise CellError("/event", "missing")
    at = cells.required_instant("timestamp", "originalTimestamp")
    properties = cells.inner("properties")
    if event_type in _WHOLE_ORDER:
        return _order(properties, customer_id, at)
    if event_type == "order_cancelled":
        order_id = properties.required_id("order_id")
        return Cancellation(customer_id=customer_id, order_id=order_id, said_at=at)
    if event_type == "order_refunded":
        return _refund(properties, customer_id, at=at, refund_id=cells.required_id("messageId"))
    return Event(
        customer_id=customer_id,
        event_type=event_type,
        occurred_at=at,
        product_id=properties.id("product_id", "sku"),
        value=properties.number("value"),
        campaign_id=properties.id("campaign_id"),
    )


def _order(cells: Cells, customer_id: str, at: datetime) -> Order:
    """Read an order; its lines add up to `subtotal` where that is given (after discounts, before tax)."""
    goods = cells.items("products", count_max=LINES_MAX)
    lines = _lines(cells, goods) if goods else [Line(amount_minor=_order_amount(cells))]
    return Order(
        customer_id=customer_id,
        order_id=cells.required_id("order_id"),
        said_at=at,
        ordered_at=at,
        lines=tuple(lines),
        currency=cells.currency("currency"),
        coupon=cells.text("coupon"),
        channel=cells.text("affiliation", "channel"),
        products=tuple(product for each in goods if (product := _product(each)) is not None),
    )


def _refund(cells: Cells, customer_id: str, *, at: datetime, refund_id: str) -> Refund:
    goods = cells.items("products", count_max=LINES_MAX)
    return Refund(
        customer_id=customer_id,
        order_id=cells.required_id("order_id"),
        said_at=at,
        refund_id=refund_id,
        lines=tuple(_lines(cells, goods)) if goods else (),
        amount_minor=cells.money("subtotal", "revenue", "total"),
        currency=cells.currency("currency"),
    )


def _lines(cells: Cells, goods: Sequence[Cells]) -> list[Line]:
    """Read lines: price × quantity, less the line's discount, less its share of the order's."""
    quantities = [each.quantity("quantity") for each in goods]
    grosses = [
        _gross(each, QUANTITY_SCALE if quantity is None else quantity)
        for each, quantity in zip(goods, quantities, strict=True)
    ]
    reduced = [each.money("discount") or 0 for each in goods]
    nets = [gross - less for gross, less in zip(grosses, reduced, strict=True)]
    subtotal, discount = cells.money("subtotal"), cells.money("discount")
    owed = sum(nets) - subtotal if subtotal is not None else (discount or 0) - sum(reduced)
    shares = spread(max(owed, 0), nets)
    return [
        Line(
            product_id=_product_id(each),
            line_id=each.id("line_id"),
            amount_minor=net - share,
            quantity_minor=QUANTITY_SCALE if quantity is None else quantity,
            discount_minor=gross - net + share,
        )
        for each, quantity, gross, net, share in zip(goods, quantities, grosses, nets, shares, strict=True)
    ]


def _gross(cells: Cells, quantity_minor: int) -> int:
    price = cells.money("price")
    if price is None:
        raise cells.error("price", "missing")
    return rounded(price * quantity_minor, QUANTITY_SCALE)


def _order_amount(cells: Cells) -> int:
    amount = cells.money("subtotal", "revenue")
    if amount is not None:
        return amount
    total = cells.money("total")
    if total is None:
        raise cells.error("products", "missing")
    return total - (cells.money("shipping") or 0) - (cells.money("tax") or 0)


def _product_id(cells: Cells) -> str | None:
    return cells.id("product_id", "sku", "name")


def _product(cells: Cells) -> Product | None:
    product_id = _product_id(cells)
    if product_id is None:
        return None
    return Product(
        product_id=product_id,
        name=cells.text("name"),
        category=cells.text("category"),
        brand=cells.text("brand"),
        list_price_minor=cells.money("price"),
        url=cells.text("url"),
        image_url=cells.text("image_url"),
    )
