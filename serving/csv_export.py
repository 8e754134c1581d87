"""An audience as CSV, a chunk at a time: the flat names, reasons in words, the first recommendation.

The last of these columns is the grade of the churn model, the same in every row: a list outlives the page
that warned of an F. The columns of recommended items follow where they are asked for.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from operator import itemgetter
from typing import Any, Final

from serving.csv_lines import CHUNK_ROWS, csv_lines
from serving.present import RunView, run_constants, stored_value
from serving.rows import RUN_NAMES, STORED_NAMES
from serving.slot_export import ItemColumns
from serving.store import Member, ScoreRun

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
)
_CONSENT: Final = SCORE_NAMES.index("email_consent")
_BOOLEANS: Final = {None: None, 0: "false", 1: "true"}
_PICK: Final = itemgetter(
    *((*STORED_NAMES, *RUN_NAMES).index(name) for name in (*SCORE_NAMES, "as_of", "score_run_id"))
)


async def stream_csv(
    run: ScoreRun, view: RunView, *, audience: str, clv_min: float | None, excel: bool, items: ItemColumns
) -> AsyncIterator[bytes]:
    """Yield a whole audience in its order; memory holds one chunk, and others are answered between two."""
    yield csv_lines([(*HEADER, *items.header())], excel=excel, mark=excel)
    after = 0
    while members := await run.list_members(audience, after=after, limit=CHUNK_ROWS, clv_min=clv_min):
        rows = await _cells(run, view, members)
        wide = await items.cells([row[0] for row in rows])
        yield csv_lines([(*row, *more) for row, more in zip(rows, wide, strict=True)], excel=excel)
        after = members[-1].position
        await asyncio.sleep(0)


async def _cells(run: ScoreRun, view: RunView, members: Sequence[Member]) -> list[tuple[Any, ...]]:
    tops = await run.list_top_products([stored_value(member.row, "customer_id") for member in members])
    constants = run_constants(run.meta)
    champion = run.meta.models.get("churn")
    grade = champion.grade if champion else None
    rows = []
    for member in members:
        *scores, as_of, score_run_id = _PICK((*member.row, *constants))
        scores[_CONSENT] = _BOOLEANS[scores[_CONSENT]]
        top = tops.get(scores[0])
        product = (top.product_id, top.name) if top else (None, None)
        reasons = "; ".join(view.reason_texts(member.row))
        rows.append((*scores, reasons, *product, as_of, score_run_id, grade))
    return rows
