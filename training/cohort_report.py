"""The report on cohorts and channels: tables of text for people, a CSV of one row a group for programs."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from features.basis import basis_words
from features.first_days import FIRST_DAYS
from features.spreadsheet import excel_cell
from models.estimate import Estimate
from training.cohort_draws import CUSTOMERS_MIN, GroupMean
from training.cohort_values import GroupValue, NewCustomer
from training.sections import Table, table_text

TOO_FEW: Final = "not enough customers"
_DIGITS = 4
_NO_CHANNEL = "no channel is known; load a customer table that has them: `make data CUSTOMERS=customers.csv`"


@dataclass(frozen=True, slots=True)
class CohortReport:
    """What customers are worth by channel and by cohort, and what a new one brings.

    `predicted_days`  the horizon of `predicted_clv`, None where no published run can be read
    `notes`           what the reader has to know of this report: a window set aside, why a figure is missing
    """

    as_of: date
    currency: str
    clv_basis: str
    lead_in_days: int
    predicted_days: int | None
    channels: Sequence[GroupValue]
    cohorts: Sequence[GroupValue]
    together: GroupValue
    new_customers: Sequence[NewCustomer]
    notes: Sequence[str] = ()


def cohort_text(report: CohortReport) -> str:
    """Return the report as a page of text."""
    money = f"{report.currency} {report.clv_basis}"
    lines = [f"as of {report.as_of} · {money} per customer · {report.together.customer_count:,} customers"]
    lines += [*report.notes, "", f"CLV by acquisition channel, {money}"]
    lines += _groups(report, report.channels) if report.channels else [f"  {_NO_CHANNEL}"]
    lines += ["", f"CLV by acquisition cohort (first order), {money}", *_groups(report, report.cohorts)]
    lines += ["", f"A new customer, {money}", *_new_customers(report), "", *_legend(report)]
    return "\n".join(lines) + "\n"


def _groups(report: CohortReport, groups: Sequence[GroupValue]) -> Iterator[str]:
    rows = [*groups, report.together]
    marked = frozenset(at for at, row in enumerate(groups) if row.kind == "cohort" and row.lead_in_count)
    yield from table_text(_worth_table(report, rows, marked))
    yield ""
    header = ("brought in the first", *(f"{days} days" for days in FIRST_DAYS))
    cells = [(row.group, *(_mean_and_count(row.first[days]) for days in FIRST_DAYS)) for row in rows]
    yield from table_text(Table(header, cells, marked=marked))
    if report.together.lead_in_count:
        mark = "* " if marked else ""
        yield f"  {mark}{_lead_in(report)}"


def _worth_table(report: CohortReport, rows: Sequence[GroupValue], marked: frozenset[int]) -> Table:
    header, columns = ["", "customers", "again", "so far"], [_facts(row) for row in rows]
    if report.predicted_days is not None:
        header += [f"next {report.predicted_days} days", "so far + next"]
        columns = [
            (*cells, _mean(row.predicted), _value(row.total))
            for cells, row in zip(columns, rows, strict=True)
        ]
    if report.together.cost_count:
        header += ["cost to win", "brought ÷ cost"]
        columns = [(*cells, _cost(row), _return(row)) for cells, row in zip(columns, rows, strict=True)]
    return Table(header, columns, marked=marked)


def _facts(row: GroupValue) -> tuple[str, ...]:
    return row.group, f"{row.customer_count:,}", f"{row.reordered_share:.0%}", f"{row.historic_mean:,.2f}"


def _new_customers(report: CohortReport) -> Iterator[str]:
    later = f"after {report.lead_in_days} days"
    header = ("in the first", "all customers", later, "older half", "newest half", "newest − older")
    rows = [
        (
            f"{row.days} days",
            *(_mean_and_count(each) for each in (row.everybody, row.after_lead_in, row.older, row.newest)),
            TOO_FEW if row.difference is None else _estimate(row.difference, sign="+"),
        )
        for row in report.new_customers
    ]
    yield from table_text(Table(header, rows))
    if report.lead_in_days:
        yield f"  {later}: first ordered later than that into the history, hence new or long gone before"
    else:
        yield "  nobody came back yet, so who was a customer before the history began cannot be told"
    yield "  halves: of these, by the day of their first order; newest − older:"
    yield from (f"    {movement_text(row)}" for row in report.new_customers)


def movement_text(row: NewCustomer) -> str:
    """Say whether the newest customers bring more or less than the older ones."""
    if row.difference is None:
        return f"first {row.days} days: {TOO_FEW}"
    sure = "but the halves began in other seasons" if row.began_in_other_seasons else "beyond doubt"
    moved = {"higher": f"more, {sure}", "lower": f"less, {sure}", "open": "no difference beyond doubt"}
    return f"first {row.days} days, first ordered from {row.newest_from} on: {moved[row.direction]}"


def _lead_in(report: CohortReport) -> str:
    return (
        f"{report.together.lead_in_count:,} first ordered in the first {report.lead_in_days} days of the "
        "history (95 % of the gaps between orders are no longer): they may have been customers before it"
    )


def _legend(report: CohortReport) -> Iterator[str]:
    yield "again: ordered more than once so far · so far: all that a customer brought"
    yield (
        "brought in the first h days: from the first order on, of customers whose h days are over (n), so "
        "that a row's columns are of different customers"
    )
    if report.predicted_days is not None:
        yield (
            f"next {report.predicted_days} days: mean predicted_clv of those who are customers today, from "
            "today on; not what a new customer brings"
        )
    if report.together.cost_count:
        yield (
            "cost to win: mean acquisition_cost where known · brought ÷ cost: money of the first days "
            f"{basis_words(report.clv_basis)}, the most that enough have behind them"
        )
    yield (
        f"in brackets: 95 % interval, bootstrap over customers · {TOO_FEW}: fewer than {CUSTOMERS_MIN} of "
        "whom the figure is known"
    )


def _mean_and_count(mean: GroupMean) -> str:
    return f"{_mean(mean)}  n {mean.customer_count:,}"


def _mean(mean: GroupMean) -> str:
    return TOO_FEW if mean.estimate is None else _estimate(mean.estimate)


def _value(mean: GroupMean) -> str:
    return TOO_FEW if mean.estimate is None else f"{mean.estimate.value:,.2f}"


def _estimate(estimate: Estimate, *, sign: str = "") -> str:
    value, low, high = (f"{each:{sign},.2f}" for each in (estimate.value, estimate.low, estimate.high))
    return f"{value} ({low} … {high})"


def _cost(row: GroupValue) -> str:
    return "–" if row.cost_mean is None else f"{row.cost_mean:,.2f}"


def _return(row: GroupValue) -> str:
    if not row.cost_mean:
        return "–"
    days = "" if row.return_days is None else f", {row.return_days} days"
    return f"{_mean(row.return_on_cost)}{days}"


def cohort_csv(report: CohortReport) -> str:
    """Return the report as CSV: one row a channel, a cohort and all customers; `new` are those who were new.

    A figure without enough customers is empty. Text cells are harmless in a spreadsheet.
    """
    rows = [_csv_row(report, row) for row in (*report.channels, *report.cohorts, report.together)]
    rows.append(_csv_new(report))
    names = list(rows[0])
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(names)
    writer.writerows([excel_cell(row.get(name)) for name in names] for row in rows)
    return buffer.getvalue()


def _csv_row(report: CohortReport, row: GroupValue) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "group": row.group,
        "customer_count": row.customer_count,
        "reordered_share": round(row.reordered_share, _DIGITS),
        "historic_mean": round(row.historic_mean, _DIGITS),
        **_csv_means((f"first_{days}", row.first[days]) for days in FIRST_DAYS),
        **_csv_means([("predicted_clv", row.predicted), ("total_clv", row.total)]),
        "predicted_clv_days": report.predicted_days,
        "cost_count": row.cost_count,
        "cost_mean": None if row.cost_mean is None else round(row.cost_mean, _DIGITS),
        **_csv_means([("return_on_cost", row.return_on_cost)]),
        "return_on_cost_days": row.return_days,
        "lead_in_count": row.lead_in_count,
        **_csv_run(report),
    }


def _csv_new(report: CohortReport) -> dict[str, Any]:
    means = _csv_means((f"first_{row.days}", row.after_lead_in) for row in report.new_customers)
    head = {"kind": "new", "group": f"after {report.lead_in_days} days"}
    return {**head, **means, "lead_in_count": 0, **_csv_run(report)}


def _csv_run(report: CohortReport) -> dict[str, str]:
    return {"currency": report.currency, "clv_basis": report.clv_basis, "as_of": str(report.as_of)}


def _csv_means(means: Iterable[tuple[str, GroupMean]]) -> dict[str, float | int | None]:
    cells: dict[str, float | int | None] = {}
    for name, mean in means:
        found = mean.estimate
        cells[f"{name}_count"] = mean.customer_count
        for part in ("value", "low", "high"):
            cell = None if found is None else round(getattr(found, part), _DIGITS)
            cells[f"{name}_{'mean' if part == 'value' else part}"] = cell
    return cells
