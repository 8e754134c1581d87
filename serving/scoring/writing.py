"""Writing a scored shop: its lists, tables, pages and rows, and the step that makes the run the live one."""

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import orjson

from features.condition_values import Standpoint
from features.errors import UserError
from serving.audiences.control_group import ControlGroup
from serving.changes.due import Due
from serving.exports.member_lines import LineMaker, TopProducts
from serving.exports.run_files import MailFile, RecommendationFile, write_bundles
from serving.present import RunView
from serving.scoring.audience_rules import AudienceList, build_audiences, compile_audiences
from serving.scoring.ledger import keep_run
from serving.scoring.micro_segments import micro_segments
from serving.scoring.moves import moves_documents
from serving.scoring.request import Request
from serving.scoring.rescore_queue import RescoreQueue
from serving.scoring.shop import ScoredRun
from serving.scoring.shop_pages import knowledge_documents, shop_documents
from serving.scoring.timelines import build_timelines, read_said
from serving.segments.trait_rows import TraitTable, write_traits
from serving.store.contract import RunWriter
from serving.store.records import RunMeta
from serving.wording import Wording


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
    writer.write_documents(
        knowledge_documents(history, snapshot, request.settings, suppressed=scored.suppressed)
    )
    known = scored.traits.select("customer_id", *set(scored.traits.columns).difference(rows.columns))
    told = rows.join(known, on="customer_id", how="left")
    tree = micro_segments(told, leaf_customers_min=request.settings.segments.leaf_customers_min)
    writer.write_documents({"micro_segments": orjson.dumps(tree).decode()})


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


def score_late(request: Request, meta: RunMeta) -> None:
    """Score customers again of whom something was heard while the run was made."""
    if not request.state.exists():
        return
    try:
        RescoreQueue(request.state, request.layout, request.settings, meta).drain()
    except (UserError, OSError) as error:
        warn_of(f"warning: what was heard while the run was made is left to the worker: {error}")


def keep_in_ledger(scored: ScoredRun, meta: RunMeta, request: Request) -> None:
    """Keep what a published run said, so that it can be graded; a failure is one line on standard error."""
    warn_of(keep_run(scored.scores.rows, meta, request.layout, request.settings))


def warn_of(problem: str | None) -> None:
    """Say a problem on standard error; None is none."""
    if problem is not None:
        sys.stderr.write(f"{problem}\n")
