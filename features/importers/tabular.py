"""Tables with canonical columns, or with others and a mapping: csv, parquet, xlsx."""

from collections.abc import Callable

import polars as pl

from features.drafts import CellReader, Conventions, Draft, companion_rows, draft_lines
from features.history import QUANTITY_SCALE
from features.identity import people_of
from features.instants import days_of
from features.mapping import Mapping, resolve_columns
from features.parsing import currencies_of
from features.readers import ROW
from features.report import Report
from features.tables import ORDER_LINES, Column, Kind, Table

NATIVE_SIGNS = {
    "shopify": {"Name", "Created at", "Lineitem name"},
    "woocommerce": {"order_number", "order_date", "item_total"},
    "online-retail": {"StockCode", "InvoiceDate"},
}
"""What a file of a known tool has among its columns, by the format that reads it."""


def read_order_lines(
    rows: pl.DataFrame, mapping: Mapping, conventions: Conventions, *, report: Report
) -> Draft:
    """Read order lines; raises `DataError` where required columns are missing or unreadable."""
    source = [name for name in rows.columns if name != ROW]
    taken = resolve_columns(source, mapping, table=ORDER_LINES, report=report)
    _require(taken, source, report)
    report.stop_on_errors()
    cells = CellReader(rows, conventions, report)
    ids, identities = people_of(
        cells.ids(taken.get("customer_id")),
        cells.texts(taken.get("email")),
        cells.texts(taken.get("phone")),
        pepper=conventions.pepper,
    )
    lines = _lines(cells, ids, mapping, taken=taken)
    return Draft(
        lines,
        is_date_only=cells.is_date_only,
        has_order_ids="order_id" in taken,
        currencies=_currencies(cells, mapping, taken),
        identities=identities,
    )


def _lines(cells: CellReader, ids: pl.Series, mapping: Mapping, *, taken: dict[str, str]) -> pl.DataFrame:
    quantity = cells.quantities(taken.get("quantity"))
    amount = _amounts(cells, taken, quantity)
    ordered_at = cells.instants(taken["ordered_at"], required=True)
    return draft_lines(
        row=cells.row_numbers,
        customer_id=ids,
        order_id=cells.ids(taken.get("order_id")),
        line_id=cells.ids(taken.get("line_id")),
        ordered_at=ordered_at,
        product_id=cells.ids(taken.get("product_id")),
        amount_minor=amount,
        quantity_minor=quantity,
        discount_minor=cells.money(taken.get("discount")),
        coupon=cells.texts(taken.get("coupon")),
        channel=cells.texts(taken.get("channel")),
        is_return=_returns(cells, mapping, taken, amount=amount, quantity=quantity),
        left_out=cells.reasons,
    )


def read_companion(
    rows: pl.DataFrame, table: Table, conventions: Conventions, *, report: Report
) -> pl.DataFrame:
    """Read a products, customers or events table in canonical columns: its stored schema without `loaded_at`.

    Rows without a value in a required column are left out and counted as findings.
    """
    source = [name for name in rows.columns if name != ROW]
    taken = resolve_columns(source, Mapping(), table=table, report=report)
    for name in table.required_names:
        if name not in taken:
            mend = f"the file has {', '.join(source)}"
            report.error(
                "missing_column", f"column {name!r} is missing", table=table.name, column=name, mend=mend
            )
    report.stop_on_errors()
    cells = CellReader(rows, conventions, report, table=table.name)
    read = pl.DataFrame({c.stored_name: _read_column(cells, c, taken.get(c.name)) for c in table.columns})
    if "customer_id" in table.column_names:
        ids, _ = people_of(
            read["customer_id"], cells.texts(None), cells.texts(None), pepper=conventions.pepper
        )
        read = read.with_columns(ids.alias("customer_id"))
    return _complete(read, table, report)


