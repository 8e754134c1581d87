"""What accepted lines are good for: advice on what is missing, and warnings about what looks odd."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
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


@dataclass(frozen=True, slots=True)
class Tally:
    """What is counted in accepted lines; tallies of different customers add up to that of all of them.

    `absent` counts lines without a value by column: of purchases, and of all lines. `order_ids` are hashes of
    the order ids, one a customer's order; `order_days` the days with orders, since 1970-01-01 UTC.
    """

    line_count: int = 0
    bought_count: int = 0
    absent: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    customer_count: int = 0
    order_ids: npt.NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))
    order_days: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    duplicate_count: int = 0
    over_refunded_count: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        names = {*self.absent, *other.absent}
        zero = (0, 0)
        return Tally(
            self.line_count + other.line_count,
            self.bought_count + other.bought_count,
            {n: tuple(np.add(self.absent.get(n, zero), other.absent.get(n, zero)).tolist()) for n in names},
            self.customer_count + other.customer_count,
            np.concatenate([self.order_ids, other.order_ids]),
            np.union1d(self.order_days, other.order_days),
            self.duplicate_count + other.duplicate_count,
            self.over_refunded_count + other.over_refunded_count,
        )


def tally(lines: pl.DataFrame) -> Tally:
    """Count what advice is made of in accepted lines (stored schema) of whole customers."""
    bought = lines.filter(~pl.col("is_return"))
    orders = bought.select(_ORDER).unique()
    columns = {name: name if name in lines.columns else f"{name}_minor" for name in _ABSENT}
    return Tally(
        lines.height,
        bought.height,
        {name: (bought[column].null_count(), lines[column].null_count()) for name, column in columns.items()},
        orders["customer_id"].n_unique(),
        orders["order_id"].hash(seed=0).to_numpy(),
        np.unique(np.floor(bought["ordered_days"].to_numpy())),
        _duplicate_count(lines),
        _over_refunded_count(lines),
    )


def note_advice(found: Tally, drafts: Sequence[Draft], *, is_whole_history: bool, report: Report) -> None:
    """Add advice and warnings about accepted lines to a report.

    What only a whole history tells (how often people buy) is left out where the lines are added to one.
    """
    _note_absent(found, report)
    if not all(draft.has_order_ids for draft in drafts):
        what = (
            "one customer's lines of one day"
            if all(d.is_date_only for d in drafts)
            else "one customer's lines at one instant"
        )
        report.advise("no_order_id", f"there is no order_id: {what} count as one order", column="order_id")
    if is_whole_history:
        _note_repeats(found, report)
    _note_shared_ids(found, report)
    _note_holes(found, report)
    _note_counts(found, report)
    if report.free_items.line_count:
        count = report.free_items.line_count
        report.advise(
            "free_items",
            f"{count:,} lines cost nothing; they are kept as free items",
            column="amount",
            count=count,
        )


def _note_absent(found: Tally, report: Report) -> None:
    for name, (consequence, mend) in _ABSENT.items():
        # Returns often lack what purchases have; where there is nothing else, they tell what the file has.
        of_bought, of_all = found.absent.get(name, (0, 0))
        count, total = (of_bought, found.bought_count) if found.bought_count else (of_all, found.line_count)
        if count == total:
            report.advise(
                "absent_column", f"no line has {name}: {consequence}", column=name, count=count, mend=mend
            )
        elif name == "product_id" and count:
            share = 100 * count / total
            message = f"{share:.2g} % of lines lack product_id: recommendations limited"
            report.advise("missing_product_id", message, column=name, count=count)


def _note_holes(found: Tally, report: Report) -> None:
    """Warn of stretches without any order that chance does not explain: missing data would pass for churn."""
    holes = find_holes(found.order_days)
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


def _note_shared_ids(found: Tally, report: Report) -> None:
    shared = len(found.order_ids) - len(np.unique(found.order_ids))
    if shared:
        message = f"{shared:,} order ids are used by more than one customer; each pair is an order of its own"
        report.warn("shared_order_ids", message, column="order_id", count=shared)


def _note_repeats(found: Tally, report: Report) -> None:
    order_count = len(found.order_ids)
    if not order_count:
        report.warn(
            "only_returns", "every line is a return: there is no order", mend="check the sign of the amounts"
        )
    elif found.customer_count == 1:
        mend = "check which column is the customer"
        report.advise(
            "one_customer",
            "there is one customer only: nothing can be learnt from others",
            column="customer_id",
            mend=mend,
        )
    elif found.customer_count == order_count:
        message = "every customer has one order: repeat purchases cannot be learnt"
        report.advise("one_order_each", message, column="customer_id", count=order_count)


def _note_counts(found: Tally, report: Report) -> None:
    if found.duplicate_count:
        count = found.duplicate_count
        message = f"{count:,} lines repeat another line of their order; they are kept as bought twice"
        report.advise(
            "duplicate_lines", message, count=count, mend="give lines a line_id if they were exported twice"
        )
    if found.over_refunded_count:
        count = found.over_refunded_count
        message = f"{count:,} orders gave back more than they cost"
        mend = "check the refunds of these orders"
        report.warn("refund_over_order", message, column="amount", count=count, mend=mend)


def _duplicate_count(lines: pl.DataFrame) -> int:
    """Count lines equal to the one before; accepted lines are sorted by what they say."""
    names = [*_ORDER, "ordered_at", "product_id", "quantity_minor", "amount_minor"]
    same = pl.all_horizontal([pl.col(name).eq_missing(pl.col(name).shift(1)) for name in names])
    return int(lines.select(same.slice(1).sum()).item()) if lines.height > 1 else 0


def _over_refunded_count(lines: pl.DataFrame) -> int:
    if not lines["is_return"].any():
        return 0
    amount, returned = pl.col("amount_minor"), pl.col("is_return")
    sums = lines.group_by(_ORDER).agg(amount.sum().alias("net"), (~returned).any().alias("bought"))
    return sums.filter(pl.col("bought") & (pl.col("net") < 0)).height
