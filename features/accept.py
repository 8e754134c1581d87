"""From drafts to accepted lines: what is left out and why, what is a return, which lines are one order."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl

from features.drafts import Draft
from features.history import MONEY_SCALE, STORED_SCHEMAS
from features.instants import days_of
from features.parsing import AMOUNT_MAX
from features.readers import ROW
from features.report import LEFT_OUT_REASONS, Effect, LeftOut, Report, major, row_examples
from features.snapshot import local_midnight_days

NO_CURRENCY = "XXX"
# Year 1, 1899 or 26 is a placeholder or a year of two digits, never an order.
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_ORDER = ["customer_id", "order_id"]


def _no_orders() -> pl.DataFrame:
    return pl.DataFrame(schema=dict.fromkeys(_ORDER, pl.String))


@dataclass(frozen=True, slots=True)
class Accepted:
    """Lines ready for the history (its stored schema without `loaded_at`), and how they replace older ones.

    `replaced_days` is the closed range of local days that a source without order ids stands for, else None.
    `withdrawn` are orders (customer_id, order_id) that are cancelled as a whole: older ones go.
    """

    lines: pl.DataFrame
    replaced_days: tuple[float, float] | None
    withdrawn: pl.DataFrame = field(default_factory=_no_orders)


def accept_lines(
    drafts: Sequence[Draft], *, time_zone: str, now: datetime, report: Report, may_be_empty: bool = False
) -> Accepted:
    """Take over the usable lines of drafts; in several drafts, the last one that holds an order counts.

    Raises `DataError` where errors were found or no usable line remains (unless it `may_be_empty`).
    """
    dated = [_with_order_ids(draft, time_zone) for draft in drafts]
    report.rows_read = sum(draft.lines[ROW].n_unique() for draft in drafts)
    lines = pl.concat([rows.with_columns(pl.lit(n).alias("source")) for n, rows in enumerate(dated)])
    lines = with_reasons(lines, future_from(now, time_zone))
    lines = _without_replaced(lines, len(drafts))
    _note_left_out(lines, report)
    usable = lines.filter(pl.col("left_out").is_null())
    if usable.is_empty() and not may_be_empty and not report.errors:
        mend = "see the reasons in the report" if lines.height else "export the orders again"
        message = (
            f"no usable order line in {lines.height:,} rows"
            if lines.height
            else "the file has a header and no rows"
        )
        report.error("no_lines", message + _reason_words(report), mend=mend)
    report.stop_on_errors()
    marked = _marked_returns(usable, report)
    days = marked.select(
        pl.col("ordered_at").min().alias("first"), pl.col("ordered_at").max().alias("last")
    ).row(0)
    has_days = usable.height > 0 and not all(draft.has_order_ids for draft in drafts)
    replaced = local_days(days, time_zone) if has_days else None
    return Accepted(_numbered_lines(marked), replaced, _withdrawn(lines))


def _withdrawn(lines: pl.DataFrame) -> pl.DataFrame:
    """Return the orders of which nothing is left, since they were cancelled."""
    cancelled = lines.filter(pl.col("left_out") == "cancelled_order").select(_ORDER).unique()
    usable = lines.filter(pl.col("left_out").is_null())
    return cancelled.drop_nulls().join(usable, on=_ORDER, how="anti").sort(_ORDER)


def chosen_currency(drafts: Sequence[Draft], *, history: str | None, report: Report) -> str:
    """Return the one currency of the drafts; mixed ones, or another than the history's, become errors."""
    counts: dict[str, int] = {}
    for draft in drafts:
        for code, count in draft.currencies.items():
            counts[code] = counts.get(code, 0) + count
    if len(counts) > 1:
        shown = ", ".join(f"{code} ({count:,} lines)" for code, count in sorted(counts.items()))
        mend = "load one currency a data set (VAR=… keeps data sets apart), or convert the amounts first"
        report.error(
            "mixed_currencies", f"the input has several currencies: {shown}", column="currency", mend=mend
        )
    currency = next(iter(counts), None)
    if currency is None:
        if history in (None, NO_CURRENCY):
            mend = 'set currency = "EUR" in the mapping file, or bring a currency column'
            report.advise(
                "no_currency", f"the currency is not stated: money is shown as {NO_CURRENCY}", mend=mend
            )
        else:
            _warn_of_assumption(f"the input names no currency; it is taken to be {history}", report)
        return history or NO_CURRENCY
    if history == NO_CURRENCY:
        _warn_of_assumption(
            f"the history named no currency; all its money is now taken to be {currency}", report
        )
    elif history not in (None, currency):
        mend = "use another VAR for another currency, or MODE=replace"
        report.error(
            "other_currency",
            f"the input is in {currency}, the history in {history}",
            column="currency",
            mend=mend,
        )
    return currency


def _warn_of_assumption(message: str, report: Report) -> None:
    mend = "if that is wrong, load everything again with its currency stated, MODE=replace"
    report.warn("currency_assumed", message, column="currency", mend=mend)


def _with_order_ids(draft: Draft, time_zone: str) -> pl.DataFrame:
    """Give lines without an order id the id of their customer's instant (date-only data: day)."""
    if draft.lines["order_id"].null_count() == 0:
        return draft.lines
    if draft.is_date_only:
        stamp = pl.col("ordered_at").dt.convert_time_zone(time_zone).dt.to_string("%Y-%m-%d")
    else:
        stamp = pl.col("ordered_at").dt.to_string("%Y-%m-%dT%H:%M:%S%.fZ")
    return draft.lines.with_columns(pl.coalesce("order_id", pl.format("{}@{}", "customer_id", stamp)))


