"""A hand-made shop for recommender tests: orders as short tuples, written as a real history."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl

from features.generation import GenerationWriter
from features.history import BUCKETED_TABLES, MONEY_SCALE, QUANTITY_SCALE, STORED_SCHEMAS, History, bucket_of
from features.settings import RecommenderSettings, Settings
from features.snapshot import Snapshot, days_since_epoch

BUCKET_COUNT = 3
DAY_ZERO = date(2026, 1, 1)
LOADED_AT = datetime(2026, 1, 1, tzinfo=UTC)

# customer, product (None: no product), day after DAY_ZERO, quantity, amount; a negative amount is a return
Line = tuple[str, str | None, float, float, float]
# product, category, subcategory, further attributes
Product = tuple[str, str | None, str | None] | tuple[str, str | None, str | None, dict[str, object]]


def day(number: float) -> Snapshot:
    """Return the snapshot of a day after DAY_ZERO."""
    return Snapshot(DAY_ZERO + timedelta(days=int(number)))


def settings(**recommender: float) -> Settings:
    """Return settings that differ from the defaults in the recommender."""
    return Settings(recommender=RecommenderSettings.model_validate(recommender))


def write_shop(folder: Path, lines: Sequence[Line], products: Sequence[Product] = ()) -> History:
    """Write a history; a customer's lines of one instant are one order."""
    table = order_lines(lines)
    with GenerationWriter(folder, bucket_count=BUCKET_COUNT, currency="EUR") as writer:
        buckets = [bucket_of(customer, BUCKET_COUNT) for customer in table["customer_id"]]
        for bucket in range(BUCKET_COUNT):
            chosen = table.filter(pl.Series([found == bucket for found in buckets], dtype=pl.Boolean))
            writer.write(BUCKETED_TABLES[0], chosen, bucket=bucket)
        writer.write("products", product_table(products))
        return writer.commit()


def order_lines(lines: Sequence[Line]) -> pl.DataFrame:
    """Return stored order lines."""
    rows = [_stored(number, line) for number, line in enumerate(lines)]
    return pl.DataFrame(rows, schema=STORED_SCHEMAS["order_lines"])


def product_table(products: Sequence[Product]) -> pl.DataFrame:
    """Return stored products."""
    empty = dict.fromkeys(STORED_SCHEMAS["products"])
    rows = [
        empty
        | {"product_id": found[0], "category": found[1], "subcategory": found[2], "loaded_at": LOADED_AT}
        | (found[3] if len(found) == 4 else {})
        for found in products
    ]
    return pl.DataFrame(rows, schema=STORED_SCHEMAS["products"])


def _stored(number: int, line: Line) -> dict[str, object]:
    customer, product, days, quantity, amount = line
    instant = datetime(DAY_ZERO.year, DAY_ZERO.month, DAY_ZERO.day, tzinfo=UTC) + timedelta(days=days)
    return dict.fromkeys(STORED_SCHEMAS["order_lines"]) | {
        "customer_id": customer,
        "order_id": f"{customer}@{days}",
        "line_id": str(number),
        "ordered_at": instant,
        "ordered_days": days_since_epoch(instant),
        "product_id": product,
        "amount_minor": round(amount * MONEY_SCALE),
        "quantity_minor": round(quantity * QUANTITY_SCALE),
        "is_return": amount < 0,
        "loaded_at": LOADED_AT,
    }
