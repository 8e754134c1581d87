"""An audience as CSV, a chunk at a time: the flat names, reasons in words, the first recommendation.

Plain CSV is byte-exact (RFC 4180, UTF-8). `excel` adds a byte order mark, keeps long or zero-led numbers that
are ids as text and takes the effect out of cells that a spreadsheet would run as a formula.
"""

import csv
import io
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from serving.present import RunView
from serving.store import Item, Member, ScoreRun

CHUNK_ROWS: Final = 500
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
)
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_EXCEL_DIGITS_MAX = 11


async def stream_csv(
    run: ScoreRun, view: RunView, *, audience: str, clv_min: float | None, excel: bool
) -> AsyncIterator[bytes]:
    """Yield a whole audience in its order; memory holds one chunk."""
    yield _write([HEADER], excel=excel, mark=excel)
    after = 0
    while members := await run.list_members(audience, after=after, limit=CHUNK_ROWS, clv_min=clv_min):
        yield _write(await _cells(run, view, members), excel=excel)
        after = members[-1].position


async def _cells(run: ScoreRun, view: RunView, members: Sequence[Member]) -> list[tuple[Any, ...]]:
    flats = [view.flat(member.row) for member in members]
    tops = await run.list_top_products([flat["customer_id"] for flat in flats])
    return [_row(flat, tops.get(flat["customer_id"])) for flat in flats]


def _row(flat: dict[str, Any], top: Item | None) -> tuple[Any, ...]:
    reasons = "; ".join(reason["text"] for reason in flat["reasons"] or ())
    product = (top.product_id, top.name) if top else (None, None)
    return (
        *(_cell(flat[name]) for name in SCORE_NAMES),
        reasons,
        *product,
        flat["as_of"],
        flat["score_run_id"],
    )


def _cell(value: Any) -> Any:  # noqa: ANN401 - any JSON scalar
    return ("true" if value else "false") if isinstance(value, bool) else value


def _write(rows: Sequence[Sequence[Any]], *, excel: bool, mark: bool = False) -> bytes:
    buffer = io.StringIO()
    if mark:
        buffer.write("\ufeff")
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerows([[excel_cell(value) for value in row] for row in rows] if excel else rows)
    return buffer.getvalue().encode()


def excel_cell(value: Any) -> Any:  # noqa: ANN401 - any JSON scalar
    """Return a text cell that a spreadsheet shows as it is and never runs; numbers stay numbers.

    >>> excel_cell("=1+1"), excel_cell("00123"), excel_cell("c1"), excel_cell(-2.5)
    ("'=1+1", '="00123"', 'c1', -2.5)
    """
    if not isinstance(value, str) or not value:
        return value
    if value.isascii() and value.isdigit() and (value[0] == "0" or len(value) > _EXCEL_DIGITS_MAX):
        return f'="{value}"'
    return f"'{value}" if value.lstrip(" ").startswith(_FORMULA_STARTS) else value
