"""Writing a scored shop: its lists, tables, pages and rows, and the step that makes the run the live one.

Everything that grows with the customers is written a range of them at a time, in the order of their ids.
"""

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Final

import numpy as np
import orjson
import polars as pl

from features.condition_values import Standpoint
from features.console import Announce
from features.errors import UserError
from serving.audiences.control_group import ControlGroup
from serving.exports.member_csv import STORED_CELLS
from serving.exports.member_lines import KeptLines, LineMaker, first_recommendations
from serving.exports.run_files import MailFile, RecommendationFile, write_bundles
from serving.present import RunView
from serving.rows import STORED_NAMES
from serving.scoring.audience_rules import (
    DUE,
    AudienceList,
    audience_columns,
    build_audiences,
    compile_audiences,
)
from serving.scoring.bucket_files import bucket_paths, read_customers
from serving.scoring.ledger import keep_run
from serving.scoring.list_files import write_shop_lists
from serving.scoring.micro_segments import TREE_COLUMNS, micro_segments
from serving.scoring.moves import MOVES_COLUMNS, moves_documents
from serving.scoring.request import Request
from serving.scoring.rescore_queue import RescoreQueue
from serving.scoring.shop import ScoredRun
from serving.scoring.shop_pages import PAGE_COLUMNS, knowledge_documents, shop_documents
from serving.scoring.sorted_files import merge_sorted, merge_streams, range_edges
from serving.scoring.timelines import Said, build_timelines, write_orders
from serving.segments.trait_rows import NUMBER_NAMES, trait_cuts, write_purchases, write_traits
from serving.store.contract import RunWriter
from serving.store.records import RunMeta
from serving.wording import Wording

# As a table the lists of a customer are some 200 rows.
_LISTED_AT_ONCE: Final = 1_000


def make_list_files(scored: ScoredRun, announce: Announce, *, as_tables: bool) -> None:
    """Make every list once, a bucket of customers at a time, and put it down beside the run's rows."""
    scored.workers.write("lists and tables" if as_tables else "lists", announce)
    write_shop_lists(scored.lists, folder=scored.folder)


def write_lists(scored: ScoredRun, writer: RunWriter | None, out: Path | None) -> None:
    """Write the lists that were made to the run, to files, or both."""
    if writer is not None:
        writer.write_recommendations(chain.from_iterable(part.iter_rows() for part in scored.merged("lists")))
        writer.write_owned(chain.from_iterable(part.iter_rows() for part in scored.merged("owned")))
    if out is not None:
        _write_list_files(scored, out)


def _write_list_files(scored: ScoredRun, out: Path) -> None:
    items = {item.item_no: item for item in scored.lists.items}
    edges = range_edges(scored.rows.paths, rows=_LISTED_AT_ONCE)
    with ExitStack() as stack:
        rows = stack.enter_context(RecommendationFile(out))
        mails = stack.enter_context(MailFile(out, view=RunView(scored.meta, Wording()), items=items))
        for part in merge_sorted(bucket_paths(scored.folder, "recommendations"), edges):
            if part.height:
                rows.write(part)
        for part in scored.merged("lists"):
            mails.write(part.iter_rows())
    write_bundles(scored.lists.pairs(), out)


def write_segment_tables(scored: ScoredRun, writer: RunWriter, due: pl.DataFrame) -> dict[str, list[float]]:
    """Write what segments are chosen by; returns the cut points of its numbers."""
    nearest = merge_streams([iter([due.sort("customer_id")])], scored.edges)
    write_traits(writer, zip(scored.rows.parts(), nearest, strict=True))
    ids = scored.rows.read("customer_id")["customer_id"]
    write_purchases(writer, ids, scored.lists.history, scored.lists.snapshot)
    known = (scored.rows.read(name)[name] for name in NUMBER_NAMES if name != DUE)
    return trait_cuts(chain(known, [due[DUE]]))


def list_audiences(scored: ScoredRun, due: pl.DataFrame, request: Request) -> list[AudienceList]:
    """Return the named lists of a scored shop; `due` is `scored.nearest()`, as above."""
    at = Standpoint(scored.meta.as_of, scored.meta.time_zone)
    rules = compile_audiences(request.settings.audiences, at)
    group = ControlGroup.of(request.layout.private)
    rows = scored.rows.read(*audience_columns(rules))
    return build_audiences(rows, due, rules, control=request.settings.control, group=group)


def write_pages(scored: ScoredRun, writer: RunWriter, meta: RunMeta, request: Request) -> None:
    """Write what pages about customers and the shop show beside the scores."""
    rows, history, snapshot = scored.rows, request.history, request.snapshot
    said = Said.find(request.layout.ledger, meta)
    for bucket in range(history.manifest.bucket_count):
        ids = pl.Series(read_customers(scored.folder, bucket), dtype=pl.String)
        write_orders(history, snapshot, bucket=bucket, customer_ids=ids, folder=scored.folder)
    writer.write_timelines(build_timelines(scored.merged("orders"), said.parts(scored.edges), scored.past))
    shown = rows.read(*PAGE_COLUMNS)
    writer.write_documents(shop_documents(shown, meta, history=history, snapshot=snapshot, said=said))
    writer.write_documents(moves_documents(rows.read(*MOVES_COLUMNS), scored.past))
    writer.write_documents(
        knowledge_documents(history, snapshot, request.settings, suppressed=scored.suppressed)
    )
    floor = request.settings.segments.leaf_customers_min
    tree = micro_segments(rows.read(*TREE_COLUMNS), leaf_customers_min=floor)
    writer.write_documents({"micro_segments": orjson.dumps(tree).decode()})


def publish(
    scored: ScoredRun,
    writer: RunWriter,
    meta: RunMeta,
    audiences: Sequence[AudienceList],
    *,
    before: Callable[[RunMeta], None],
) -> RunMeta:
    """Write the rows of a scored shop beside its lists, and make the run the live one.

    `meta` is the run as it will be; `before` is called with it at the last moment before that.
    """
    writer.write_scores(scored.stored_rows())
    writer.write_items(scored.lists.items)
    for table in scored.lists.item_tables():
        writer.write_item_lists(scored.lists.pack_items(table))
    with _member_lines(scored, meta, audiences) as lines:
        for audience in audiences:
            writer.write_audience(audience.slug, audience.customer_ids, lines.of(audience.places))
    before(meta)
    return writer.publish(meta)


def _member_lines(scored: ScoredRun, meta: RunMeta, audiences: Sequence[AudienceList]) -> KeptLines:
    """Make the line of everybody who is in a list."""
    is_member = np.zeros(scored.rows.height, dtype=np.bool_)
    for audience in audiences:
        is_member[audience.places.to_numpy()] = True
    lines = KeptLines(scored.folder, is_member)
    maker = LineMaker({item.item_no: item for item in scored.lists.items}, meta)
    for rows, lists in zip(scored.rows.parts(STORED_CELLS), scored.merged("lists"), strict=True):
        lines.add(rows, first_recommendations(lists.iter_rows()), maker)
    return lines


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
    warn_of(keep_run(scored.rows.parts(STORED_NAMES), meta, request.layout, request.settings))


def warn_of(problem: str | None) -> None:
    """Say a problem on standard error; None is none."""
    if problem is not None:
        sys.stderr.write(f"{problem}\n")
