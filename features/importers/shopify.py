"""Shopify's orders export (79 columns): order cells on the first row, one row a line item, grouped by `Name`.

Decisions, all counted in the report:
- the customer is the keyed hash of the e-mail, else of the phone number;
- a line's amount is price × quantity − line discount − its share of the order's discount, so that an order's
  lines add up to `Subtotal`; where prices contain tax, so do amounts;
- without `Lineitem price`, the order's `Subtotal`, else `Total` less `Shipping` and `Taxes`, is spread by
  quantity;
- `Refunded Amount` becomes return lines, dated at the order; voided, expired and cancelled orders are left
  out;
- the product is `Lineitem sku`, else `Lineitem name`.
"""

import polars as pl

from features.drafts import CellReader, Conventions, Draft, draft_lines
from features.identity import people_of
from features.importers.order_rows import (
    ORDER,
    allocated,
    customer_list,
    first_texts,
    one_piece,
    product_list,
    refund_lines,
    require_columns,
    spread_order_cells,
)
from features.importers.tabular import line_money
from features.report import Report

_ORDER_CELLS = (
    "Email",
    "Phone",
    "Billing Phone",
    "Shipping Phone",
    "Financial Status",
    "Accepts Marketing",
    "Currency",
    "Subtotal",
    "Shipping",
    "Taxes",
    "Total",
    "Discount Code",
    "Discount Amount",
    "Created at",
    "Cancelled at",
    "Refunded Amount",
    "Source",
    "Billing Country",
    "Shipping Country",
)
_REQUIRED = (
    ("Name",),
    ("Created at",),
    ("Email", "Phone", "Billing Phone"),
    ("Lineitem price", "Subtotal", "Total"),
)
_NOT_BOUGHT = ("voided", "expired")


def read(rows: pl.DataFrame, conventions: Conventions, *, report: Report) -> Draft:
    """Read order lines, refunds, products and customers; raises `DataError` where columns are missing."""
    require_columns(rows, _REQUIRED, report=report)
    spread = _without_extra_rows(spread_order_cells(rows, order="Name", names=_ORDER_CELLS))
    cells = CellReader(spread, conventions, report)
    phones = first_texts(cells, ("Phone", "Billing Phone", "Shipping Phone"))
    ids, identities = people_of(cells.texts(None), cells.texts("Email"), phones, pepper=conventions.pepper)
    money = _line_amounts(cells)
    status = cells.texts("Financial Status").str.to_lowercase()
    lines = _lines(cells, ids, money=money, status=status)
    returned = refund_lines(lines, _refunds(cells, spread[ORDER], status), report=report)
    return Draft(
        pl.concat([lines, returned]),
        currencies=_currencies(cells),
        products=product_list(
            lines,
            name=cells.texts("Lineitem name"),
            brand=cells.texts("Vendor"),
            list_price_minor=money["price"],
        ),
        customers=customer_list(
            lines,
            country=first_texts(cells, ("Billing Country", "Shipping Country")),
            email_consent=cells.flags("Accepts Marketing"),
        ),
        identities=identities,
    )


def _lines(cells: CellReader, ids: pl.Series, *, money: pl.DataFrame, status: pl.Series) -> pl.DataFrame:
    ordered_at = cells.instants("Created at", required=True)
    left_out = _left_out(status, cells.texts("Cancelled at"))
    return draft_lines(
        row=cells.row_numbers,
        customer_id=ids,
        order_id=cells.rows[ORDER],
        ordered_at=ordered_at,
        product_id=first_texts(cells, ("Lineitem sku", "Lineitem name")),
        amount_minor=money["amount"],
        quantity_minor=money["quantity"],
        discount_minor=money["discount"],
        coupon=cells.texts("Discount Code"),
        channel=cells.texts("Source"),
        is_return=pl.repeat(False, len(ids), eager=True),
        left_out=left_out.zip_with(left_out.is_not_null(), cells.reasons),
    )


def _without_extra_rows(rows: pl.DataFrame) -> pl.DataFrame:
    """Drop rows without a line item (they continue payments or taxes), unless an order has no other row."""
    names = [name for name in ("Lineitem name", "Lineitem price", "Lineitem sku") if name in rows.columns]
    if not names:
        return rows
    is_line = pl.any_horizontal(pl.col(names).is_not_null())
    return rows.filter(is_line | ~is_line.any().over(ORDER))


def _line_amounts(cells: CellReader) -> pl.DataFrame:
    """Return amount, discount, price and quantity of every line, in minor units."""
    quantity = one_piece(cells.quantities("Lineitem quantity"))
    price = cells.money("Lineitem price", required=True)
    facts = pl.DataFrame(
        {
            ORDER: cells.rows[ORDER],
            "quantity": quantity,
            "price": price,
            "gross": line_money(price, quantity),
            "reduced": cells.money("Lineitem discount").fill_null(0),
        }
        | {name: cells.money(name) for name in ("Subtotal", "Shipping", "Taxes", "Total", "Discount Amount")}
    )
    if "Lineitem price" not in cells.rows.columns:
        rest = pl.col("Total") - pl.col("Shipping").fill_null(0) - pl.col("Taxes").fill_null(0)
        total = pl.coalesce("Subtotal", rest)
        return facts.with_columns(
            allocated(total, pl.col("quantity")).alias("amount"), pl.lit(0).alias("discount")
        )
    net = pl.col("gross") - pl.col("reduced")
    listed = pl.col("Discount Amount").fill_null(0) - pl.col("reduced").sum().over(ORDER)
    owed = net.sum().over(ORDER) - pl.col("Subtotal")
    order_discount = pl.coalesce(owed, listed).clip(lower_bound=0)
    return facts.with_columns((net - allocated(order_discount, net)).alias("amount")).with_columns(
        (pl.col("gross") - pl.col("amount")).alias("discount")
    )


def _left_out(status: pl.Series, cancelled_at: pl.Series) -> pl.Series:
    gone = status.is_in(list(_NOT_BOUGHT)).fill_null(False) | cancelled_at.is_not_null()
    return pl.Series([None] * len(status), dtype=pl.String).set(gone, "cancelled_order")


def _refunds(cells: CellReader, orders: pl.Series, status: pl.Series) -> pl.DataFrame:
    """Return each order's refund; one that is called refunded without an amount gave everything back."""
    total = cells.money("Total").fill_null(0)
    refund = cells.money("Refunded Amount")
    refund = refund.zip_with(refund.is_not_null() | (status != "refunded").fill_null(True), total)
    frame = pl.DataFrame({ORDER: orders, "refund_minor": refund.fill_null(0), "total_minor": total})
    return frame.unique(ORDER, keep="first")


def _currencies(cells: CellReader) -> dict[str, int]:
    codes = cells.texts("Currency").str.strip_chars().str.to_uppercase()
    return dict(codes.drop_nulls().value_counts().iter_rows())
