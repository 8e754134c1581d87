"""`make cohorts`: what customers are worth by acquisition channel and by cohort, and what a new one brings.

    python -m training.cohorts [--as-of 2011-09-10] [--out cohorts.csv] [--var var]

Prints a table a grouping: who ordered again, money so far, money of the first 30, 90, 180 and 365 days with
an interval over customers, and, where a run was published as of that day, what is expected from it on. Says
what a new customer brings, and whether the newest bring more. Nothing dated on or after the date is read.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from features.cohort import AsOfError, read_as_of
from features.console import run_command
from features.errors import UserError
from features.first_days import read_beginnings
from features.history import MONEY_SCALE, History
from features.layout import Layout
from features.ledger import LedgerError, LedgerRun, list_files, read_rows, read_run
from features.settings import Settings, load_settings
from features.settle import SettledBasis, settle_basis
from features.snapshot import Snapshot
from features.whole import write_whole
from training.cohort_draws import CUSTOMERS_MIN, GroupDraws
from training.cohort_report import CohortReport, cohort_csv, cohort_text
from training.cohort_values import CohortValues

FOUND_SHARE_MIN = 0.5
"""A run that holds fewer of the customers than this is another shop's."""


class CohortError(UserError):
    """A report on cohorts cannot be written as asked."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """What the run published as of a day expects of every customer, or a line that says why it is not told.

    `rows` has `customer_id` and `predicted_clv`, the money of the next `days`.
    """

    rows: pl.DataFrame
    days: int | None
    note: str = ""


def cohort_report(
    layout: Layout, settings: Settings, *, as_of: str | None = None, customers_min: int = CUSTOMERS_MIN
) -> CohortReport:
    """Measure a shop's channels, cohorts and new customers; `customers_min` is the floor of every mean.

    Raises `AsOfError` where nobody had ordered before the date.
    """
    history = History.open(layout.history)
    zone = settings.shop.time_zone
    snapshot = Snapshot(read_as_of(as_of, history, zone), zone)
    settled = settle_basis(settings, history, snapshot)
    settings = settled.settings
    beginnings = read_beginnings(history, snapshot, settings=settings)
    if not beginnings.customers.height:
        raise AsOfError(f"nobody had ordered before {snapshot.date}; name a later date")
    predictions = read_predictions(layout, snapshot, settings, currency=history.manifest.currency)
    predictions = _of_this_shop(predictions, beginnings.customers)
    customers = _described(history, beginnings.customers, predictions)
    draws = GroupDraws(
        customers["customer_id"],
        draw_count=settings.backtest.bootstrap_count,
        seed=settings.seed,
        customers_min=customers_min,
    )
    values = CohortValues(beginnings, customers, draws)
    return CohortReport(
        as_of=snapshot.date,
        currency=history.manifest.currency,
        clv_basis=settings.shop.clv_basis,
        lead_in_days=beginnings.lead_in_days,
        predicted_days=predictions.days,
        channels=values.by_channel(),
        cohorts=values.by_cohort(),
        together=values.together(),
        new_customers=values.new_customers(),
        notes=[note for note in (_basis_note(settled), _window_note(settings), predictions.note) if note],
    )


def read_predictions(layout: Layout, snapshot: Snapshot, settings: Settings, *, currency: str) -> Predictions:
    """Read the newest run published as of the snapshot's day, as the ledger of scores keeps it.

    Money so far and money to come are told of one day only: a run of another day is not added to it.
    """
    nothing = pl.DataFrame(schema={"customer_id": pl.String, "predicted_clv": pl.Float64})
    named = [path for path in list_files(layout.ledger) if path.name.startswith(f"{snapshot.date}_")]
    if not named:
        advice = f"no run published as of {snapshot.date} is kept: without predicted_clv; see `make score`"
        return Predictions(nothing, None, advice)
    newest = named[-1]
    try:
        run = read_run(newest)
        problem = _basis_problem(run, settings, currency)
        if problem is not None:
            return Predictions(nothing, None, f"without predicted_clv: {problem}")
        rows = read_rows(newest, run)
    except LedgerError as error:
        return Predictions(nothing, None, f"without predicted_clv: {error}")
    value = pl.col(f"predicted_clv_{run.clv_horizon_days}").alias("predicted_clv")
    return Predictions(rows.select("customer_id", value), run.clv_horizon_days)


def _basis_problem(run: LedgerRun, settings: Settings, currency: str) -> str | None:
    said = (run.currency, *map(str, run.basis.tags.values()))
    now = (currency, *map(str, settings.shop.basis.tags.values()))
    if said == now:
        return None
    return f"run {run.score_run_id} said it in {' '.join(said)}, and now it is {' '.join(now)}"


def _of_this_shop(predictions: Predictions, customers: pl.DataFrame) -> Predictions:
    if predictions.days is None:
        return predictions
    held = customers.join(predictions.rows, on="customer_id", how="semi").height
    if held < FOUND_SHARE_MIN * customers.height:
        note = f"without predicted_clv: the run holds {held:,} of {customers.height:,} customers"
        return Predictions(predictions.rows.clear(), None, note)
    note = f"predicted_clv is known of {held:,} of {customers.height:,} customers; see `make score`"
    return Predictions(predictions.rows, predictions.days, note if held < customers.height else "")


def _described(history: History, customers: pl.DataFrame, predictions: Predictions) -> pl.DataFrame:
    """Add channel and cost, as the customer table has them now, and what is expected.

    A cost below 0 is not known.
    """
    channel = pl.col("acquisition_channel").str.strip_chars()
    cost = pl.col("acquisition_cost_minor")
    table = history.read("customers").select(
        "customer_id",
        pl.when(channel != "").then(channel).alias("acquisition_channel"),
        pl.when(cost >= 0).then(cost / MONEY_SCALE).alias("acquisition_cost"),
    )
    described = customers.join(table, on="customer_id", how="left", maintain_order="left")
    return described.join(predictions.rows, on="customer_id", how="left", maintain_order="left")


def _basis_note(settled: SettledBasis) -> str:
    return settled.note.text if settled.note else ""


def _window_note(settings: Settings) -> str:
    days = settings.features.observation_days
    if not days:
        return ""
    return (
        f"features.observation_days = {days} is set aside here: the first order inside a window is not the "
        "customer's first"
    )


def _command(
    *,
    as_of: Annotated[str | None, typer.Option(help="as if that day were today (ISO date)")] = None,
    out: Annotated[Path | None, typer.Option(help="also write a CSV of one row a group")] = None,
    var: Annotated[Path, typer.Option(envvar="VAR", help="where everything that is written lies")] = Path(
        "var"
    ),
) -> None:
    """Print what customers are worth by channel and by cohort, and what a new customer brings."""
    _check_out(out)
    report = cohort_report(Layout(var), load_settings(), as_of=as_of)
    if out is not None:
        write_whole(out, cohort_csv(report))
    sys.stdout.write(cohort_text(report))
    if out is not None:
        sys.stdout.write(f"written: {out}\n")


def _check_out(out: Path | None) -> None:
    if out is not None and (out.is_dir() or out.suffix != ".csv"):
        raise CohortError(f"OUT={out} is no CSV file; write it as OUT=cohorts.csv")


if __name__ == "__main__":
    run_command(_command)
