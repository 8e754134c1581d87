"""`make score`: champions + the newest snapshot -> one score row a customer, one published score run.

    python -m serving.score [--as-of 2011-09-10] [--out dir] [--publish-anyway] [--var var]

Nothing dated on or after the date is read. The date defaults to the day after the newest order; an earlier
one writes files and never replaces the live run. Nor does one whose scores are far from the live run's, until
somebody looked (`serving.scoring.publish_gate`).
"""

import sys
from contextlib import ExitStack
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from features.console import Announce, progress, run_command
from features.history import History
from features.layout import Layout
from features.settings import Settings
from serving.audiences.kept_members import keep_before_publishing
from serving.audiences.named import AT_RISK
from serving.changes.report import report_changes
from serving.environment import Environment
from serving.exports.member_csv import LINE_NAMES
from serving.exports.run_files import write_scores
from serving.people.address_index import is_current, write_index
from serving.registry import RegistryError, load_champions
from serving.rows import STORED_NAMES
from serving.scoring.publish_gate import COMPARED_COLUMNS, check_like_the_last, check_numbers
from serving.scoring.request import Request, open_request
from serving.scoring.shop import ScoredRun, Scorers, score_shop
from serving.scoring.working_folder import working_folder
from serving.scoring.writing import (
    keep_in_ledger,
    list_audiences,
    make_list_files,
    publish,
    score_late,
    warn_of,
    write_lists,
    write_pages,
    write_segment_tables,
)
from serving.segments.history import keep_sizes, live_run_before
from serving.state.suppressions import Suppressions
from serving.store.contract import RunWriter
from serving.store.records import RunMeta


def run_scoring(request: Request, announce: Announce) -> RunMeta:
    """Score a request: publish unless its date is past, write files where asked.

    Raises `GateError` where the scores may not go live.
    """
    with ExitStack() as stack:
        # Begun before the work, so that a second scoring run stops at once instead of after it.
        writer = None if request.is_past else stack.enter_context(request.store.begin_run())
        folder = stack.enter_context(working_folder(request.layout.root))
        announce("champions")
        scorers = load_scorers(request.layout, as_of=request.snapshot.date)
        check_basis(scorers, request.history, request.settings)
        scored = score_shop(
            request.history,
            request.snapshot,
            scorers,
            settings=request.settings,
            folder=folder,
            announce=announce,
            basis_note=request.basis_note,
            # Read once the run is begun: whoever is erased from now on waits for its end.
            suppressed=Suppressions(request.state, request.layout.root).read(),
        )
        return _finish(scored, request, writer, announce)


def _finish(scored: ScoredRun, request: Request, writer: RunWriter | None, announce: Announce) -> RunMeta:
    """Make the lists of a scored shop, and publish all of it or write its files, or both."""
    _pass_gate(scored, request)
    make_list_files(scored, announce, as_tables=request.out is not None)
    announce("publishing" if writer else "writing")
    write_lists(scored, writer, request.out)
    due = scored.nearest()
    audiences = list_audiences(scored, due, request)
    counts = {audience.slug: audience.counts for audience in audiences}
    meta = scored.meta.model_copy(update={"audiences": counts, "inbox_sequence": request.inbox_sequence})
    if writer is not None:
        before = live_run_before(request.store)
        made = {"score_run_id": writer.score_run_id, "line_columns": list(LINE_NAMES)}
        meta = meta.model_copy(update=made)
        meta = meta.model_copy(update={"cuts": write_segment_tables(scored, writer, due)})
        write_pages(scored, writer, meta, request)
        warn_of(keep_before_publishing(request.layout, request.state, request.store))
        meta = publish(scored, writer, meta, audiences, before=partial(score_late, request))
        keep_in_ledger(scored, meta, request)
        announce("changes")
        warn_of(report_changes(scored, meta, request.state, request.settings))
        warn_of(keep_sizes(request.store, request.state, meta, before))
    if request.out is not None:
        write_scores(scored.rows.parts(STORED_NAMES), meta, request.out)
    return meta


def _pass_gate(scored: ScoredRun, request: Request) -> None:
    check_numbers(scored.rows.parts(STORED_NAMES))
    if not request.is_past and not request.is_looked_at:
        check_like_the_last(scored.rows.read(*COMPARED_COLUMNS), scored.meta, request.store)


def load_scorers(layout: Layout, *, as_of: date) -> Scorers:
    """Load the champions; churn and value must be there, the recommender may be missing."""
    found = load_champions(layout, as_of=as_of)
    missing = " and ".join(task for task in ("churn", "clv") if task not in found)
    if missing:
        raise RegistryError(f"there is no {missing} champion yet; run `make train evaluate promote` first")
    return Scorers(found["churn"], found["clv"], found.get("recommender"))


def check_basis(scorers: Scorers, history: History, settings: Settings) -> None:
    """Raise `RegistryError` where a champion learnt from another basis than the one it would score."""
    today = {
        **settings.shop.basis.tags,
        "time_zone": settings.shop.time_zone,
        "observation_days": settings.features.observation_days,
        "currency": history.manifest.currency,
    }
    for champion in (scorers.churn, scorers.clv):
        learnt = champion.bundle.info
        differing = [name for name, value in today.items() if name in learnt and learnt[name] != value]
        if differing:
            was = ", ".join(f"{name} {learnt[name]}" for name in differing)
            now = ", ".join(f"{name} {today[name]}" for name in differing)
            raise RegistryError(
                f"the {champion.task} champion was trained with {was}, and now it is {now}; "
                "run `make train evaluate promote` first"
            )


def _command(
    *,
    as_of: Annotated[str | None, typer.Option(help="as if that day were today (ISO date)")] = None,
    out: Annotated[
        Path | None, typer.Option(help="also write scores, recommendations and bundles as Parquet and CSV")
    ] = None,
    publish_anyway: Annotated[
        bool, typer.Option("--publish-anyway", help="after a look: also where scores are far from the last")
    ] = False,
    var: Annotated[Path, typer.Option(envvar="VAR", help="where everything that is written lies")] = Path(
        "var"
    ),
) -> None:
    """Score every customer with the champions and publish the run; a past date only writes files."""
    request = open_request(Environment(var=var), as_of=as_of, out=out)
    request = replace(request, is_looked_at=publish_anyway)
    with progress("score", total=5 + 2 * request.history.manifest.bucket_count) as announce:
        meta = run_scoring(request, announce)
    if not is_current(request.layout.private):
        write_index(request.layout.private)
    sys.stdout.write(summary(meta, is_past=request.is_past))


def summary(meta: RunMeta, *, is_past: bool) -> str:
    """Say in two lines what a run found."""
    live = "not published: the date is past" if is_past else f"live as {meta.score_run_id}"
    counts = meta.audiences.get(AT_RISK)
    lines = [f"as of {meta.as_of} · {meta.customer_count} customers · {live}"]
    if meta.usual_churn_probability is not None and meta.high_from_probability is not None:
        lines.append(
            f"usual churn risk {meta.usual_churn_probability:.1%} within {meta.churn_horizon_days} days, "
            f"high from {meta.high_from_probability:.1%}"
            + (
                f" · {counts.member_count} at risk, {counts.value_at_risk_total} {meta.currency} at stake"
                if counts
                else ""
            )
        )
    if meta.clv_discount_rate:
        lines.append(f"predicted CLV is today's worth, at {100 * meta.clv_discount_rate:.4g} % a year")
    lines += [f"warning: {warning.text}" for warning in meta.warnings]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    run_command(_command)
