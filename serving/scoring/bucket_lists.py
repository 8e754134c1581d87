"""The recommendation lists of a bucket as files: made by one process, read by another.

lists-0007.parquet    the table of lists, as a recommender returns it
owned-0007.parquet    what the customers bought: customer_id, packed purchases
"""

from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from serving.scoring.lists import MadeLists

_OWNED: Final = pa.schema([("customer_id", pa.string()), ("purchases", pa.binary())])


def write_bucket_lists(folder: Path, bucket: int, made: MadeLists) -> None:
    """Write the lists of a bucket's customers; each file appears whole."""
    customer_ids, purchases = zip(*made.owned, strict=True) if made.owned else ((), ())
    owned = pa.table([pa.array(customer_ids, pa.string()), pa.array(purchases, pa.binary())], schema=_OWNED)
    _write_whole(owned, _path(folder, "owned", bucket))
    _write_whole(pa.Table.from_pandas(made.table, preserve_index=False), _path(folder, "lists", bucket))


def read_bucket_lists(folder: Path, bucket: int) -> MadeLists | None:
    """Return what was written of a bucket, None where nobody wrote it."""
    path = _path(folder, "lists", bucket)
    if not path.exists():
        return None
    owned = pq.read_table(_path(folder, "owned", bucket)).to_pydict()
    pairs = list(zip(owned["customer_id"], owned["purchases"], strict=True))
    return MadeLists(pq.read_table(path).to_pandas(), pairs)


def _path(folder: Path, name: str, bucket: int) -> Path:
    return folder / f"{name}-{bucket:04d}.parquet"


def _write_whole(table: pa.Table, path: Path) -> None:
    partial = path.with_name(f"{path.name}.partial")
    pq.write_table(table, partial, compression="zstd")
    partial.replace(path)
