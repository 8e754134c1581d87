"""Messages that were received, as a draft: from here on they go the way of every file.

A word about an order that nobody knows (a refund that came before its order) waits; it is returned by key.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from features.drafts import DRAFT_SCHEMA, Draft, companion_rows
from features.history import History
from features.instants import INSTANT, days_of
from features.messages import Event, Line, Order, OrderWord, Product
from features.readers import ROW
from features.settled_orders import REFUND_LINE, latest_version, settle_order

_CANCELLED = "cancelled_order"


@dataclass(frozen=True, slots=True)
class Received:
    """A draft of what messages say, and the keys of orders about which too little is known yet."""

    draft: Draft
    unknown_orders: frozenset[str]


def read_received(
    words: Mapping[str, Sequence[OrderWord]], events: Iterable[Event], *, history: History | None
) -> Received:
    """Settle orders, by the key that groups the words about one, and gather events.

    `history` knows when an order was made, and its lines where only a refund was heard.
    """
    stored = _stored_orders(words, history)
    orders: list[Order] = []
    rows: list[dict[str, Any]] = []
    unknown = set()
    for key, said in words.items():
        known = stored.get((said[-1].customer_id, said[-1].order_id))
        order = settle_order(said, known)
        if order is None and latest_version(said) is None:
            unknown.add(key)
            continue
        gone = {word.customer_id for word in said} - ({order.customer_id} if order else set())
        rows += [_cancelled_row(customer, said[-1].order_id) for customer in sorted(gone)]
        if order is not None:
            orders.append(order)
            rows += _order_rows(order)
    lines = pl.DataFrame(rows, schema=DRAFT_SCHEMA | {ROW: pl.Int64}).with_row_index("number", offset=1)
    # Of an order that was cancelled later, too: what it says of goods and people stays true.
    told = [word for said in words.values() for word in said if isinstance(word, Order)]
    draft = Draft(
        lines.with_columns(pl.col("number").cast(pl.Int64).alias(ROW)).drop("number"),
        currencies=_currencies(orders),
        products=_products(told),
        customers=_customers(told),
        events=_events(events),
    )
    return Received(draft, frozenset(unknown))


def _stored_orders(
    words: Mapping[str, Sequence[OrderWord]], history: History | None
) -> dict[tuple[str, str], Order]:
    """Read the orders of which words tell as the history has them, by customer and order id."""
    sought = [said[-1] for said in words.values()]
    if history is None or not sought:
        return {}
    ids = pl.LazyFrame(
        {"customer_id": [w.customer_id for w in sought], "order_id": [w.order_id for w in sought]}
    )
    lines = (
        pl.scan_parquet(history.paths("order_lines"), glob=False)
        .join(ids, on=["customer_id", "order_id"], how="semi")
        .filter(~pl.col("line_id").str.starts_with(REFUND_LINE))
        .sort("line_id")
        .collect()
    )
    groups = lines.group_by("customer_id", "order_id", maintain_order=True)
    return {(str(key[0]), str(key[1])): _stored_order(rows) for key, rows in groups}


def _stored_order(lines: pl.DataFrame) -> Order:
    rows = lines.to_dicts()
    first = min(rows, key=lambda row: (row["is_return"], row["ordered_at"]))
    return Order(
        customer_id=first["customer_id"],
        order_id=first["order_id"],
        said_at=first["ordered_at"],
        ordered_at=first["ordered_at"],
        coupon=first["coupon"],
        channel=first["channel"],
        lines=tuple(
            Line(
                **{name: row[name] for name in ("product_id", "line_id", "amount_minor", "quantity_minor")},
                discount_minor=row["discount_minor"],
                returned_at=row["ordered_at"] if row["is_return"] else None,
            )
            for row in rows
        ),
    )


def _order_rows(order: Order) -> list[dict[str, Any]]:
    of_order = {
        "customer_id": order.customer_id,
        "order_id": order.order_id,
        "coupon": order.coupon,
        "channel": order.channel,
    }
    return [
        of_order
        | line.model_dump(exclude={"returned_at"})
        | {"ordered_at": line.returned_at or order.ordered_at, "is_return": bool(line.returned_at) or None}
        for line in order.lines
    ]


def _cancelled_row(customer_id: str, order_id: str) -> dict[str, Any]:
    """Return a line that is none: it takes the order from where it was."""
    return {"customer_id": customer_id, "order_id": order_id, "left_out": _CANCELLED}


def _currencies(orders: Iterable[Order]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for order in orders:
        if order.currency is not None:
            counts[order.currency] = counts.get(order.currency, 0) + len(order.lines)
    return counts


def _products(orders: Iterable[Order]) -> pl.DataFrame:
    """Return one row a product, from the latest word that tells each cell."""
    told = sorted(
        ((order.said_at, product) for order in orders for product in order.products),
        key=lambda pair: (pair[0], pair[1].model_dump_json()),
    )
    rows = [product.model_dump() for _, product in told]
    schema = dict.fromkeys(Product.model_fields, pl.String) | {"list_price_minor": pl.Int64}
    return companion_rows(_latest_cells(rows, "product_id", schema), "products")


def _customers(orders: Iterable[Order]) -> pl.DataFrame:
    schema = {"customer_id": pl.String, "country": pl.String, "email_consent": pl.Boolean}
    told = sorted(orders, key=lambda order: (order.said_at, order.model_dump_json()))
    rows = [order.model_dump(include=set(schema)) for order in told]
    known = _latest_cells(rows, "customer_id", schema).filter(
        ~pl.all_horizontal(pl.exclude("customer_id").is_null())
    )
    return companion_rows(known, "customers")


def _latest_cells(rows: Sequence[Mapping[str, Any]], key: str, schema: Mapping[str, Any]) -> pl.DataFrame:
    cells = [pl.col(name).drop_nulls().last() for name in schema if name != key]
    return pl.DataFrame(rows, schema=dict(schema)).group_by(key, maintain_order=True).agg(cells)


def _events(events: Iterable[Event]) -> pl.DataFrame:
    names = ["customer_id", "event_type", "product_id", "campaign_id"]
    schema: dict[str, Any] = dict.fromkeys(names, pl.String) | {"occurred_at": INSTANT, "value": pl.Float64}
    rows = pl.DataFrame([event.model_dump(exclude={"kind"}) for event in events], schema=schema)
    days = days_of(pl.col("occurred_at"))
    return companion_rows(rows.with_columns(days.alias("occurred_days")), "events")
