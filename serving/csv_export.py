"""An audience as CSV, a chunk at a time: the flat names, reasons in words, the first recommendation.

Then come the grade of the churn model, the same in every row, since a list outlives the page that warned of
an F; whether the control group holds the member, and with which probability it was drawn. The columns of
recommended items follow where they are asked for.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

from serving.audiences import Audience, Listed
from serving.csv_lines import CHUNK_ROWS, csv_lines
from serving.present import RunView, run_constants
from serving.rows import RUN_NAMES, STORED_NAMES
from serving.slot_export import ItemColumns
from serving.store import Item

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
HEADER: Final = (
    *SCORE_NAMES,
    "reasons",
    "top_recommendation",
    "top_recommendation_name",
    "as_of",
    "score_run_id",
    "churn_grade",
    "control_group",
    "control_group_share",
)
_REASONS_SHOWN: Final = 3
_WORDS: Final = {None: None, 0: "false", 1: "true"}
_FLAGS: Final = {None: None, 0: False, 1: True}
STORED_CELLS: Final = (*(name for name in SCORE_NAMES if name in STORED_NAMES), "reasons", "as_of")
"""The stored columns that a member's cells are made of; the id comes first."""

_REASONS_AT: Final = STORED_CELLS.index("reasons")
_CONSENT_AT: Final = STORED_CELLS.index("email_consent")
_OWN: Final = ("email_consent", "reasons", "top_recommendation", "top_recommendation_name", "control_group")
_PICK: Final = itemgetter(
    # What is made of a row comes first: it counts, where a name stands there twice.
    *((*_OWN, *STORED_CELLS, *RUN_NAMES, "churn_grade", "control_group_share").index(name) for name in HEADER)
)


async def stream_csv(
    audience: Audience, view: RunView, *, excel: bool, items: ItemColumns
) -> AsyncIterator[bytes]:
    """Yield a whole audience in its order; memory holds one chunk, and others are answered between two."""
    yield csv_lines([(*HEADER, *items.header())], excel=excel, mark=excel)
    cells = ListedCells(audience, view)
    async for members in audience.chunks(size=CHUNK_ROWS, names=STORED_CELLS):
        rows = await cells.of(members)
        if items.count:
            wide = await items.cells([row[0] for row in rows])
            rows = [(*row, *more) for row, more in zip(rows, wide, strict=True)]
        yield csv_lines(rows, excel=excel)


class ListedCells:
    """Makes the cells of members (read with the columns `STORED_CELLS`) in the order of `HEADER`.

    Booleans are words (`as_text`) or as they are.
    """

    def __init__(self, audience: Audience, view: RunView, *, as_text: bool = True) -> None:
        meta = audience.run.meta
        champion = meta.models.get("churn")
        self._run = audience.run
        self._view = view
        grade = champion.grade if champion else None
        self._constants = (*run_constants(meta), grade, audience.counts.control_group_share)
        self._booleans: Mapping[int | None, str | bool | None] = _WORDS if as_text else _FLAGS

    async def of(self, members: Sequence[Listed]) -> list[tuple[Any, ...]]:
        """Return the cells of some members."""
        tops = await self._run.list_top_products([member.row[0] for member in members])
        return [self._cells(member, tops.get(member.row[0])) for member in members]

    def _cells(self, member: Listed, top: Item | None) -> tuple[Any, ...]:
        row = member.row
        own = (
            self._booleans[row[_CONSENT_AT]],
            "; ".join(self._view.reason_texts(row[_REASONS_AT], count=_REASONS_SHOWN)),
            top.product_id if top else None,
            top.name if top else None,
            self._booleans[member.control_group],
        )
        cells: tuple[Any, ...] = _PICK(own + row + self._constants)
        return cells
