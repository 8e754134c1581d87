"""`make score`: champions + the newest snapshot -> one score row a customer, one published score run.

    python -m serving.score [--as-of 2011-09-10] [--out dir] [--publish-anyway] [--var var]

Nothing dated on or after the date is read. The date defaults to the day after the newest order; an earlier
one writes files and never replaces the live run. Nor does one whose scores are far from the live run's, until
somebody looked (`serving.scoring.publish_gate`).
"""

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Annotated

import orjson
import typer

from features.cohort import default_as_of, read_as_of
from features.condition_values import Standpoint
from features.console import Announce, progress, run_command
from features.errors import UserError
from features.history import History
from features.layout import Layout
from features.settings import Settings, load_settings
from features.settle import BasisNote, settle_basis
from features.snapshot import Snapshot, instant_of
from serving.audiences.control_group import ControlGroup
from serving.audiences.kept_members import keep_before_publishing
from serving.audiences.named import AT_RISK
from serving.changes.due import Due
from serving.changes.report import report_changes
from serving.databases import open_state, open_store
from serving.environment import Environment
from serving.exports.member_csv import LINE_NAMES
from serving.exports.member_lines import LineMaker, TopProducts
from serving.exports.run_files import MailFile, RecommendationFile, write_bundles, write_scores
from serving.people.address_index import is_current, write_index
from serving.present import RunView
from serving.registry import RegistryError, load_champions
from serving.scoring.audience_rules import AudienceList, build_audiences, compile_audiences
from serving.scoring.ledger import keep_run
from serving.scoring.micro_segments import micro_segments
from serving.scoring.moves import moves_documents
from serving.scoring.publish_gate import check_like_the_last, check_numbers
from serving.scoring.rescore_queue import RescoreQueue
from serving.scoring.shop import ScoredRun, Scorers, score_shop
from serving.scoring.shop_pages import knowledge_documents, shop_documents
from serving.scoring.timelines import build_timelines, read_said
from serving.segments.history import keep_sizes, live_run_before
from serving.segments.trait_rows import TraitTable, write_traits
from serving.state.database import State
from serving.state.inbox import Inbox
from serving.state.suppressions import Suppressions
from serving.store.contract import RunWriter, ScoreStore
from serving.store.records import RunMeta
from serving.wording import Wording


class ScoreError(UserError):
    """A scoring run cannot be made as asked."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to score: a history as of a date, and where to; the settings have the basis that it allows."""

    layout: Layout
    store: ScoreStore
    state: State
    settings: Settings
    history: History
    snapshot: Snapshot
    out: Path | None
    is_past: bool
    inbox_sequence: int = 0
    basis_note: BasisNote | None = None
    is_looked_at: bool = False


def open_request(environment: Environment, *, as_of: str | None, out: Path | None) -> Request:
    """Open the history for a date; raises `ScoreError` for a past date without `out`."""
    settings, layout = load_settings(), environment.layout
    compile_audiences(settings.audiences)
    state = open_state(environment)
    # Before the history is opened: what it holds beyond this number is counted twice, never missed.
    heard = Inbox(state).folded_through() if state.exists() else 0
    history = History.open(layout.history)
    newest = default_as_of(history, settings.shop.time_zone)
    day = read_as_of(as_of, history, settings.shop.time_zone)
    if day < newest and out is None:
        raise ScoreError(
            f"AS_OF={day} lies before the newest data ({newest}): such a run never goes live; "
            "name a folder for its files with OUT=dir"
        )
    snapshot = Snapshot(day, settings.shop.time_zone, settings.features.observation_days or None)
    _check_begun(history, snapshot)
    settled = settle_basis(settings, history, snapshot)
    return Request(
        layout=layout,
        store=open_store(environment),
        state=state,
        inbox_sequence=heard,
        settings=settled.settings,
        history=history,
        snapshot=snapshot,
        out=out,
        is_past=day < newest,
        basis_note=settled.note,
    )


def run_scoring(request: Request, announce: Announce) -> RunMeta:
    """Score a request: publish unless its date is past, write files where asked.

    Raises `GateError` where the scores may not go live.
    """
    with ExitStack() as stack:
        # Begun before the work, so that a second scoring run stops at once instead of after it.
        writer = None if request.is_past else stack.enter_context(request.store.begin_run())
        announce("champions")
        scorers = load_scorers(request.layout, as_of=request.snapshot.date)
        check_basis(scorers, request.history, request.settings)
        scored = score_shop(
            request.history,
            request.snapshot,
            scorers,
            settings=request.settings,
            announce=announce,
            basis_note=request.basis_note,
            # Read once the run is begun: whoever is erased from now on waits for its end.
            suppressed=Suppressions(request.state, request.layout.root).read(),
        )
        _pass_gate(scored, request)
        announce("recommendations")
        due, tops = write_lists(scored, writer, request.out)
        announce("publishing" if writer else "writing")
        audiences = list_audiences(scored, due, request)
        counts = {audience.slug: audience.counts for audience in audiences}
        meta = scored.meta.model_copy(update={"audiences": counts, "inbox_sequence": request.inbox_sequence})
        if writer is not None:
            before = live_run_before(request.store)
            made = {"score_run_id": writer.score_run_id, "line_columns": list(LINE_NAMES)}
            meta = meta.model_copy(update=made)
            meta = meta.model_copy(update={"cuts": write_segment_tables(scored, writer, due)})
            write_pages(scored, writer, meta, request)
            _warn(keep_before_publishing(request.layout, request.state, request.store))
            meta = publish(scored, writer, meta, audiences, tops=tops, before=partial(_score_late, request))
            keep_in_ledger(scored, meta, request)
            announce("changes")
            _warn(report_changes(scored, meta, request.state, request.settings, due=due.items))
            _warn(keep_sizes(request.store, request.state, meta, before))
        if request.out is not None:
            write_scores(scored.scores.rows, meta, request.out)
    return meta


