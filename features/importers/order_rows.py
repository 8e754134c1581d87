"""What shop systems' exports share: one row per line, and the order's own cells on its first row only."""

from collections.abc import Sequence

import polars as pl

from features.drafts import DRAFT_SCHEMA, CellReader, companion_rows
from features.history import QUANTITY_SCALE
from features.readers import ROW
from features.report import Report

ORDER = "order_id"


def require_columns(rows: pl.DataFrame, choices: Sequence[Sequence[str]], *, report: Report) -> None:
    """Raise `DataError` naming every group of columns of which the file has none."""
    source = [name for name in rows.columns if name != ROW]
    for names in choices:
        if not set(names) & set(source):
            shown = ", ".join(map(repr, source[:12])) + (", …" if len(source) > 12 else "")
            words = " or ".join(map(repr, names))
            mend = f"check FORMAT; the file has {shown}"
            report.error("missing_column", f"column {words} is missing", column=names[0], mend=mend)
    report.stop_on_errors()


def spread_order_cells(rows: pl.DataFrame, *, order: str, names: Sequence[str]) -> pl.DataFrame:
    """Copy an order's own cells (the first that is not empty) to all rows of the order.

    Rows without an order number are orders of their own; absent columns become empty ones.
    """
    absent = [pl.lit(None, pl.String).alias(name) for name in names if name not in rows.columns]
    keyed = rows.with_columns(*absent, pl.coalesce(order, pl.format("row {}", ROW)).alias(ORDER))
    firsts = keyed.group_by(ORDER).agg([pl.col(name).drop_nulls().first() for name in names])
    return keyed.drop(names).join(firsts, on=ORDER, how="left", maintain_order="left")


def first_texts(cells: CellReader, names: Sequence[str]) -> pl.Series:
    """Return the first of several columns that is filled, row by row."""
    found = cells.texts(None)
    for name in names:
        found = found.zip_with(found.is_not_null(), cells.texts(name))
    return found


def allocated(total: pl.Expr, weight: pl.Expr) -> pl.Expr:
    """Spread an order's total over its lines in proportion to weights; the shares add up to it exactly.

    Lines of an order without any weight share alike. `total` is equal on all rows of an order, in minor
    units.
    """
    usable = weight.clip(lower_bound=0).fill_null(0)
    even = pl.when(usable.sum().over(ORDER) > 0).then(usable).otherwise(1).cast(pl.Float64)
    until, whole = even.cum_sum().over(ORDER), even.sum().over(ORDER)
    upper = (total * (until / whole)).round(0).cast(pl.Int64)
    return upper - upper.shift(1).over(ORDER).fill_null(0)


def refund_lines(lines: pl.DataFrame, refunds: pl.DataFrame, *, report: Report) -> pl.DataFrame:
    """Return draft lines of money given back: `refunds` has order_id, refund_minor, total_minor.

    A refund of all that an order's lines cost takes every line back; a smaller one is a single line without a
    product. What exceeds the lines (postage, tax) is not theirs and is cut off; a refund above the order's
    total is a warning. Exports carry no date of a refund: it is dated at its order.
    """
    bought = lines.filter(pl.col("left_out").is_null())
    costs = bought.group_by(ORDER).agg(pl.col("amount_minor").sum().alias("cost"))
    due = refunds.filter(pl.col("refund_minor") > 0).join(costs, on=ORDER)
    if due.is_empty():
        return lines.clear()
    count = due.height
    report.advise(
        "refund_dates",
        f"{count:,} refunds carry no date of their own; they are dated at their order",
        count=count,
    )
    over = due.filter(pl.col("refund_minor") > pl.max_horizontal("total_minor", "cost")).height
    if over:
        message = f"{over:,} refunds are larger than their order; they are cut to what its lines cost"
        report.warn("refund_over_order", message, count=over, mend="check the refunds of these orders")
    full = due.filter(pl.col("refund_minor") >= pl.col("cost")).select(ORDER)
    whole = bought.join(full, on=ORDER, how="semi").with_columns(
        -pl.col("amount_minor"), -pl.col("quantity_minor"), pl.lit(None, pl.Int64).alias("discount_minor")
    )
    firsts = bought.unique(ORDER, keep="first", maintain_order=True)
    part = firsts.join(due.join(full, on=ORDER, how="anti"), on=ORDER, how="inner").with_columns(
        -pl.col("refund_minor").alias("amount_minor"),
        *[
            pl.lit(None, DRAFT_SCHEMA[name]).alias(name)
            for name in ("product_id", "quantity_minor", "discount_minor")
        ],
    )
    both = pl.concat([whole, part.select(whole.columns)])
    return both.with_columns(pl.lit(True).alias("is_return"), pl.lit(None, pl.String).alias("line_id"))


def product_list(lines: pl.DataFrame, **columns: pl.Series) -> pl.DataFrame:
    """Return one row per product of draft lines, from the newest line's cells."""
    known = lines.select("product_id", "ordered_at").with_columns(**columns).drop_nulls("product_id")
    newest = (
        known.sort("ordered_at", *columns, nulls_last=False)
        .group_by("product_id")
        .agg([pl.col(name).drop_nulls().last() for name in columns])
    )
    return companion_rows(newest, "products")


def customer_list(lines: pl.DataFrame, **columns: pl.Series) -> pl.DataFrame:
    """Return one row per customer of draft lines, from the newest order's cells."""
    known = lines.select("customer_id", "ordered_at").with_columns(**columns).drop_nulls("customer_id")
    newest = (
        known.sort("ordered_at", *columns, nulls_last=False)
        .group_by("customer_id")
        .agg([pl.col(name).drop_nulls().last() for name in columns])
    )
    return companion_rows(newest, "customers")


def one_piece(quantity: pl.Series) -> pl.Series:
    """Return quantities with one piece where none is given."""
    return quantity.fill_null(QUANTITY_SCALE)
