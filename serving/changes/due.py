"""What falls due to whom, of lists as they are made: the nearest day for audiences, the items for events."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

import polars as pl

from serving.changes.lifecycle import DueItem

_SCHEMA = {"customer_id": pl.String, "product_id": pl.String, "bought_on": pl.Date, "due_on": pl.Date}


def due_table(items: Mapping[str, Iterable[DueItem]]) -> pl.DataFrame:
    """Return what is due by customer as rows: `customer_id` and the fields of an item, in their order."""
    rows = [(customer_id, *item) for customer_id, found in items.items() for item in found]
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")


def due_of(table: pl.DataFrame) -> dict[str, Sequence[DueItem]]:
    """Return by customer what `due_table` made rows of."""
    found: dict[str, list[DueItem]] = {}
    if table.height:
        rows: Iterable[tuple[str, str, date, date]] = table.select(list(_SCHEMA)).iter_rows()
        for customer_id, *item in rows:
            found.setdefault(customer_id, []).append(DueItem(*item))  # type: ignore[arg-type]
    return dict(found)
