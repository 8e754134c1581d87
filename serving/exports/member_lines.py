"""The lines of a list's CSV, made when a run is published: a list of a million then streams as it is read."""

from collections.abc import Iterable, Iterator, Mapping

import polars as pl

from features.slots import item_number
from serving.exports.csv_lines import plain_lines
from serving.exports.member_csv import STORED_CELLS, MemberCells
from serving.present import RunView
from serving.rows import BY_NAME
from serving.scoring.run_scores import stored_expression
from serving.store.records import Item, RunMeta
from serving.wording import Wording

_TOP_KIND = "for_you"
_TOP = "top_item_no"
_ROWS_AT_ONCE = 20_000


class TopProducts:
    """Gathers each customer's first recommendation while the lists of a run are made."""

    def __init__(self) -> None:
        self._parts = [_tops(())]

    def add(self, packed: Iterable[tuple[str, str, bytes]]) -> None:
        """Take in (customer_id, kind, packed slots)."""
        self._parts.append(
            _tops(
                (customer, item_number(slots))
                for customer, kind, slots in packed
                if kind == _TOP_KIND and slots
            )
        )

    def table(self) -> pl.DataFrame:
        """Return a row for each customer who has one."""
        return pl.concat(self._parts)


class LineMaker:
    """Makes the lines of a run's members.

    `scores` are the run's completed rows, `meta` is the run as it will be.
    """

    def __init__(
        self, scores: pl.DataFrame, tops: TopProducts, items: Mapping[int, Item], meta: RunMeta
    ) -> None:
        self._rows = (
            scores.lazy().select(STORED_CELLS).join(tops.table().lazy(), on="customer_id", how="left")
        )
        self._items = items
        self._cells = MemberCells(RunView(meta, Wording()), meta)

    def of(self, customer_ids: pl.Series) -> Iterator[bytes]:
        """Yield the line of each customer of a list, in its order."""
        wanted = pl.LazyFrame({"customer_id": customer_ids})
        found = wanted.join(self._rows, on="customer_id", how="left", maintain_order="left").collect()
        stored = [stored_expression(name, BY_NAME[name].kind) for name in STORED_CELLS]
        for part in found.iter_slices(_ROWS_AT_ONCE):
            rows = zip(part.select(stored).iter_rows(), part[_TOP], strict=True)
            yield from plain_lines(self._cells.of(row, self._items.get(top)) for row, top in rows)


def _tops(found: Iterable[tuple[str, int]]) -> pl.DataFrame:
    return pl.DataFrame(list(found), schema={"customer_id": pl.String, _TOP: pl.UInt32}, orient="row")
