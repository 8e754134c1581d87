"""Columns of customers who were picked one by one, instead of read in a list's order."""

from collections.abc import Sequence

from serving.rows import STORED_NAMES
from serving.store.contract import ScoreRun
from serving.store.records import StoredRow


async def picked_rows(
    run: ScoreRun, customer_ids: Sequence[str], names: Sequence[str]
) -> dict[str, StoredRow]:
    """Return some columns of customers by id; unknown ids are left out."""
    places = [STORED_NAMES.index(name) for name in names]
    rows = await run.get_scores(customer_ids)
    return {customer_id: tuple(row[place] for place in places) for customer_id, row in rows.items()}
