"""WooCommerce's order webhooks (REST API v3, JSON), with the keys and the money of the export's importer.

Every word is a whole order; one in the trash is none. Refunds carry no date: as in the export they are dated
at the order.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from features.messages import Cancellation, Line, Order, Product
from serving.inbound.people import People, Person
from serving.inbound.values import QUANTITY_SCALE, Cells

TOPICS: Final = frozenset({"order.created", "order.updated", "order.restored"})
_LINES_MAX: Final = 1_000
_NOT_BOUGHT: Final = frozenset(
    {"cancelled", "canceled", "failed", "pending", "trash", "draft", "checkout-draft", "auto-draft"}
)
_UTC: Final = ZoneInfo("UTC")


def read_order(body: object, people: People, *, zone: ZoneInfo) -> tuple[Order | Cancellation, Person]:
    """Return what a webhook's body says of an order, and who made it; raises `CellError`."""
    cells = Cells(body, zone=zone)
    person = _person(cells, people)
    order_id = cells.required_id("number", "id")
    said_at = _instant(cells, "date_modified") or _instant(cells, "date_created")
    ordered_at = _instant(cells, "date_created")
    if said_at is None or ordered_at is None:
        raise cells.error("date_created_gmt", "missing")
    if (cells.text("status") or "").lower().removeprefix("wc-") in _NOT_BOUGHT:
        return Cancellation(customer_id=person.customer_id, order_id=order_id, said_at=said_at), person
    goods = cells.items("line_items", count_max=_LINES_MAX)
    sold = [_line(each) for each in goods]
    return Order(
        customer_id=person.customer_id,
        order_id=order_id,
        said_at=said_at,
        ordered_at=ordered_at,
        lines=(*sold, *_returned(cells, sold, ordered_at)),
        currency=cells.currency("currency"),
        coupon=", ".join(_codes(cells)) or None,
        channel=cells.text("created_via"),
        products=tuple(product for each in goods if (product := _product(each)) is not None),
        country=cells.inner("billing").text("country") or cells.inner("shipping").text("country"),
    ), person


def _person(cells: Cells, people: People) -> Person:
    billing = cells.inner("billing")
    person = people.find(None, email=billing.text("email"), phone=billing.text("phone"))
    if person is None:
        raise billing.error("email", "missing")
    return person


def _instant(cells: Cells, name: str) -> datetime | None:
    """Return an instant: the `_gmt` cell is UTC, the other one the shop's local time."""
    if cells.has(f"{name}_gmt"):
        gmt = Cells({name: cells.raw(f"{name}_gmt")}, cells.pointer, zone=_UTC).instant(name)
        return None if gmt is None else gmt.astimezone(UTC)
    return cells.instant(name)


def _codes(cells: Cells) -> list[str]:
    return [code for each in cells.items("coupon_lines", count_max=100) if (code := each.text("code"))]


def _line(cells: Cells) -> Line:
    """Read a line: `total` is after discount and before tax, `subtotal` before both."""
    amount = cells.money("total")
    if amount is None:
        raise cells.error("total", "missing")
    before = cells.money("subtotal")
    quantity = cells.quantity("quantity")
    return Line(
        product_id=cells.id("sku", "name"),
        line_id=cells.id("id"),
        amount_minor=amount,
        quantity_minor=QUANTITY_SCALE if quantity is None else quantity,
        discount_minor=None if before is None else max(before - amount, 0),
    )


def _returned(cells: Cells, sold: Sequence[Line], at: datetime) -> list[Line]:
    """Read refunds: everything of an order that is called refunded, else money without goods."""
    cost = max(sum(line.amount_minor for line in sold), 0)
    refunds = cells.items("refunds", count_max=_LINES_MAX)
    paid_back = sum(abs(each.money("total") or 0) for each in refunds)
    if (cells.text("status") or "").lower().removeprefix("wc-") == "refunded" or (cost and paid_back >= cost):
        return [
            line.model_copy(
                update={
                    "line_id": f"return {line.line_id}",
                    "amount_minor": -line.amount_minor,
                    "quantity_minor": -(line.quantity_minor or 0),
                    "discount_minor": None,
                    "returned_at": at,
                }
            )
            for line in sold
        ]
    if not paid_back:
        return []
    return [Line(line_id="return", amount_minor=-paid_back, returned_at=at)]


def _product(cells: Cells) -> Product | None:
    product_id = cells.id("sku", "name")
    if product_id is None:
        return None
    return Product(product_id=product_id, name=cells.text("name"), image_url=cells.inner("image").text("src"))
