"""The usability report: everything found in an input, with how to mend it; errors stop the load, all at once.

No personal data: examples name rows and cells of dates, money and codes, and a cell that looks like an e-mail
address or a phone number is masked.
"""

import json
import re
from pathlib import Path
from typing import Final, Literal, TypedDict, Unpack

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from features.errors import UserError
from features.history import MONEY_SCALE

FILES_REPORT: Final = "usability"
RECEIVED_REPORT: Final = "received"
"""The names of the reports, under `reports/`: of files, and of what the API received."""
Severity = Literal["error", "warning", "advice"]
_SEVERITIES: tuple[Severity, ...] = ("error", "warning", "advice")
_EXAMPLE_COUNT = 5
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_PHONE = re.compile(r"\+\d[\d\s().-]{6,}|\b\d{2,4}[- ]\d{3,4}[- ]\d{4}\b")

LEFT_OUT_REASONS = {
    "missing_customer_id": "no customer id (nor e-mail or phone) in the row",
    "unusable_customer_id": "a customer id longer than 256 characters, or with control characters",
    "missing_date": "no date in the row",
    "unreadable_date": "the date cannot be read",
    "future_date": "dated later than tomorrow",
    "date_before_1970": "dated before 1970: a placeholder, or a year of two digits",
    "missing_amount": "no amount in the row, nor price and quantity",
    "unreadable_amount": "the amount cannot be read",
    "amount_out_of_range": "an amount beyond ± 100,000,000,000",
    "cancelled_order": "the order was cancelled, voided, failed or never paid",
    "bad_debt": "a bookkeeping entry (bad debt)",
    "stock_write_off": "a stock correction without a customer",
    "shipping": "postage or carriage: amounts are before shipping",
    "fee": "a fee or commission that no customer pays",
    "coupon_tender": "a line without quantity: a coupon handed in",
    "test_order": "a test order",
    "replaced_in_later_file": "the order comes again in a later file of this load",
    "suppressed": "of somebody who was erased, or asked not to be scored",
    "repeated_line_id": "the same line id comes again in the order: the last one counts",
}


class Finding(BaseModel):
    """One thing found in the input."""

    model_config = ConfigDict(frozen=True)

    name: str
    severity: Severity
    table: str = "order_lines"
    column: str | None = None
    count: int = 0
    message: str
    examples: tuple[str, ...] = ()
    mend: str = ""


class Details(TypedDict, total=False):
    """What a finding may say besides its name and message."""

    table: str
    column: str | None
    count: int
    examples: tuple[str, ...]
    mend: str


class LeftOut(BaseModel):
    """Lines left out for one reason, and the money on them (as written in the source)."""

    model_config = ConfigDict(frozen=True)

    reason: str
    meaning: str
    line_count: int
    amount: float
    examples: tuple[str, ...] = ()


class Effect(BaseModel):
    """How many lines something touched, and the money on them."""

    model_config = ConfigDict(frozen=True)

    line_count: int = 0
    amount: float = 0.0


class OrderChanges(BaseModel):
    """What a load did to the orders of the history."""

    model_config = ConfigDict(frozen=True)

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0


