"""`make grade`: what published runs said, beside what happened once their horizon was over.

    python -m training.ledger [--as-of 2011-09-10] [--var var]

Prints a line a run and horizon, and one for all runs together; names the runs that wait, and until when; and
writes `VAR/reports/ledger.json`. Nothing dated on or after the date is read.
"""

import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import polars as pl
import typer

from features.cohort import default_as_of
from features.console import Announce, progress, run_command
from features.labels import is_known
from features.layout import Layout
from features.ledger import LedgerError, LedgerRun, list_files, read_rows, read_run
from features.settings import load_settings
from features.snapshot import Snapshot
from features.whole import write_whole
from training.context import Context, open_context
from training.ledger_report import CalibrationBin, ChurnCheck, ClvCheck, LedgerReport, RunCheck, ledger_text
from training.tallies import ChurnTally, Floats, SpendTally

FOUND_SHARE_MIN = 0.5
"""With fewer of a run's customers than this in the history, it is another shop's history."""


@dataclass(slots=True)
class _Tallies:
    churn: dict[int, ChurnTally] = field(default_factory=dict)
    clv: dict[int, SpendTally] = field(default_factory=dict)

    def add(self, other: "_Tallies") -> None:
        for days, counts in other.churn.items():
            self.churn[days] = self.churn[days] + counts if days in self.churn else counts
        for days, sums in other.clv.items():
            self.clv[days] = self.clv[days] + sums if days in self.clv else sums


def ledger_report(context: Context, announce: Announce = lambda _: None) -> LedgerReport:
    """Grade every run of the ledger; a run of which no horizon is over costs no more than a look at it.

    A horizon is over where orders reach its last day: days of which nothing was loaded are not silence.
    A file that cannot be graded is named in `left_out`, and the run before it of the same `as_of` takes its
    place. `announce` is called with the name of each file that is looked at.
    """
    runs: list[RunCheck] = []
    pooled = _Tallies()
    superseded: dict[str, str] = {}
    left_out: dict[str, str] = {}
    until = _known_until(context)
    for paths in _by_as_of(list_files(context.layout.ledger)):
        for place, path in reversed(list(enumerate(paths))):
            announce(path.name)
            try:
                check, tallies = _check_run(context, path, until)
            except LedgerError as error:
                left_out[path.name] = str(error)
                continue
            runs.append(check)
            pooled.add(tallies)
            superseded |= dict.fromkeys((older.name for older in paths[:place]), path.name)
            break
    return LedgerReport(
        as_of=until.date,
        currency=context.history.manifest.currency,
        clv_basis=context.settings.shop.clv_basis,
        runs=tuple(runs),
        churn=_churn_checks(pooled),
        clv=_clv_checks(pooled),
        superseded=superseded,
        left_out=left_out,
    )


def _by_as_of(paths: Iterable[Path]) -> list[list[Path]]:
    """Group files by the date that their name begins with; both orders stay."""
    groups: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        groups[path.name.partition("_")[0]].append(path)
    return list(groups.values())


def _known_until(context: Context) -> Snapshot:
    newest = default_as_of(context.history, context.as_of.time_zone)
    return Snapshot(min(context.as_of.date, newest), context.as_of.time_zone)


def _check_run(context: Context, path: Path, until: Snapshot) -> tuple[RunCheck, _Tallies]:
    run = read_run(path)
    at = Snapshot(run.as_of, run.time_zone)
    over = [days for days in run.horizons_days if is_known(at, horizon_days=days, known_until=until)]
    hidden = [days for days in over if context.builder.is_hidden(at, days, until)]
    over = [days for days in over if days not in hidden]
    tallies, gone_count = _Tallies(), None
    no_money = _why_no_money(context, run)
    if over:
        rows = read_rows(path, run)
        outcomes = context.builder.outcomes(at, over, until).reindex(rows["customer_id"].to_list())
        found = outcomes[f"churned_{over[0]}"].notna().to_numpy()
        _check_found(path, found)
        gone_count = int((~found).sum())
        tallies.churn = _count_churn(run, over, rows, outcomes)
        tallies.clv = {} if no_money else _count_spend(run, over, rows, outcomes)
    check = RunCheck(
        run=run,
        gone_count=gone_count,
        churn=_churn_checks(tallies),
        clv=_clv_checks(tallies),
        clv_left_out=no_money,
        waiting={
            days: run.as_of + timedelta(days) for days in run.horizons_days if days not in {*over, *hidden}
        },
        hidden=tuple(hidden),
    )
    return check, tallies


