"""Where customers moved from where to where, and how many stood at each stage month by month."""

import json
from datetime import date
from typing import Annotated, Any, Final, Literal, NamedTuple

import orjson
from fastapi import APIRouter, Query, Request, Response

from serving.console import words
from serving.console.figures import Figures
from serving.console.flows import Flow, sankey
from serving.console.pages import PageRoute, page
from serving.console.tongues import Tongue, tongue_of
from serving.console.words import marked
from serving.exports.csv_lines import csv_lines
from serving.store.records import RunMeta
from serving.web.calls import Taken
from serving.web.context import context_of
from serving.web.scopes import needs

router = APIRouter(route_class=PageRoute, include_in_schema=False)

By = Annotated[Literal["groups", "stages"], Query()]
ATTRIBUTE_OF: Final = {"groups": "rfm_segment", "stages": "clock_stage"}
_NAMES_OF: Final = {"groups": words.GROUPS, "stages": words.STAGES}
_NOT_YET: Final = {"PROSPECTS": marked("Not yet a customer"), "prospect": marked("not yet a customer")}
_UNKNOWN: Final = marked("not known")
_SHOWN: Final = 15
_NOWHERE: Final = ""
"""Stands for a group that is not known, in pictures and files."""
COLUMNS: Final = ("before_date", "as_of", "from", "to", "customer_count", "spend_365", "currency")


class Move(NamedTuple):
    """A line of the table: so many customers, the money of their last 365 days, and who they are."""

    start: str
    end: str
    customer_count: int
    spend: float
    condition: str

    @property
    def is_move(self) -> bool:
        """Whether they are elsewhere than they were; whoever is new is, too."""
        return self.start != self.end

    @property
    def kind(self) -> str:
        """How they are counted: `moved`, `new`, `stayed`, or `unknown` where a group is not known."""
        if _NOWHERE in (self.start, self.end):
            return "unknown"
        if self.start in _NOT_YET:
            return "new"
        return "moved" if self.is_move else "stayed"


@router.get("/moves", openapi_extra=needs("audiences:read"))
async def show_moves(request: Request, by: By = "groups") -> Response:
    """Show from which group or stage to which customers went, and the stages at the start of each month."""
    run, spoken = context_of(request).runs.current(), tongue_of(request)
    document, counts = await run.get_document("moves"), await run.get_document("stages")
    found = None if document is None else orjson.loads(document)
    months = [] if counts is None else orjson.loads(counts)
    moves = [] if found is None else moves_of(found[by], by)
    before = None if found is None else date.fromisoformat(found["before_date"])
    return page(
        request,
        "moves.html",
        meta=run.meta,
        by=by,
        before=before,
        days=None if before is None else (run.meta.as_of - before).days,
        moves=moves,
        shown=_SHOWN,
        sums=sums_of(moves),
        names=names_of(spoken, by),
        picture=_picture(moves, spoken, by, meta=run.meta),
        months=months,
        stages=stages_of(months),
    )


@router.get("/moves.csv", openapi_extra=needs("audiences:read"))
async def export_moves(request: Request, by: By = "groups") -> Response:
    """Return the moves as CSV that a spreadsheet runs nothing of: counts and money, nobody's id."""
    run = context_of(request).runs.current()
    meta, document = run.meta, await run.get_document("moves")
    found = {by: []} if document is None else orjson.loads(document)
    rows = [
        (found["before_date"], meta.as_of.isoformat(), *move[:4], meta.currency)
        for move in moves_of(found[by], by)
    ]
    request.scope["taken"] = Taken(f"moves-{by}", "excel", is_whole=True)
    name = f"moves-{by}-{meta.as_of.isoformat()}.csv"
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    return Response(
        csv_lines([COLUMNS, *rows], excel=True, mark=True), 200, headers, "text/csv; charset=utf-8"
    )


def moves_of(rows: list[dict[str, Any]], by: str) -> list[Move]:
    """Return the lines of a document's part, the largest money first, with the condition that finds them."""
    now = ATTRIBUTE_OF[by]
    return [
        Move(
            row["from"] or _NOWHERE,
            row["to"] or _NOWHERE,
            row["customer_count"],
            row["spend_365"],
            f"{_is(f'{now}_before', row['from'])} and {_is(now, row['to'])}",
        )
        for row in rows
    ]


def sums_of(moves: list[Move]) -> dict[str, int]:
    """Return how many customers moved, are new, stayed, and of how many one of the groups is not known."""
    kinds = ("moved", "new", "stayed", "unknown")
    return {kind: sum(each.customer_count for each in moves if each.kind == kind) for kind in kinds}


def stages_of(months: list[dict[str, Any]]) -> list[str]:
    """Return the stages that anybody had in any of the months, in their order."""
    seen = {stage for month in months for stage, count in month["stages"].items() if count}
    return [*(stage for stage in words.STAGES if stage in seen), *sorted(seen - set(words.STAGES))]


def names_of(spoken: Tongue, by: str) -> dict[str, str]:
    """Return what groups or stages are called in the reader's language."""
    named = {**_NAMES_OF[by], **_NOT_YET, _NOWHERE: _UNKNOWN}
    return {code: spoken.say(name) for code, name in named.items()}


def _is(name: str, value: str | None) -> str:
    return f"{name} is null" if value is None else f"{name} == {json.dumps(value, ensure_ascii=False)}"


def _picture(moves: list[Move], spoken: Tongue, by: str, *, meta: RunMeta) -> Any:  # noqa: ANN401 - markup or nothing
    if not moves:
        return None
    named, figures = names_of(spoken, by), Figures(spoken.locale)
    order = [*_NAMES_OF[by], _NOWHERE]
    known = named | {code: code for move in moves for code in (move.start, move.end) if code not in named}
    flows = [
        Flow(
            move.start,
            move.end,
            move.customer_count,
            f"{known[move.start]} → {known[move.end]}: {figures.count(move.customer_count)}, "
            f"{figures.money(move.spend, meta.currency)}",
        )
        for move in moves
    ]
    order += [code for code in known if code not in order]
    return sankey(flows, names=known, order=order, title=spoken.say("From where to where customers moved"))