class Report(BaseModel):
    """The usability report of one load; grows while the input is read."""

    sources: list[str] = Field(default_factory=list)
    format: str = ""
    outcome: Literal["loaded", "unchanged", "refused"] = "refused"
    currency: str | None = None
    time_zone: str = "UTC"
    rows_read: int = 0
    lines_accepted: int = 0
    left_out: list[LeftOut] = Field(default_factory=list)
    returns: Effect = Effect()
    free_items: Effect = Effect()
    orders: OrderChanges = OrderChanges()
    history: dict[str, str | int | None] = Field(default_factory=dict)
    findings: list[Finding] = Field(default_factory=list)
    cell_counts: dict[tuple[str, str], int] = Field(default_factory=dict, exclude=True)
    """How many cells were read of the last source, by table and column."""

    def error(self, name: str, message: str, **details: Unpack[Details]) -> None:
        """Note what stops the load."""
        self.findings.append(Finding(name=name, severity="error", message=message, **details))

    def warn(self, name: str, message: str, **details: Unpack[Details]) -> None:
        """Note what was mended or left out on the way."""
        self.findings.append(Finding(name=name, severity="warning", message=message, **details))

    def advise(self, name: str, message: str, **details: Unpack[Details]) -> None:
        """Note what would make the answers better, or what cannot be made."""
        self.findings.append(Finding(name=name, severity="advice", message=message, **details))

    @property
    def errors(self) -> list[Finding]:
        """The findings that stop the load."""
        return [finding for finding in self.findings if finding.severity == "error"]

    def stop_on_errors(self) -> None:
        """Raise `DataError` with every error found so far, if there is one."""
        if self.errors:
            raise DataError(self)

    def to_json(self) -> str:
        """Return the report as JSON, indented."""
        return json.dumps(self.model_dump(), ensure_ascii=False, indent=1) + "\n"

    def to_text(self) -> str:
        """Return the report as a page of text."""
        lines = [f"{', '.join(self.sources) or 'input'} ({self.format}): {self.outcome}"]
        lines.append(f"{self.rows_read:,} rows read, {self.lines_accepted:,} lines accepted")
        lines += [self._left_out_line(item) for item in self.left_out]
        if self.returns.line_count:
            lines.append(
                f"returns: {self.returns.line_count:,} lines, {_money(self.returns.amount, self.currency)}"
            )
        lines += self._order_lines() + [line for s in _SEVERITIES for line in self._finding_lines(s)]
        return "\n".join(lines) + "\n"

    def _left_out_line(self, item: LeftOut) -> str:
        money = _money(item.amount, self.currency)
        return f"  left out  {item.line_count:>9,} {money:>20}  {item.reason}: {item.meaning}"

    def _order_lines(self) -> list[str]:
        if self.outcome == "refused":
            return ["nothing was loaded; the previous history is as it was"]
        o = self.orders
        text = f"orders: {o.new:,} new, {o.changed:,} changed, {o.unchanged:,} unchanged"
        lines = [text + (f", {o.removed:,} removed" if o.removed else "")]
        return [*lines, self._history_line()] if self.history else lines

    def _history_line(self) -> str:
        h = self.history
        counts = f"{h['orders']:,} orders of {h['customers']:,} customers, {h['lines']:,} lines"
        days = f"{h['first']} to {h['last']}" if h["first"] else "no order yet"
        return f"history: {counts}, {days}, {h['currency']}"

    def _finding_lines(self, severity: Severity) -> list[str]:
        lines = []
        for finding in self.findings:
            if finding.severity == severity:
                lines.append(f"{severity}: {sentence(finding)}")
                lines += [f"    {example}" for example in finding.examples]
        return lines

    def write(self, folder: Path, name: str = FILES_REPORT) -> None:
        """Write `usability.json` and `usability.txt` (or what `name` says), each replaced whole."""
        folder.mkdir(parents=True, exist_ok=True)
        for file_name, text in ((f"{name}.json", self.to_json()), (f"{name}.txt", self.to_text())):
            partial = folder / f"{file_name}.partial"
            partial.write_text(text, encoding="utf-8")
            partial.replace(folder / file_name)


class DataError(UserError):
    """The input has problems; all of them are listed, and the whole report is in `report`."""

    def __init__(self, report: Report) -> None:
        self.report = report
        source = ", ".join(report.sources) or "the input"
        problems = [sentence(finding, examples=True) for finding in report.errors]
        if len(problems) == 1:
            super().__init__(f"{source}: {problems[0]}")
        else:
            listed = "".join(f"\n  {number}. {text}" for number, text in enumerate(problems, start=1))
            super().__init__(f"{source} has {len(problems)} problems:{listed}")


def sentence(finding: Finding, *, examples: bool = False) -> str:
    """Return a finding as one sentence: what was seen (with examples if wanted), then what to do."""
    text = finding.message
    if examples and finding.examples:
        text += f" ({'; '.join(finding.examples)})"
    return f"{text}; {finding.mend}" if finding.mend else text


def examples_of(cells: pl.Series, rows: pl.Series) -> tuple[str, ...]:
    """Return the first few cells with the rows that they stand in, shortened and masked.

    >>> examples_of(pl.Series(["x", "ann@example.com"]), pl.Series([2, 7]))
    ("row 2: 'x'", "row 7: '<e-mail>'")
    """
    head = zip(rows.head(_EXAMPLE_COUNT).to_list(), cells.head(_EXAMPLE_COUNT).to_list(), strict=True)
    return tuple(f"row {row}: {mask(str(cell))!r}" for row, cell in head)


def row_examples(rows: pl.Series) -> tuple[str, ...]:
    """Return the numbers of the first few rows, for cells that must not be shown."""
    shown = ", ".join(f"{row:,}" for row in rows.head(_EXAMPLE_COUNT).to_list())
    return (
        f"row {shown}" if len(rows) == 1 else f"rows {shown}{', …' if len(rows) > _EXAMPLE_COUNT else ''}",
    )


def mask(cell: str) -> str:
    """Hide what looks like a person's address or number, and shorten to 40 characters."""
    return _PHONE.sub("<phone>", _EMAIL.sub("<e-mail>", cell))[:40]


def major(minor: int | None) -> float:
    """Return money in major units, for a report."""
    return (minor or 0) / MONEY_SCALE


def _money(amount: float, currency: str | None) -> str:
    return f"{amount:,.2f} {currency or ''}".rstrip()