def _why_no_money(context: Context, run: LedgerRun) -> str | None:
    basis = context.settings.shop.basis
    said = (run.currency, *map(str, run.basis.tags.values()))
    now = (context.history.manifest.currency, *map(str, basis.tags.values()))
    if said == now:
        return None
    return f"spend was said in {' '.join(said)}, and now it is {' '.join(now)}"


def _check_found(path: Path, found: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> None:
    if found.sum() < FOUND_SHARE_MIN * len(found):
        raise LedgerError(
            f"{path} scored {len(found):,} customers, of whom {found.sum():,} are in this history before its "
            "date: it is another shop's; remove the file, or keep each shop in a VAR of its own"
        )


def _count_churn(
    run: LedgerRun, over: Sequence[int], rows: pl.DataFrame, outcomes: pd.DataFrame
) -> dict[int, ChurnTally]:
    tallies = {}
    for days in run.churn_horizons_days:
        if days in over:
            came, said = _known(outcomes[f"churned_{days}"], rows[f"churn_probability_{days}"])
            tallies[days] = ChurnTally.of(came, said)
    return tallies


def _count_spend(
    run: LedgerRun, over: Sequence[int], rows: pl.DataFrame, outcomes: pd.DataFrame
) -> dict[int, SpendTally]:
    tallies = {}
    for days in run.clv_horizons_days:
        if days not in over:
            continue
        names = [f"predicted_clv_{days}"]
        if days == run.clv_horizon_days:
            names += ["predicted_clv_low", "predicted_clv_high"]
        came, said, *bounds = _known(outcomes[f"spend_{days}"], *(rows[name] for name in names))
        tallies[days] = SpendTally.of(came, said, (bounds[0], bounds[1]) if bounds else None)
    return tallies


def _known(outcomes: "pd.Series[float]", *said: pl.Series) -> list[Floats]:
    """Return outcomes and what was said, of the customers of whom everything is known."""
    columns = [outcomes.to_numpy(np.float64), *(column.cast(pl.Float64).to_numpy() for column in said)]
    known = np.isfinite(columns).all(axis=0)
    return [column[known] for column in columns]


def _churn_checks(tallies: _Tallies) -> tuple[ChurnCheck, ...]:
    return tuple(
        ChurnCheck(
            horizon_days=days,
            customer_count=tally.customer_count,
            predicted_share=tally.predicted_share,
            churned_share=tally.churned_share,
            log_loss=tally.log_loss,
            auc=tally.auc,
            ece=tally.ece,
            calibration=tuple(
                CalibrationBin(predicted_share=said, churned_share=came, customer_count=int(count))
                for said, came, count in tally.calibration_table().tolist()
            ),
        )
        for days, tally in sorted(tallies.churn.items())
        if tally.customer_count
    )


def _clv_checks(tallies: _Tallies) -> tuple[ClvCheck, ...]:
    return tuple(
        ClvCheck(
            horizon_days=days,
            customer_count=tally.customer_count,
            predicted_total=round(tally.predicted_total, 2),
            actual_total=round(tally.actual_total, 2),
            total_bias=tally.total_bias,
            above_high_share=tally.above_high_share,
            inside_share=tally.inside_share,
        )
        for days, tally in sorted(tallies.clv.items())
        if tally.customer_count
    )


def _command(
    *,
    as_of: Annotated[str | None, typer.Option(help="as if that day were today (ISO date)")] = None,
    var: Annotated[Path, typer.Option(envvar="VAR", help="where everything that is written lies")] = Path(
        "var"
    ),
) -> None:
    """Grade what published runs said against what happened."""
    layout = Layout(var)
    context = open_context(layout, load_settings(), as_of=as_of)
    with progress("grade", total=len(list_files(layout.ledger))) as announce:
        report = ledger_report(context, announce)
    path = layout.reports / "ledger.json"
    write_whole(path, report.model_dump_json(indent=1) + "\n")
    sys.stdout.write(context.warning + ledger_text(report))
    sys.stdout.write(f"\nwritten to {path}\n")


if __name__ == "__main__":
    run_command(_command)