def _pass_gate(scored: ScoredRun, request: Request) -> None:
    check_numbers(scored.scores.rows)
    if not request.is_past and not request.is_looked_at:
        check_like_the_last(scored.scores.rows, scored.meta, request.store)


def write_lists(scored: ScoredRun, writer: RunWriter | None, out: Path | None) -> tuple[Due, TopProducts]:
    """Make every list once; write it to the run, the files, or both.

    Returns what falls due, and what is recommended first.
    """
    tops = TopProducts()
    due = Due(scored.lists.items, scored.meta.as_of, scored.lists.settings.changes.due_within_days)
    items = {item.item_no: item for item in scored.lists.items}
    with ExitStack() as stack:
        rows, mails = None, None
        if out is not None:
            rows = stack.enter_context(RecommendationFile(out))
            mails = stack.enter_context(MailFile(out, view=RunView(scored.meta, Wording()), items=items))
        for made in scored.list_tables():
            packed = list(scored.lists.pack(made.table))
            due.add(made)
            tops.add(packed)
            if writer is not None:
                writer.write_recommendations(packed)
                writer.write_owned(made.owned)
            if rows is not None and mails is not None:
                rows.write(made.table)
                mails.write(packed)
    if out is not None:
        write_bundles(scored.lists.pairs(), out)
    return due, tops


def write_segment_tables(scored: ScoredRun, writer: RunWriter, due: Due) -> dict[str, list[float]]:
    """Write what segments are chosen by; returns the cut points of its numbers."""
    traits = TraitTable.of(scored.scores.rows, scored.traits, due.nearest())
    write_traits(writer, traits, scored.lists.history, scored.lists.snapshot)
    return traits.cuts()


def list_audiences(scored: ScoredRun, due: Due, request: Request) -> list[AudienceList]:
    """Return the named lists of a scored shop; `due` is what `write_lists` returned."""
    at = Standpoint(scored.meta.as_of, scored.meta.time_zone)
    rules = compile_audiences(request.settings.audiences, at)
    group = ControlGroup.of(request.layout.private)
    return build_audiences(
        scored.scores.rows, due.nearest(), rules, control=request.settings.control, group=group
    )


def write_pages(scored: ScoredRun, writer: RunWriter, meta: RunMeta, request: Request) -> None:
    """Write what pages about customers and the shop show beside the scores."""
    said = read_said(request.layout.ledger, meta)
    rows, history, snapshot = scored.scores.rows, request.history, request.snapshot
    monthly = scored.past.monthly
    writer.write_timelines(
        build_timelines(history, snapshot, said, monthly=monthly, customer_ids=rows["customer_id"])
    )
    writer.write_documents(shop_documents(rows, meta, history=history, snapshot=snapshot, said=said))
    writer.write_documents(moves_documents(rows, scored.traits, scored.past))
    writer.write_documents(knowledge_documents(history, snapshot, request.settings))
    known = scored.traits.select("customer_id", *set(scored.traits.columns).difference(rows.columns))
    told = rows.join(known, on="customer_id", how="left")
    tree = micro_segments(told, leaf_customers_min=request.settings.segments.leaf_customers_min)
    writer.write_documents({"micro_segments": orjson.dumps(tree).decode()})


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


def publish(
    scored: ScoredRun,
    writer: RunWriter,
    meta: RunMeta,
    audiences: Sequence[AudienceList],
    *,
    tops: TopProducts,
    before: Callable[[RunMeta], None],
) -> RunMeta:
    """Write the rows of a scored shop beside its lists, and make the run the live one.

    `meta` is the run as it will be; `before` is called with it at the last moment before that.
    """
    writer.write_scores(scored.stored_rows())
    writer.write_items(scored.lists.items)
    for table in scored.lists.item_tables():
        writer.write_item_lists(scored.lists.pack_items(table))
    lines = LineMaker(scored.scores.rows, tops, {item.item_no: item for item in scored.lists.items}, meta)
    for audience in audiences:
        writer.write_audience(audience.slug, audience.customer_ids, lines.of(audience.customer_ids))
    before(meta)
    return writer.publish(meta)


def _score_late(request: Request, meta: RunMeta) -> None:
    """Score customers again of whom something was heard while the run was made."""
    if not request.state.exists():
        return
    try:
        RescoreQueue(request.state, request.layout, request.settings, meta).drain()
    except (UserError, OSError) as error:
        _warn(f"warning: what was heard while the run was made is left to the worker: {error}")


def keep_in_ledger(scored: ScoredRun, meta: RunMeta, request: Request) -> None:
    """Keep what a published run said, so that it can be graded; a failure is one line on standard error."""
    _warn(keep_run(scored.scores.rows, meta, request.layout, request.settings))


def _warn(problem: str | None) -> None:
    if problem is not None:
        sys.stderr.write(f"{problem}\n")


def _check_begun(history: History, snapshot: Snapshot) -> None:
    first = history.manifest.first_order_days
    if first is None or first >= snapshot.end_days:
        begins = "no order at all" if first is None else f"orders from {instant_of(first).date()} on"
        raise ScoreError(f"nobody had ordered before {snapshot.date}: the history holds {begins}")


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
    with progress("score", total=6 + request.history.manifest.bucket_count) as announce:
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
