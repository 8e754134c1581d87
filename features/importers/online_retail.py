"""UCI Online Retail and Online Retail II: order lines of a gift shop, in the original columns.

Decisions, all counted in the report:
- an invoice `C…` is a cancellation: a return at the time when it happened, under its own number;
- lines without a customer, bad debt (`A…`), stock write-offs (negative, no customer) and tests are left out;
- postage and carriage are left out, for amounts are before shipping; so are fees that no customer pays;
- other codes without a digit (manual entries, discounts, samples) are no products: their money counts, their
  product_id is empty;
- lines at price 0 with a customer are free items and stay.
"""

import polars as pl

from features.drafts import CellReader, Conventions, Draft, companion_rows, draft_lines
from features.importers.tabular import line_money
from features.readers import ROW
from features.report import Report

CURRENCY = "GBP"
SHIPPING_CODES = ("POST", "DOT", "C2", "C3")
FEE_CODES = ("BANK CHARGES", "AMAZONFEE", "CRUK", "B")
_NO_PRODUCT = r"^(?:[^0-9]*|C[23]|ADJUST\d*|TEST\d*)$"
_COLUMNS = {
    "invoiceno": "invoice",
    "invoice": "invoice",
    "stockcode": "code",
    "description": "description",
    "quantity": "quantity",
    "invoicedate": "time",
    "unitprice": "price",
    "price": "price",
    "customerid": "customer",
    "country": "country",
}
_REQUIRED = {
    "invoice": "InvoiceNo",
    "code": "StockCode",
    "quantity": "Quantity",
    "time": "InvoiceDate",
    "price": "UnitPrice",
    "customer": "CustomerID",
}
_DATE_FORMATS = ("%m/%d/%Y %H:%M", "%m/%d/%y %H:%M")


def read(rows: pl.DataFrame, conventions: Conventions, *, report: Report) -> Draft:
    """Read order lines, products and customers' countries; raises `DataError` where columns are missing."""
    source = {_COLUMNS[key]: name for name in rows.columns if (key := _plain(name)) in _COLUMNS}
    for name, shown in _REQUIRED.items():
        if name not in source:
            mend = f"check FORMAT; the file has {', '.join(n for n in rows.columns if n != ROW)}"
            report.error("missing_column", f"column {shown!r} is missing", column=shown, mend=mend)
    report.stop_on_errors()
    cells = CellReader(rows, _with_dates(conventions, rows[source["time"]]), report)
    facts = pl.DataFrame(
        {
            "invoice": cells.ids(source["invoice"]),
            "code": cells.ids(source["code"]),
            "description": cells.texts(source.get("description")).str.strip_chars(),
            "customer_id": cells.ids(source["customer"]).str.strip_suffix(".0"),
            "ordered_at": cells.instants(source["time"], required=True),
            "quantity": cells.quantities(source["quantity"]),
            "price": cells.money(source["price"], required=True),
            "country": cells.texts(source.get("country")),
            "unreadable": cells.reasons,
        }
    ).with_columns(is_product=~pl.col("code").str.contains(_NO_PRODUCT))
    return Draft(
        _lines(facts, cells.row_numbers),
        currencies={CURRENCY: rows.height},
        products=_products(facts),
        customers=_customers(facts),
    )


def _plain(name: str) -> str:
    return name.casefold().replace(" ", "").replace("_", "")


def _with_dates(conventions: Conventions, cells: pl.Series) -> Conventions:
    """Add the month-first format of the set's CSV copies, where dates are written so and no format is set."""
    if (
        conventions.date_formats
        or cells.dtype != pl.String
        or not cells.str.contains(r"^\d{1,2}/\d{1,2}/").any()
    ):
        return conventions
    return Conventions(conventions.time_zone, _DATE_FORMATS, conventions.decimal_mark, conventions.pepper)


def _lines(facts: pl.DataFrame, row_numbers: pl.Series) -> pl.DataFrame:
    columns = facts.select(
        "customer_id",
        pl.col("invoice").alias("order_id"),
        "ordered_at",
        pl.when("is_product").then("code").alias("product_id"),
        pl.col("quantity").alias("quantity_minor"),
        (pl.col("invoice").str.starts_with("C") | (pl.col("quantity") < 0))
        .fill_null(False)
        .alias("is_return"),
        _left_out().alias("left_out"),
    )
    amount = line_money(facts["price"], facts["quantity"])
    return draft_lines(row=row_numbers, amount_minor=amount, **{series.name: series for series in columns})


def _left_out() -> pl.Expr:
    customer, code, invoice = pl.col("customer_id"), pl.col("code").str.to_uppercase(), pl.col("invoice")
    correction = customer.is_null() & (pl.col("quantity") < 0) & ~invoice.str.starts_with("C")
    return (
        pl.when(invoice.str.starts_with("A"))
        .then(pl.lit("bad_debt"))
        .when(correction)
        .then(pl.lit("stock_write_off"))
        .when(customer.is_null())
        .then(pl.lit("missing_customer_id"))
        .when(code.str.contains(r"^TEST\d*$"))
        .then(pl.lit("test_order"))
        .when(code.is_in(SHIPPING_CODES))
        .then(pl.lit("shipping"))
        .when(code.is_in(FEE_CODES))
        .then(pl.lit("fee"))
        .otherwise("unreadable")
    )


def _products(facts: pl.DataFrame) -> pl.DataFrame:
    """Name each product by its most frequent description among sales (ties: the first in the alphabet)."""
    sold = facts.filter(pl.col("is_product") & (pl.col("quantity") > 0) & (pl.col("price") > 0))
    counts = sold.drop_nulls("description").group_by("code", "description").len()
    named = counts.sort("len", "description", descending=[True, False]).unique(
        "code", keep="first", maintain_order=True
    )
    codes = sold.select(pl.col("code").alias("product_id")).unique().drop_nulls()
    names = named.select(pl.col("code").alias("product_id"), pl.col("description").alias("name"))
    return companion_rows(codes.join(names, on="product_id", how="left"), "products")


def _customers(facts: pl.DataFrame) -> pl.DataFrame:
    """Give each customer the country of the newest line."""
    known = facts.drop_nulls(["customer_id", "country"]).sort("ordered_at", "country")
    return companion_rows(known.group_by("customer_id").agg(pl.col("country").last()), "customers")
