"""An audience as CSV, a chunk at a time: the flat names, reasons and a suggested action in words, an offer.

Then come the grade of the churn model, the same in every row, since a list outlives the page that warned of
an F; whether the control group holds the member, and with which probability it was drawn. The columns of
recommended items follow where they are asked for.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

from serving.audiences.leaving import LeavingPeople
from serving.audiences.named import Audience, Listed
from serving.exports.actions import suggester
from serving.exports.csv_lines import CHUNK_ROWS, csv_lines, plain_lines
from serving.offers.slot_export import ItemColumns
from serving.present import RunView, run_constants
from serving.rows import RUN_NAMES, STORED_NAMES
from serving.store.contract import ScoreRun
from serving.store.records import LINE, Item, RunMeta, StoredRow

SCORE_NAMES: Final = (
    "customer_id",
    "risk_band",
    "churn_probability",
    "usual_churn_probability",
    "churn_horizon_days",
    "value_at_risk",
    "predicted_clv",
    "predicted_clv_low",
    "predicted_clv_high",
    "clv_horizon_days",
    "historic_clv",
    "currency",
    "clv_basis",
    "historic_number_of_orders",
    "average_days_between_orders",
    "last_order_at",
    "next_order_p50_date",
    "rfm_segment",
    "lifecycle_stage",
    "email_consent",
)
LINE_NAMES: Final = (
    *SCORE_NAMES,
    "reasons",
    "suggested_action",
    "suggested_action_text",
    "top_recommendation",
    "top_recommendation_name",
    "as_of",
    "score_run_id",
    "churn_grade",
)
"""What a run knows of a member in whatever list; it is kept as a line with each place of a list."""

KEPT_LANGUAGE: Final = "en"
"""The language of the lines that a run keeps; those of others are made while they are read."""

HEADER: Final = (*LINE_NAMES, "control_group", "control_group_share")
_REASONS_SHOWN: Final = 3
_WORDS: Final = {None: None, 0: "false", 1: "true"}
_FLAGS: Final = {None: None, 0: False, 1: True}
STORED_CELLS: Final = (
    *(name for name in SCORE_NAMES if name in STORED_NAMES),
    "churn_probability_365",
    "reasons",
    "as_of",
)
"""The stored columns that a member's cells are made of; the id comes first."""

_REASONS_AT: Final = STORED_CELLS.index("reasons")
_CONSENT_AT: Final = STORED_CELLS.index("email_consent")
_STAGE_AT: Final = STORED_CELLS.index("lifecycle_stage")
_YEAR_RISK_AT: Final = STORED_CELLS.index("churn_probability_365")
_STORED_PICK: Final = itemgetter(*(STORED_NAMES.index(name) for name in STORED_CELLS))
_OWN: Final = (
    "email_consent",
    "reasons",
    "suggested_action",
    "suggested_action_text",
    "top_recommendation",
    "top_recommendation_name",
)
_PICK: Final = itemgetter(
    # What is made of a row comes first: it counts, where a name stands there twice.
    *((*_OWN, *STORED_CELLS, *RUN_NAMES, "churn_grade").index(name) for name in LINE_NAMES)
)
_STORED_LINE: Final = ("customer_id", LINE)


async def stream_csv(
    people: LeavingPeople, view: RunView, *, excel: bool, items: ItemColumns
) -> AsyncIterator[tuple[int, bytes]]:
    """Yield (how many members, their lines), all people in their order, the header first.

    Memory holds one chunk, and others are answered between two.
    """
    yield 0, csv_lines([(*HEADER, *items.header())], excel=excel, mark=excel)
    is_kept = not excel and not items.count and view.language == KEPT_LANGUAGE
    if is_kept and isinstance(people, Audience) and _has_lines(people.run.meta):
        parts = _kept(people, view)
    else:
        parts = _made(people, view, excel=excel, items=items)
    async for part in parts:
        yield part


def _has_lines(meta: RunMeta) -> bool:
    """Say whether the lines that a run keeps have the columns of today: those of an older release may not."""
    return tuple(meta.line_columns) == LINE_NAMES


