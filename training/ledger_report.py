"""The report on a ledger: what published runs said, and what came; for people (text), for programs (JSON)."""

from collections.abc import Iterable, Mapping
from datetime import date

from pydantic import BaseModel, ConfigDict

from features.ledger import LedgerRun


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CalibrationBin(_Part):
    """A tenth of the customers by their probability: its mean, and the share of them who churned."""

    predicted_share: float
    churned_share: float
    customer_count: int


class ChurnCheck(_Part):
    """Churn within a horizon: what was said of the graded customers, and what came."""

    horizon_days: int
    customer_count: int
    predicted_share: float
    churned_share: float
    log_loss: float
    auc: float | None
    ece: float
    calibration: tuple[CalibrationBin, ...]


class ClvCheck(_Part):
    """Spend within a horizon, in major units; the shares only at the horizon that has an interval."""

    horizon_days: int
    customer_count: int
    predicted_total: float
    actual_total: float
    total_bias: float | None
    above_high_share: float | None
    inside_share: float | None


class RunCheck(_Part):
    """One run: the horizons that are over, and from which date on the others can be graded.

    `gone_count`    customers of the run who are not in the history any more; None where no horizon is over
    `clv_left_out`  why money is not graded, if it is not
    `hidden`        horizons that are over, but lie in a hole of the data: nobody knows what came
    """

    run: LedgerRun
    gone_count: int | None
    churn: tuple[ChurnCheck, ...]
    clv: tuple[ClvCheck, ...]
    clv_left_out: str | None
    waiting: dict[int, date]
    hidden: tuple[int, ...] = ()


class LedgerReport(_Part):
    """A whole ledger, graded as far as its horizons are over on `as_of`, which orders reach.

    `runs`          one an `as_of`, oldest first: the newest run of it, so that nobody counts twice for a date
    `churn`, `clv`  all of them together; money in `currency` on `clv_basis`
    `superseded`    files of older runs, each with the file that is graded in its place
    `left_out`      files that cannot be graded, each with the reason
    """

    as_of: date
    currency: str
    clv_basis: str
    runs: tuple[RunCheck, ...]
    churn: tuple[ChurnCheck, ...]
    clv: tuple[ClvCheck, ...]
    superseded: dict[str, str]
    left_out: dict[str, str]


def ledger_text(report: LedgerReport) -> str:
    """Return the report as a page of text: a line a run and horizon, what waits, and what is left out."""
    money = f"{report.clv_basis} spend", report.currency
    count = len(report.runs)
    lines = [f"Ledger as of {report.as_of} · {count} run{'' if count == 1 else 's'}"]
    if not report.runs and not report.left_out:
        lines.append("no run is kept yet: every run that `make score` publishes will be")
    for check in report.runs:
        lines += ["", _run_line(check.run), *_indented(check.churn, check.clv, money)]
        if check.gone_count:
            lines.append(f"  not graded: {check.gone_count:,} customers who left the history")
        if check.clv_left_out is not None and check.gone_count is not None:
            lines.append(f"  not graded: {check.clv_left_out}")
        if check.hidden:
            days = ", ".join(map(str, check.hidden))
            lines.append(f"  not graded: {days} days, which lie in a stretch without any order")
        if check.waiting:
            lines.append(f"  waiting: {_waiting_text(check.waiting)}")
    if sum(bool(check.churn) for check in report.runs) > 1:
        lines += ["", "all runs together", *_indented(report.churn, report.clv, money)]
    if report.superseded or report.left_out:
        lines.append("")
    lines += [f"scored again: {name}, graded as {by}" for name, by in report.superseded.items()]
    lines += [f"left out: {reason}" for reason in report.left_out.values()]
    return "\n".join(lines) + "\n"


def _run_line(run: LedgerRun) -> str:
    models = f"churn {run.method} version {run.churn_model_version}"
    models += f", value {run.clv_method} version {run.clv_model_version}"
    return f"{run.as_of} · {run.score_run_id} · {run.customer_count:,} customers · {models}"


def _indented(churn: Iterable[ChurnCheck], clv: Iterable[ClvCheck], money: tuple[str, str]) -> list[str]:
    return [f"  {churn_line(check)}" for check in churn] + [f"  {clv_line(check, *money)}" for check in clv]


def churn_line(check: ChurnCheck) -> str:
    """Say in one line what was said about churn within a horizon, and what came.

    >>> churn_line(ChurnCheck(horizon_days=90, customer_count=4112, predicted_share=0.3, churned_share=0.287,
    ...     log_loss=0.51, auc=None, ece=0.013, calibration=()))
    'said 30.0 % would not order within 90 days; 28.7 % did not (n = 4,112) · log-loss 0.510, ECE 0.013'
    """
    auc = "" if check.auc is None else f", AUC {check.auc:.3f}"
    return (
        f"said {_percent(check.predicted_share)} would not order within {check.horizon_days} days; "
        f"{_percent(check.churned_share)} did not (n = {check.customer_count:,}) · "
        f"log-loss {check.log_loss:.3f}, ECE {check.ece:.3f}{auc}"
    )


def clv_line(check: ClvCheck, what: str, currency: str) -> str:
    """Say in one line what was said about spend within a horizon, and what came.

    >>> clv_line(ClvCheck(horizon_days=90, customer_count=3, predicted_total=120.0, actual_total=100.0,
    ...     total_bias=0.2, above_high_share=None, inside_share=None), "net spend", "EUR")
    'said net spend of 120.00 EUR within 90 days; 100.00 EUR came (n = 3) · total off by +20.0 %'
    """
    parts = [] if check.total_bias is None else [f"total off by {100 * check.total_bias:+.1f} %"]
    if check.above_high_share is not None:
        parts.append(f"{_percent(check.above_high_share)} above the high end")
    if check.inside_share is not None:
        parts.append(f"{_percent(check.inside_share)} inside the interval")
    return (
        f"said {what} of {check.predicted_total:,.2f} {currency} within {check.horizon_days} days; "
        f"{check.actual_total:,.2f} {currency} came (n = {check.customer_count:,})"
        + (f" · {', '.join(parts)}" if parts else "")
    )


def _waiting_text(waiting: Mapping[int, date]) -> str:
    return ", ".join(f"{days} days until {day}" for days, day in waiting.items())


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
