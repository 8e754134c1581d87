"""WooCommerce order exports (38 columns): order totals on the first row, grouped by `order_number`.

Decisions, all counted in the report:
- the customer is the keyed hash of the e-mail, else of the phone number;
- orders completed, processing or on hold count; refunded ones count and are given back at the same time, for
  the export has no date of a refund; cancelled, failed, pending, draft and trashed ones are left out;
- `item_total` is the line after discount and before tax; times carry no offset and belong to the time zone
  set;
- the product is `sku`, else `product_name`.
"""

import polars as pl

from features.drafts import CellReader, Conventions, Draft, draft_lines
from features.identity import people_of
from features.importers.order_rows import (
    ORDER,
    customer_list,
    first_texts,
    one_piece,
    product_list,
    refund_lines,
    require_columns,
    spread_order_cells,
)
from features.report import Report

_ORDER_CELLS = (
    "order_date",
    "status",
    "order_currency",
    "order_total",
    "refund_total",
    "coupon_codes",
    "customer_email",
    "billing_email",
    "billing_phone",
    "billing_country",
    "shipping_country",
)
_REQUIRED = (
    ("order_number",),
    ("order_date",),
    ("status",),
    ("item_total",),
    ("customer_email", "billing_email", "billing_phone"),
)
_NOT_BOUGHT = (
    "cancelled",
    "canceled",
    "failed",
    "pending",
    "pending payment",
    "trash",
    "draft",
    "checkout-draft",
)
_BOUGHT = ("completed", "processing", "on-hold", "on hold", "refunded", "partially-refunded")


def read(rows: pl.DataFrame, conventions: Conventions, *, report: Report) -> Draft:
    """Read order lines, refunds, products and customers; raises `DataError` where columns are missing."""
    require_columns(rows, _REQUIRED, report=report)
    spread = spread_order_cells(rows, order="order_number", names=_ORDER_CELLS)
    cells = CellReader(spread, conventions, report)
    emails = first_texts(cells, ("customer_email", "billing_email"))
    ids, identities = people_of(
        cells.texts(None), emails, cells.texts("billing_phone"), pepper=conventions.pepper
    )
    status = cells.texts("status").str.to_lowercase().str.strip_prefix("wc-")
    _note_unknown(status, report)
    gone = pl.Series([None] * len(status), dtype=pl.String).set(
        status.is_in(list(_NOT_BOUGHT)).fill_null(False), "cancelled_order"
    )
    lines = draft_lines(
        row=cells.row_numbers,
        customer_id=ids,
        order_id=spread[ORDER],
        ordered_at=cells.instants("order_date", required=True),
        product_id=first_texts(cells, ("sku", "product_name")),
        amount_minor=cells.money("item_total", required=True),
        quantity_minor=one_piece(cells.quantities("quantity")),
        coupon=cells.texts("coupon_codes"),
        is_return=pl.repeat(False, spread.height, eager=True),
        left_out=gone.zip_with(gone.is_not_null(), cells.reasons),
    )
    returned = refund_lines(lines, _refunds(cells, lines, status), report=report)
    return Draft(
        pl.concat([lines, returned]),
        currencies=_currencies(cells),
        products=product_list(lines, name=cells.texts("product_name")),
        customers=customer_list(lines, country=first_texts(cells, ("billing_country", "shipping_country"))),
        identities=identities,
    )


def _note_unknown(status: pl.Series, report: Report) -> None:
    unknown = status.drop_nulls().filter(~status.drop_nulls().is_in([*_BOUGHT, *_NOT_BOUGHT])).unique().sort()
    if len(unknown):
        message = f"orders of unknown status ({', '.join(unknown.head(10))}) count as bought"
        report.warn("unknown_status", message, column="status", count=len(unknown))


def _refunds(cells: CellReader, lines: pl.DataFrame, status: pl.Series) -> pl.DataFrame:
    """Return each order's refund: the amount exported, or everything where the order is called refunded."""
    cost = lines.select(pl.col("amount_minor").sum().over(ORDER)).to_series()
    total = cells.money("order_total")
    total = total.zip_with(total.is_not_null(), cost)
    refund = cells.money("refund_total").abs().fill_null(0)
    refund = refund.zip_with((status != "refunded").fill_null(True), total)
    frame = pl.DataFrame({ORDER: lines[ORDER], "refund_minor": refund, "total_minor": total})
    return frame.unique(ORDER, keep="first")


def _currencies(cells: CellReader) -> dict[str, int]:
    codes = cells.texts("order_currency").str.strip_chars().str.to_uppercase()
    return dict(codes.drop_nulls().value_counts().iter_rows())
