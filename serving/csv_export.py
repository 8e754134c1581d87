"""An audience as CSV, a chunk at a time: the flat names, reasons in words, the first recommendation.

Then come the grade of the churn model, the same in every row, since a list outlives the page that warned of
an F; whether the control group holds the member, and with which probability it was drawn. The columns of
recommended items follow where they are asked for.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

from serving.audiences import Audience, Listed
from serving.csv_lines import CHUNK_ROWS, csv_lines
from serving.present import RunView, run_constants, stored_value
from serving.rows import RUN_NAMES, STORED_NAMES
from serving.slot_export import ItemColumns

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
_CONSENT: Final = SCORE_NAMES.index("email_consent")
_WORDS: Final = {None: None, 0: "false", 1: "true"}
_FLAGS: Final = {None: None, 0: False, 1: True}
_PICK: Final = itemgetter(
    *((*STORED_NAMES, *RUN_NAMES).index(name) for name in (*SCORE_NAMES, "as_of", "score_run_id"))
)


async def stream_csv(
    audience: Audience, view: RunView, *, excel: bool, items: ItemColumns
) -> AsyncIterator[bytes]:
    """Yield a whole audience in its order; memory holds one chunk, and others are answered between two."""
    yield csv_lines([(*HEADER, *items.header())], excel=excel, mark=excel)
    async for members in audience.chunks(size=CHUNK_ROWS):
        rows = await listed_cells(audience, view, members)
        wide = await items.cells([row[0] for row in rows])
        yield csv_lines([(*row, *more) for row, more in zip(rows, wide, strict=True)], excel=excel)
        await asyncio.sleep(0)


async def listed_cells(
    audience: Audience, view: RunView, members: Sequence[Listed], *, as_text: bool = True
) -> list[tuple[Any, ...]]:
    """Return the cells of some members, in the order of `HEADER`; booleans as words or as they are."""
    run, share = audience.run, audience.counts.control_group_share
    tops = await run.list_top_products([stored_value(member.row, "customer_id") for member in members])
    constants = run_constants(run.meta)
    champion = run.meta.models.get("churn")
    grade = champion.grade if champion else None
    booleans: Mapping[int | None, str | bool | None] = _WORDS if as_text else _FLAGS
    rows = []
    for member in members:
        *scores, as_of, score_run_id = _PICK((*member.row, *constants))
        scores[_CONSENT] = booleans[scores[_CONSENT]]
        top = tops.get(scores[0])
        product = (top.product_id, top.name) if top else (None, None)
        reasons = "; ".join(view.reason_texts(member.row))
        control = booleans[member.control_group]
        rows.append((*scores, reasons, *product, as_of, score_run_id, grade, control, share))
    return rows