def _complete(read: pl.DataFrame, table: Table, report: Report) -> pl.DataFrame:
    if table.name == "events":
        read = read.with_columns(days_of(pl.col("occurred_at")).alias("occurred_days"))
    whole = read.drop_nulls(list(table.required_names))
    lost = read.height - whole.height
    if lost:
        names = ", ".join(table.required_names)
        report.warn(
            "incomplete_rows",
            f"{lost:,} rows lack one of {names} and are left out",
            table=table.name,
            count=lost,
        )
    return companion_rows(whole, table.name)


def _read_column(cells: CellReader, column: Column, name: str | None) -> pl.Series:
    readers: dict[Kind, Callable[[str | None], pl.Series]] = {
        "id": cells.ids,
        "text": cells.texts,
        "instant": cells.instants,
        "date": cells.dates,
        "money": cells.money,
        "quantity": cells.quantities,
        "number": cells.numbers,
        "flag": cells.flags,
    }
    return readers[column.kind](name)


def _require(taken: dict[str, str], source: list[str], report: Report) -> None:
    missing = []
    if not taken.keys() & {"customer_id", "email", "phone"}:
        missing.append(("customer_id", "customer_id (or email or phone)"))
    if "ordered_at" not in taken:
        missing.append(("ordered_at", "ordered_at"))
    if "amount" not in taken and not {"unit_price", "quantity"} <= taken.keys():
        missing.append(("amount", "amount (or unit_price and quantity)"))
    looks = [name for name, signs in NATIVE_SIGNS.items() if signs <= set(source)]
    shown = ", ".join(map(repr, source[:20])) + (", …" if len(source) > 20 else "")
    mend = f"map it in a mapping file; the file has {shown}"
    if looks:
        mend = f"this looks like FORMAT={looks[0]}"
    for name, words in missing:
        report.error("missing_column", f"column {words} is missing", column=name, mend=mend)


def _amounts(cells: CellReader, taken: dict[str, str], quantity: pl.Series) -> pl.Series:
    if "amount" in taken:
        return cells.money(taken["amount"], required=True)
    return line_money(cells.money(taken["unit_price"], required=True), quantity)


def line_money(price: pl.Series, quantity: pl.Series) -> pl.Series:
    """Return price × quantity in minor units, halves away from zero; far too large products stay large.

    >>> line_money(pl.Series([15000]), pl.Series([2500])).to_list()
    [37500]
    """
    rough = price.cast(pl.Float64) * quantity.cast(pl.Float64) / QUANTITY_SCALE
    product = price * quantity
    exact = product.sign() * ((product.abs() + QUANTITY_SCALE // 2) // QUANTITY_SCALE)
    return exact.zip_with(rough.abs() < 9e14, rough.clip(-9e18, 9e18).cast(pl.Int64))


def _returns(
    cells: CellReader, mapping: Mapping, taken: dict[str, str], *, amount: pl.Series, quantity: pl.Series
) -> pl.Series:
    """Say which lines were given back; null leaves it to the default rule (negative amount or quantity)."""
    rule = mapping.returns
    if rule.rule == "column" and rule.column:
        return cells.texts(rule.column).str.strip_chars().is_in(list(rule.values)).fill_null(False)
    if rule.rule == "negative_quantity":
        return (quantity < 0).fill_null(False)
    if rule.rule == "negative_amount":
        return (amount < 0).fill_null(False)
    return cells.flags(taken.get("is_return"))


def _currencies(cells: CellReader, mapping: Mapping, taken: dict[str, str]) -> dict[str, int]:
    """Count the currencies that a source names: in a column, else beside its amounts, else in the mapping."""
    if "currency" in taken:
        codes = cells.texts(taken["currency"]).str.strip_chars().str.to_uppercase()
    else:
        codes = currencies_of(cells.cells(taken.get("amount", taken.get("unit_price"))))
    counts = dict(codes.drop_nulls().value_counts().iter_rows())
    if mapping.currency:
        counts.setdefault(mapping.currency, 0)
    return counts
