"""Shopify's order webhooks (Admin API, JSON), with the keys and the money of the orders export's importer.

Every word is a whole order with its refunds, so the topics `orders/create`, `orders/updated`, `orders/paid`
and `orders/cancelled` are read alike; other topics tell nothing that is needed.
"""

from collections.abc import Sequence
from typing import Final
from zoneinfo import ZoneInfo

from features.messages import Cancellation, Line, Order, Product
from serving.inbound.amounts import rounded, spread
from serving.inbound.people import People, Person
from serving.inbound.values import QUANTITY_SCALE, Cells

TOPICS: Final = frozenset(
    {
        "orders/create",
        "orders/updated",
        "orders/edited",
        "orders/paid",
        "orders/partially_fulfilled",
        "orders/fulfilled",
        "orders/cancelled",
    }
)
_LINES_MAX: Final = 1_000
_NOT_BOUGHT: Final = frozenset({"voided", "expired"})


def read_order(body: object, people: People, *, zone: ZoneInfo) -> tuple[Order | Cancellation, Person]:
    """Return what a webhook's body says of an order, and who made it; raises `CellError`."""
    cells = Cells(body, zone=zone)
    person = _person(cells, people)
    order_id = cells.required_id("name", "id")
    said_at = cells.required_instant("updated_at", "created_at")
    if cells.has("cancelled_at") or cells.raw("test") is True or _status(cells) in _NOT_BOUGHT:
        return Cancellation(customer_id=person.customer_id, order_id=order_id, said_at=said_at), person
    goods = cells.items("line_items", count_max=_LINES_MAX)
    sold = _lines(cells, goods)
    return Order(
        customer_id=person.customer_id,
        order_id=order_id,
        said_at=said_at,
        ordered_at=cells.required_instant("created_at", "processed_at"),
        lines=(*sold, *_returned(cells, goods, sold)),
        currency=cells.currency("currency"),
        coupon=", ".join(_codes(cells)) or None,
        channel=cells.text("source_name"),
        products=tuple(product for each in goods if (product := _product(each)) is not None),
        country=cells.inner("billing_address").text("country_code")
        or cells.inner("shipping_address").text("country_code"),
        email_consent=cells.flag("buyer_accepts_marketing"),
    ), person


def read_addresses(body: object) -> tuple[list[str | None], list[str | None]]:
    """Return the e-mail addresses and phone numbers of whom a privacy webhook names; raises `CellError`."""
    customer = Cells(body, zone=ZoneInfo("UTC")).inner("customer")
    return [customer.text("email")], [customer.text("phone")]


def _person(cells: Cells, people: People) -> Person:
    customer = cells.inner("customer")
    phones = (
        cells.text("phone"),
        cells.inner("billing_address").text("phone"),
        cells.inner("shipping_address").text("phone"),
        customer.text("phone"),
    )
    email = cells.text("email", "contact_email") or customer.text("email")
    person = people.find(None, email=email, phone=next(filter(None, phones), None))
    if person is None:
        raise cells.error("email", "missing")
    return person


def _status(cells: Cells) -> str:
    return (cells.text("financial_status") or "").lower()


def _codes(cells: Cells) -> list[str]:
    return [code for each in cells.items("discount_codes", count_max=100) if (code := each.text("code"))]


def _lines(cells: Cells, goods: Sequence[Cells]) -> list[Line]:
    """Read lines: price × quantity, less what was taken off, less their share of the order's discount."""
    grosses = [rounded((each.money("price") or 0) * _pieces(each), QUANTITY_SCALE) for each in goods]
    reduced = [_taken_off(each) for each in goods]
    nets = [gross - less for gross, less in zip(grosses, reduced, strict=True)]
    subtotal = cells.money("subtotal_price")
    owed = sum(nets) - subtotal if subtotal is not None else 0
    shares = spread(max(owed, 0), nets)
    return [
        Line(
            product_id=_product_id(each),
            line_id=each.id("id"),
            amount_minor=net - share,
            quantity_minor=_pieces(each),
            discount_minor=gross - net + share,
        )
        for each, gross, net, share in zip(goods, grosses, nets, shares, strict=True)
    ]


def _pieces(cells: Cells) -> int:
    found = cells.quantity("quantity")
    return QUANTITY_SCALE if found is None else found


def _taken_off(cells: Cells) -> int:
    allocations = cells.items("discount_allocations", count_max=100)
    if allocations:
        return sum(each.money("amount") or 0 for each in allocations)
    return cells.money("total_discount") or 0


def _returned(cells: Cells, goods: Sequence[Cells], sold: Sequence[Line]) -> list[Line]:
    """Read refunds: the lines that came back, and money that was paid back beside them, at their own time."""
    by_id = {each.id("id"): line for each, line in zip(goods, sold, strict=True)}
    left = max(sum(line.amount_minor for line in sold), 0)
    found: list[Line] = []
    for refund in cells.items("refunds", count_max=_LINES_MAX):
        at = refund.required_instant("created_at", "processed_at")
        for number, each in enumerate(refund.items("refund_line_items", count_max=_LINES_MAX), start=1):
            amount = min(_line_refund(each, by_id.get(each.id("line_item_id"))), left)
            left -= amount
            line = by_id.get(each.id("line_item_id"))
            found.append(
                Line(
                    product_id=line.product_id if line else None,
                    line_id=f"return {refund.id('id')} {number}",
                    amount_minor=-amount,
                    quantity_minor=-_pieces(each),
                    returned_at=at,
                )
            )
        rest = min(max(_paid_back(refund) - _named_refund(refund), 0), left)
        if rest:
            left -= rest
            found.append(Line(line_id=f"return {refund.id('id')}", amount_minor=-rest, returned_at=at))
    return found


def _line_refund(cells: Cells, line: Line | None) -> int:
    """Return what one line's goods give back before tax: told, else its share of the line by pieces."""
    told = cells.money("subtotal")
    if told is not None or line is None or not line.quantity_minor:
        return abs(told or 0)
    return rounded(line.amount_minor * _pieces(cells), line.quantity_minor)


def _paid_back(refund: Cells) -> int:
    paid = [
        each.money("amount") or 0
        for each in refund.items("transactions", count_max=100)
        if each.raw("kind") == "refund" and each.raw("status") in (None, "success")
    ]
    return sum(paid)


def _named_refund(refund: Cells) -> int:
    """Return the part of a refund that has a name: goods with their tax, and shipping with its own."""
    goods = refund.items("refund_line_items", count_max=_LINES_MAX)
    named = sum((each.money("subtotal") or 0) + (each.money("total_tax") or 0) for each in goods)
    for each in refund.items("order_adjustments", count_max=100):
        if each.raw("kind") == "shipping_refund":
            named += abs(each.money("amount") or 0) + abs(each.money("tax_amount") or 0)
    return named


def _product_id(cells: Cells) -> str | None:
    return cells.id("sku", "name", "title")


def _product(cells: Cells) -> Product | None:
    product_id = _product_id(cells)
    if product_id is None:
        return None
    return Product(
        product_id=product_id,
        name=cells.text("name", "title"),
        brand=cells.text("vendor"),
        list_price_minor=cells.money("price"),
    )
