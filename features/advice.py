"""What accepted lines are good for: advice on what is missing, and warnings about what looks odd."""

from collections.abc import Sequence

import polars as pl

from features.drafts import Draft
from features.holes import find_holes
from features.report import Report

_ABSENT = {
    "product_id": ("no recommendations, breadth or product features can be made", "add a product_id column"),
    "quantity": ("quantities count as unknown", "add a quantity column"),
    "discount": ("discount features cannot be made", "add a discount column"),
}
_ORDER = ["customer_id", "order_id"]
_HOLES_SHOWN = 3


def note_advice(
    lines: pl.DataFrame, drafts: Sequence[Draft], *, is_whole_history: bool, report: Report
) -> None:
    """Add advice and warnings about accepted lines (stored schema) to a report.

    What only a whole history tells (how often people buy) is left out where the lines are added to one.
    """
    _note_absent(lines, report)
    if not all(draft.has_order_ids for draft in drafts):
        what = (
            "one customer's lines of one day"
            if all(d.is_date_only for d in drafts)
            else "one customer's lines at one instant"
        )
        report.advise("no_order_id", f"there is no order_id: {what} count as one order", column="order_id")
    _note_people(lines, is_whole_history=is_whole_history, report=report)
    _note_holes(lines, report)
    _note_duplicates(lines, report)
    _note_refunds(lines, report)
    if report.free_items.line_count:
        count = report.free_items.line_count
        report.advise(
            "free_items",
            f"{count:,} lines cost nothing; they are kept as free items",
            column="amount",
            count=count,
        )


def _note_absent(lines: pl.DataFrame, report: Report) -> None:
    bought = lines.filter(~pl.col("is_return"))
    # Returns often lack what purchases have; where there is nothing else, they tell what the file has.
    bought = lines if bought.is_empty() else bought
    for name, (consequence, mend) in _ABSENT.items():
        column = name if name in lines.columns else f"{name}_minor"
        count = bought[column].null_count()
        if count == bought.height:
            report.advise(
                "absent_column", f"no line has {name}: {consequence}", column=name, count=count, mend=mend
            )
        elif name == "product_id" and count:
            share = 100 * count / bought.height
            message = f"{share:.2g} % of lines lack product_id: recommendations limited"
            report.advise("missing_product_id", message, column=name, count=count)


def _note_holes(lines: pl.DataFrame, report: Report) -> None:
    """Warn of stretches without any order that chance does not explain: missing data would pass for churn."""
    sold = lines.filter(~pl.col("is_return"))["ordered_days"].to_numpy()
    holes = find_holes(sold)
    for hole in holes[:_HOLES_SHOWN]:
        first, last = hole.dates
        report.warn(
            "no_orders_for_long",
            f"no order between {first} and {last} ({hole.day_count:.0f} days); usually "
            f"{hole.usual_days:.2g} days lie between orders: silence there looks like churn",
            column="ordered_at",
            count=len(holes),
            mend="if orders are missing, load them; if the shop was closed, read churn around it with care",
        )


def _note_people(lines: pl.DataFrame, *, is_whole_history: bool, report: Report) -> None:
    orders = lines.filter(~pl.col("is_return")).select(_ORDER).unique()
    if is_whole_history:
        _note_repeats(orders, report)
    shared = orders.height - orders["order_id"].n_unique()
    if shared:
        message = f"{shared:,} order ids are used by more than one customer; each pair is an order of its own"
        report.warn("shared_order_ids", message, column="order_id", count=shared)


def _note_repeats(orders: pl.DataFrame, report: Report) -> None:
    customer_count = orders["customer_id"].n_unique()
    if orders.is_empty():
        report.warn(
            "only_returns", "every line is a return: there is no order", mend="check the sign of the amounts"
        )
    elif customer_count == 1:
        mend = "check which column is the customer"
        report.advise(
            "one_customer",
            "there is one customer only: nothing can be learnt from others",
            column="customer_id",
            mend=mend,
        )
    elif customer_count == orders.height:
        message = "every customer has one order: repeat purchases cannot be learnt"
        report.advise("one_order_each", message, column="customer_id", count=customer_count)


def _note_duplicates(lines: pl.DataFrame, report: Report) -> None:
    """Count lines equal to the one before; accepted lines are sorted by what they say."""
    names = [*_ORDER, "ordered_at", "product_id", "quantity_minor", "amount_minor"]
    same = pl.all_horizontal([pl.col(name).eq_missing(pl.col(name).shift(1)) for name in names])
    count = lines.select(same.slice(1).sum()).item() if lines.height > 1 else 0
    if count:
        message = f"{count:,} lines repeat another line of their order; they are kept as bought twice"
        report.advise(
            "duplicate_lines", message, count=count, mend="give lines a line_id if they were exported twice"
        )


def _note_refunds(lines: pl.DataFrame, report: Report) -> None:
    if not lines["is_return"].any():
        return
    amount, returned = pl.col("amount_minor"), pl.col("is_return")
    sums = lines.group_by(_ORDER).agg(amount.sum().alias("net"), (~returned).any().alias("bought"))
    count = sums.filter(pl.col("bought") & (pl.col("net") < 0)).height
    if count:
        message = f"{count:,} orders gave back more than they cost"
        report.warn(
            "refund_over_order",
            message,
            column="amount",
            count=count,
            mend="check the refunds of these orders",
        )
