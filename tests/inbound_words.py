"""Messages for the tests, as their senders write them: a track call, orders of Shopify and WooCommerce."""

import base64
import hashlib
import hmac
import json
from typing import Any

EMAIL = "canary.person@example.com"
PHONE = "+442000555123"
NAME = "Canary Persephone"


def track(event: str = "Order Completed", **changes: Any) -> dict[str, Any]:
    """Return a track call of c1's order A-1; `properties=` replaces the order."""
    call = {
        "type": "track",
        "messageId": "m1",
        "userId": "c1",
        "event": event,
        "timestamp": "2026-06-30T10:00:00Z",
        "properties": {
            "order_id": "A-1",
            "currency": "EUR",
            "products": [{"product_id": "p00", "price": 10, "quantity": 2, "name": "Pen"}],
        },
    }
    return call | changes


def shopify_order(**changes: Any) -> dict[str, Any]:
    """Return an order as `orders/create` sends it: two pens and an ink, 3.00 off the order, 5.00 postage."""
    address = {"first_name": NAME, "phone": PHONE, "country_code": "DE", "address1": "1 Canary Row"}
    order = {
        "id": 450789469,
        "name": "#1",
        "email": EMAIL,
        "created_at": "2026-01-05T10:00:00+09:00",
        "updated_at": "2026-01-05T10:00:05+09:00",
        "cancelled_at": None,
        "financial_status": "paid",
        "currency": "EUR",
        "subtotal_price": "27.00",
        "total_price": "32.00",
        "total_discounts": "3.00",
        "buyer_accepts_marketing": True,
        "source_name": "web",
        "discount_codes": [{"code": "WELCOME", "amount": "3.00", "type": "fixed_amount"}],
        "billing_address": address,
        "customer": {"id": 1, "email": EMAIL, "first_name": NAME},
        "line_items": [
            {
                "id": 11,
                "sku": "P1",
                "name": "Pen",
                "vendor": "Maker",
                "price": "10.00",
                "quantity": 2,
                "discount_allocations": [{"amount": "2.00"}],
            },
            {
                "id": 12,
                "sku": "",
                "name": "Ink",
                "vendor": "Other",
                "price": "10.00",
                "quantity": 1,
                "discount_allocations": [{"amount": "1.00"}],
            },
        ],
        "refunds": [],
    }
    return order | changes


def woocommerce_order(**changes: Any) -> dict[str, Any]:
    """Return an order as `order.created` sends it: two pens for 18.00 instead of 20.00."""
    order = {
        "id": 727,
        "number": "727",
        "status": "processing",
        "currency": "EUR",
        "date_created": "2026-01-05T10:00:00",
        "date_created_gmt": "2026-01-05T01:00:00",
        "date_modified_gmt": "2026-01-05T01:00:09",
        "total": "23.00",
        "billing": {"first_name": NAME, "email": EMAIL, "phone": PHONE, "country": "DE"},
        "coupon_lines": [{"code": "welcome"}],
        "line_items": [
            {
                "id": 315,
                "name": "Pen",
                "sku": "P1",
                "quantity": 2,
                "subtotal": "20.00",
                "total": "18.00",
                "image": {"src": "https://shop.example/pen.jpg"},
            }
        ],
        "refunds": [],
    }
    return order | changes


def raw(body: Any) -> bytes:
    """Return a body's bytes."""
    return json.dumps(body).encode()


def signature(body: bytes, secret: str) -> str:
    """Sign a body as Shopify and WooCommerce do."""
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()
