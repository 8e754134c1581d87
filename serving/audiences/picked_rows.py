"""Columns of customers who were picked one by one, instead of read in a list's order."""

from collections.abc import Sequence
from typing import Final

from serving.rows import STORED_NAMES
from serving.store.contract import ScoreRun
from serving.store.records import StoredRow

ONLY_IDS: Final = ("customer_id",)


async def picked_rows(
    run: ScoreRun, customer_ids: Sequence[str], names: Sequence[str]
) -> dict[str, StoredRow]:
    """Return some columns of customers by id; unknown ids are left out where there is more to read."""
    if tuple(names) == ONLY_IDS:
        return {customer_id: (customer_id,) for customer_id in customer_ids}
    places = [STORED_NAMES.index(name) for name in names]
    rows = await run.get_scores(customer_ids)
    return {customer_id: tuple(row[place] for place in places) for customer_id, row in rows.items()}