async def _made(
    people: LeavingPeople, view: RunView, *, excel: bool, items: ItemColumns
) -> AsyncIterator[tuple[int, bytes]]:
    cells = ListedCells(people, view)
    async for members in people.chunks(size=CHUNK_ROWS, names=STORED_CELLS):
        rows = await cells.of(members)
        if items.count:
            wide = await items.cells([row[0] for row in rows])
            rows = [(*row, *more) for row, more in zip(rows, wide, strict=True)]
        yield len(rows), csv_lines(rows, excel=excel)


async def _kept(audience: Audience, view: RunView) -> AsyncIterator[tuple[int, bytes]]:
    """Yield the lines that the run keeps; those of members who were scored again since are made."""
    cells = MemberCells(view, audience.run.meta)
    share = audience.counts.control_group_share
    ends = {is_in: b"," + csv_lines([(_WORDS[is_in], share)], excel=False) for is_in in (False, True)}
    async for members in audience.chunks(size=CHUNK_ROWS, names=_STORED_LINE):
        without = [member.row[0] for member in members if member.row[1] is None]
        made = await _make_lines(audience.run, cells, without) if without else {}
        lines = [
            (member.row[1] or made[member.row[0]]) + ends[member.control_group]
            for member in members
            # Who was erased just now has no row any more.
            if member.row[1] or member.row[0] in made
        ]
        yield len(lines), b"".join(lines)


async def _make_lines(run: ScoreRun, cells: "MemberCells", customer_ids: Sequence[str]) -> dict[str, bytes]:
    rows, tops = await run.get_scores(customer_ids), await run.list_top_products(customer_ids)
    found = [(c, cells.of(_STORED_PICK(row), tops.get(c))) for c, row in rows.items()]
    lines = plain_lines(row for _, row in found)
    return {customer_id: line for (customer_id, _), line in zip(found, lines, strict=True)}


class MemberCells:
    """Makes the cells of a customer (of the columns `STORED_CELLS`) in the order of `LINE_NAMES`.

    Booleans are words (`as_text`) or as they are.
    """

    def __init__(self, view: RunView, meta: RunMeta, *, as_text: bool = True) -> None:
        champion = meta.models.get("churn")
        self._view = view
        self._suggested = suggester(view.language)
        self._constants = (*run_constants(meta), champion.grade if champion else None)
        self._booleans = _booleans(as_text=as_text)

    def of(self, row: StoredRow, top: Item | None) -> tuple[Any, ...]:
        """Return the cells of a customer whose first recommendation is `top`."""
        own = (
            self._booleans[row[_CONSENT_AT]],
            "; ".join(self._view.reason_texts(row[_REASONS_AT], count=_REASONS_SHOWN)),
            *self._suggested(row[_STAGE_AT], row[_YEAR_RISK_AT]),
            top.product_id if top else None,
            top.name if top else None,
        )
        cells: tuple[Any, ...] = _PICK(own + row + self._constants)
        return cells


class ListedCells:
    """Makes the cells of members (read with the columns `STORED_CELLS`) in the order of `HEADER`.

    Booleans are words (`as_text`) or as they are.
    """

    def __init__(self, people: LeavingPeople, view: RunView, *, as_text: bool = True) -> None:
        self._run = people.run
        self._cells = MemberCells(view, people.run.meta, as_text=as_text)
        self._share = people.control_group_share
        self._booleans = _booleans(as_text=as_text)

    async def of(self, members: Sequence[Listed]) -> list[tuple[Any, ...]]:
        """Return the cells of some members."""
        tops = await self._run.list_top_products([member.row[0] for member in members])
        return [
            (
                *self._cells.of(member.row, tops.get(member.row[0])),
                self._booleans[member.control_group],
                self._share,
            )
            for member in members
        ]


def _booleans(*, as_text: bool) -> Mapping[int | None, str | bool | None]:
    return _WORDS if as_text else _FLAGS
