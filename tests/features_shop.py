"""Tiny shops for the feature tests: numbered rows in, a canonical history out."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from features.generation import GenerationWriter
from features.history import MONEY_SCALE, QUANTITY_SCALE, STORED_SCHEMAS, History, bucket_of
from features.snapshot import days_since_epoch

LOADED_AT = datetime(2030, 1, 1, tzinfo=UTC)


def line(customer: str, order: str, at: str, amount: float, **more: Any) -> dict[str, Any]:
    """Lay out one order line; `at` is ISO text in UTC, money and quantity are in major units."""
    instant = datetime.fromisoformat(at).replace(tzinfo=UTC)
    return {
        "customer_id": customer,
        "order_id": order,
        "ordered_at": instant,
        "amount": amount,
        "product_id": more.get("product"),
        "quantity": more.get("quantity", 1),
        "discount": more.get("discount"),
        "coupon": more.get("coupon"),
        "is_return": more.get("is_return", amount < 0),
    }


def event(customer: str, kind: str, at: str, value: float | None = None) -> dict[str, Any]:
    """Lay out one event; `at` is ISO text in UTC."""
    return {
        "value": value,
        "customer_id": customer,
        "event_type": kind,
        "occurred_at": datetime.fromisoformat(at).replace(tzinfo=UTC),
    }


def write_shop(
    folder: Path,
    lines: Sequence[dict[str, Any]],
    *,
    events: Sequence[dict[str, Any]] = (),
    categories: dict[str, str] | None = None,
    costs: dict[str, float] | None = None,
    customers: Sequence[dict[str, Any]] = (),
    bucket_count: int = 2,
) -> History:
    """Write a history of the rows given, in `bucket_count` buckets.

    `costs` are those of one piece; `customers` are stored columns.
    """
    rows, acts = _order_lines(lines), _events(events)
    with GenerationWriter(folder, bucket_count=bucket_count, currency="EUR") as writer:
        for bucket in range(bucket_count):
            writer.write("order_lines", _of_bucket(rows, bucket, bucket_count), bucket=bucket)
            writer.write("events", _of_bucket(acts, bucket, bucket_count), bucket=bucket)
        if categories is not None or costs is not None:
            writer.write("products", _products(categories or {}, costs or {}))
        if customers:
            empty: dict[str, Any] = dict.fromkeys(STORED_SCHEMAS["customers"])
            described = [empty | {"loaded_at": LOADED_AT} | row for row in customers]
            writer.write("customers", pl.DataFrame(described, schema=STORED_SCHEMAS["customers"]))
        return writer.commit()


def _of_bucket(rows: pl.DataFrame, bucket: int, bucket_count: int) -> pl.DataFrame:
    inside = [bucket_of(customer, bucket_count) == bucket for customer in rows["customer_id"]]
    return rows.filter(pl.Series(inside, dtype=pl.Boolean))


def _order_lines(lines: Sequence[dict[str, Any]]) -> pl.DataFrame:
    rows = [
        {
            **{name: row[name] for name in ("customer_id", "order_id", "ordered_at", "product_id", "coupon")},
            "line_id": f"{number:03d}",
            "ordered_days": days_since_epoch(row["ordered_at"]),
            "amount_minor": round(row["amount"] * MONEY_SCALE),
            "quantity_minor": None if row["quantity"] is None else round(row["quantity"] * QUANTITY_SCALE),
            "discount_minor": None if row["discount"] is None else round(row["discount"] * MONEY_SCALE),
            "is_return": row["is_return"],
            "channel": None,
            "loaded_at": LOADED_AT,
        }
        for number, row in enumerate(lines)
    ]
    return pl.DataFrame(rows, schema=STORED_SCHEMAS["order_lines"])


def _events(events: Sequence[dict[str, Any]]) -> pl.DataFrame:
    rows = [
        row
        | {
            "occurred_days": days_since_epoch(row["occurred_at"]),
            "product_id": None,
            "campaign_id": None,
            "loaded_at": LOADED_AT,
        }
        for row in events
    ]
    return pl.DataFrame(rows, schema=STORED_SCHEMAS["events"])


def _products(categories: dict[str, str], costs: dict[str, float]) -> pl.DataFrame:
    empty: dict[str, Any] = dict.fromkeys(STORED_SCHEMAS["products"])
    rows = [
        empty
        | {
            "product_id": product,
            "category": categories.get(product),
            "unit_cost_minor": round(costs[product] * MONEY_SCALE) if product in costs else None,
            "loaded_at": LOADED_AT,
        }
        for product in sorted({*categories, *costs})
    ]
    return pl.DataFrame(rows, schema=STORED_SCHEMAS["products"])
