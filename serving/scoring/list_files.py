"""The recommendation lists of a bucket's customers as files, beside the file of their rows.

    lists            `customer_id`, `kind`, `slots`: what the store takes (`features.slots`)
    owned            `customer_id`, `items`: what they had bought (`features.owned`)
    due, nearest     what falls due to them (`changes.due`), and how soon (`audience_rules.days_until_due`)
    recommendations  the lists as a table, where files are asked for

As with rows (`bucket_files`), whatever process makes a bucket's lists, in whatever order, the files are the
same.
"""

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa

from serving.changes.due import due_table
from serving.changes.run_signals import due_items
from serving.exports.run_files import RECOMMENDATIONS
from serving.scoring.audience_rules import days_until_due
from serving.scoring.bucket_files import SHOP, Table, bucket_path
from serving.scoring.lists import ListMaker, MadeLists
from serving.scoring.sorted_files import GrowingFile

_PACKED: Final = {"customer_id": pl.String, "kind": pl.String, "slots": pl.Binary}
_OWNED: Final = {"customer_id": pl.String, "items": pl.Binary}


def write_bucket_lists(
    maker: ListMaker, customer_ids: list[str], *, bucket: int, folder: Path, as_tables: bool = False
) -> int:
    """Make the lists of a bucket's customers, who come sorted, and write them; return how many there are."""
    return _write(maker, maker.of_bucket(customer_ids, bucket=bucket), folder, bucket, as_tables=as_tables)


def write_shop_lists(maker: ListMaker, *, folder: Path) -> int:
    """Make and write the lists of nobody: what somebody unknown is shown, and the shop's own."""
    return _write(maker, maker.of_nobody(), folder, SHOP, as_tables=False)


def _write(
    maker: ListMaker, made: Iterable[MadeLists], folder: Path, bucket: int | str, *, as_tables: bool
) -> int:
    files, count = dict[Table, GrowingFile](), 0
    with ExitStack() as stack:
        for part in made:
            tables = _tables(maker, part, as_tables=as_tables)
            for table, rows in tables.items():
                if table not in files:
                    files[table] = stack.enter_context(GrowingFile(bucket_path(folder, table, bucket)))
                files[table].add(rows)
            count += tables["lists"].height
    return count


def _tables(maker: ListMaker, made: MadeLists, *, as_tables: bool) -> dict[Table, pl.DataFrame]:
    numbers = {product.product_id: product.item_no for product in maker.items}
    within_days = maker.settings.changes.due_within_days
    due = due_items(made.table, made.owned, numbers, as_of=maker.snapshot.date, within_days=within_days)
    tables: dict[Table, pl.DataFrame] = {
        "lists": pl.DataFrame(list(maker.pack(made.table)), schema=_PACKED, orient="row"),
        "owned": pl.DataFrame(made.owned, schema=_OWNED, orient="row"),
        "due": due_table(due),
        "nearest": days_until_due(made.table).sort("customer_id"),
    }
    if as_tables:
        rows = made.table[RECOMMENDATIONS.names]
        tables["recommendations"] = pl.DataFrame(
            pa.Table.from_pandas(rows, schema=RECOMMENDATIONS, preserve_index=False)
        )
    return tables
