"""Runs with hand-made traits, written through the real store."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from serving_runs import meta, stored_row

from serving.databases import open_store
from serving.environment import Environment
from serving.rows import STORED_NAMES
from serving.segments.traits import ATTRIBUTE_NAMES, ATTRIBUTES
from serving.store.records import RunMeta

NUMBERS = [column.name for column in ATTRIBUTES if column.kind in ("integer", "number")]


def publish_customers(
    root: Path,
    customers: Iterable[Mapping[str, Any]],
    *,
    products: Mapping[str, str | None] | None = None,
    documents: Mapping[str, str] | None = None,
    **changes: Any,
) -> RunMeta:
    """Publish a run of customers; what one does not say is null, or as in the complete score.

    `bought` of a customer says how many days ago a product of `products` (its category) was bought.
    """
    known = [{"status": "ok", **customer} for customer in customers]
    sold = {
        product: (number, category) for number, (product, category) in enumerate((products or {}).items(), 1)
    }
    rows = [(row, *(each.get(name) for name in ATTRIBUTE_NAMES)) for row, each in enumerate(known, 1)]
    purchases = [
        (sold[product][0], row, age)
        for row, each in enumerate(known, 1)
        for product, age in each.get("bought", {}).items()
    ]
    with open_store(Environment(var=root)).begin_run() as writer:
        writer.write_scores(stored_row(each["customer_id"]) for each in known)
        writer.write_traits(rows)
        writer.write_sold_products([(number, each, category) for each, (number, category) in sold.items()])
        writer.write_purchases(reversed(purchases))
        writer.write_documents(documents or {})
        return writer.publish(meta(**changes))


def scores_of(**values: Any) -> dict[str, Any]:
    """Return the attributes of a customer, those of a score as in the complete example."""
    complete = dict(zip(STORED_NAMES, stored_row(values["customer_id"]), strict=True))
    return {name: values.get(name, complete.get(name)) for name in ATTRIBUTE_NAMES} | values