def future_from(now: datetime, time_zone: str) -> datetime:
    """Return the first instant that is later than tomorrow, in the shop's days."""
    zone = ZoneInfo(time_zone)
    day = now.astimezone(zone).date() + timedelta(days=2)
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def with_reasons(lines: pl.DataFrame, future_from: datetime) -> pl.DataFrame:
    """Say of draft lines that have no reason to be left out yet why one is, by what it says alone."""
    customer, amount = pl.col("customer_id"), pl.col("amount_minor")
    unusable = (customer.str.len_chars() > 256) | customer.str.contains(r"[\x00-\x1f\x7f]")
    return lines.with_columns(
        pl.when(pl.col("left_out").is_not_null())
        .then(pl.col("left_out"))
        .when(customer.is_null())
        .then(pl.lit("missing_customer_id"))
        .when(unusable)
        .then(pl.lit("unusable_customer_id"))
        .when(pl.col("ordered_at").is_null())
        .then(pl.lit("missing_date"))
        .when(pl.col("ordered_at") < _EARLIEST)
        .then(pl.lit("date_before_1970"))
        .when(pl.col("ordered_at") >= future_from)
        .then(pl.lit("future_date"))
        .when(amount.is_null())
        .then(pl.lit("missing_amount"))
        .when(amount.abs() > AMOUNT_MAX * MONEY_SCALE)
        .then(pl.lit("amount_out_of_range"))
        .alias("left_out")
    )


def _without_replaced(lines: pl.DataFrame, source_count: int) -> pl.DataFrame:
    """Leave out an order's lines of earlier sources, and all but the last line of one line id in an order."""
    usable = pl.col("left_out").is_null()
    if source_count > 1:
        older = usable & (pl.col("source") < pl.col("source").filter(usable).max().over(_ORDER))
        lines = lines.with_columns(
            pl.when(older).then(pl.lit("replaced_in_later_file")).otherwise("left_out").alias("left_out")
        )
    if lines["line_id"].null_count() == lines.height:
        return lines
    named = usable & pl.col("line_id").is_not_null()
    later = pl.col(ROW).filter(named).max().over([*_ORDER, "line_id"])
    repeated = named & (pl.col(ROW) < later)
    return lines.with_columns(
        pl.when(repeated).then(pl.lit("repeated_line_id")).otherwise("left_out").alias("left_out")
    )


def _note_left_out(lines: pl.DataFrame, report: Report) -> None:
    money = pl.col("amount_minor").cast(pl.Float64).sum() / MONEY_SCALE
    left = lines.filter(pl.col("left_out").is_not_null())
    groups = left.group_by("left_out").agg(
        pl.len().alias("count"), money.alias("amount"), pl.col(ROW).head(6).alias("rows")
    )
    report.lines_accepted = lines.height - left.height
    report.left_out = [
        LeftOut(
            reason=reason,
            meaning=LEFT_OUT_REASONS[reason],
            line_count=count,
            amount=round(amount, 4),
            examples=row_examples(pl.Series(rows)),
        )
        for reason, count, amount, rows in groups.sort(
            "count", "left_out", descending=[True, False]
        ).iter_rows()
    ]


def _reason_words(report: Report) -> str:
    return "".join(f"; {item.line_count:,}: {item.meaning}" for item in report.left_out)


def _marked_returns(lines: pl.DataFrame, report: Report) -> pl.DataFrame:
    """Settle `is_return`, and give lines that a column calls returned the sign of one."""
    amount, quantity, stated = pl.col("amount_minor"), pl.col("quantity_minor"), pl.col("is_return")
    negative = (amount < 0) | (quantity < 0).fill_null(False)
    returned = stated.fill_null(negative)
    flipped = lines.select((returned & (amount > 0)).sum()).item()
    if flipped:
        message = f"{flipped:,} lines given back have a positive amount; it is taken as money returned"
        report.warn("positive_returns", message, column="amount", count=flipped)
    marked = lines.with_columns(
        returned.alias("is_return"),
        pl.when(returned).then(-amount.abs()).otherwise(amount).alias("amount_minor"),
        pl.when(stated.fill_null(False)).then(-quantity.abs()).otherwise(quantity).alias("quantity_minor"),
    )
    for name, chosen in (("returns", stated), ("free_items", ~stated & (amount == 0))):
        count, money = marked.filter(chosen).select(pl.len(), amount.sum()).row(0)
        setattr(report, name, Effect(line_count=count, amount=major(money)))
    return marked


def local_days(span: tuple[datetime, datetime], time_zone: str) -> tuple[float, float]:
    """Return [00:00 of the first local day, 00:00 after the last), in days since 1970-01-01 UTC."""
    first, last = (instant.astimezone(ZoneInfo(time_zone)).date() for instant in span)
    return local_midnight_days(first, time_zone), local_midnight_days(last + timedelta(days=1), time_zone)


def _numbered_lines(lines: pl.DataFrame) -> pl.DataFrame:
    """Add `ordered_days`, and number an order's lines by what they say, whatever the file's order."""
    keys = [
        *_ORDER,
        "ordered_at",
        "product_id",
        "quantity_minor",
        "amount_minor",
        "discount_minor",
        "coupon",
        "channel",
        "is_return",
    ]
    ordered = lines.sort(keys)
    position = pl.int_range(pl.len()).over(_ORDER) + 1
    days = days_of(pl.col("ordered_at"))
    numbered = ordered.with_columns(
        pl.coalesce("line_id", position.cast(pl.String)), days.alias("ordered_days")
    )
    schema = {name: kind for name, kind in STORED_SCHEMAS["order_lines"].items() if name != "loaded_at"}
    return numbered.select(schema.keys()).cast(schema)  # type: ignore[arg-type]
