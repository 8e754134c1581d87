"""Lists of many customers as CSV: a wide row a customer, in the columns of `serving.offers.slot_columns`."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from features.owned import NOTHING_OWNED
from features.slots import Slot
from features.suppression import Suppressed
from serving.exports.csv_lines import CHUNK_ROWS, csv_lines
from serving.offers.slot_choice import NO_RULES, Chooser, Rules, prepare
from serving.offers.slot_columns import item_cells, item_header
from serving.present import RunView, item_numbers
from serving.store.contract import ScoreRun
from serving.store.records import CustomerList

NO_LIST = CustomerList((), NOTHING_OWNED)


@dataclass(frozen=True, slots=True)
class ItemColumns:
    """The columns of the first `count` places of one kind of list; made by `item_columns`."""

    chooser: Chooser
    view: RunView
    kind: str
    count: int

    def header(self) -> list[str]:
        """Return the columns' names."""
        return item_header(self.count)

    async def cells(self, customer_ids: Sequence[str]) -> list[list[Any]]:
        """Return the cells of some customers of the run, in their order."""
        if not self.count:
            return [[] for _ in customer_ids]
        run = self.chooser.run
        stored = await run.list_kind(self.kind, customer_ids)
        chosen: dict[str, list[Slot]] = {}
        for customer_id in customer_ids:
            own = stored.get(customer_id, NO_LIST)  # erased meanwhile
            left = self.chooser.left_out(own.owned)
            chosen[customer_id], _ = self.chooser.choose(self.kind, own.slots, left, limit=self.count)
        items = await run.get_items(item_numbers(chosen, limit=self.count))
        return [item_cells(chosen[c], items, self.view, count=self.count) for c in customer_ids]


async def item_columns(
    run: ScoreRun, view: RunView, *, count: int, kind: str = "for_you", rules: Rules = NO_RULES
) -> ItemColumns:
    """Prepare the columns of `count` items (0: none) under a request's rules."""
    return ItemColumns(await prepare(run, rules), view, kind, count)


async def stream_lists(
    run: ScoreRun, items: ItemColumns, suppressed: Suppressed, *, excel: bool
) -> AsyncIterator[tuple[int, bytes]]:
    """Yield (how many customers, their lines) of all of a run but the suppressed, the header first.

    Memory holds one chunk of them.
    """
    yield 0, csv_lines([("customer_id", *items.header())], excel=excel, mark=excel)
    after = 0
    while customers := await run.list_customers(after=after, limit=CHUNK_ROWS):
        ids = [customer_id for _, customer_id in customers if customer_id not in suppressed]
        rows = zip(ids, await items.cells(ids), strict=True)
        yield len(ids), csv_lines([(customer_id, *cells) for customer_id, cells in rows], excel=excel)
        after = customers[-1][0]
        await asyncio.sleep(0)
