"""Into how many buckets a history is divided, and rows into theirs."""

import math
from collections.abc import Iterator

import polars as pl

from features.history import History, bucket_numbers

LINES_PER_BUCKET = 2_000_000


def bucket_count_for(line_count: int) -> int:
    """Return the number of buckets of a first load: a power of two, about one a 2 million lines.

    >>> [bucket_count_for(n) for n in (0, 2_000_000, 5_000_000)]
    [1, 1, 4]
    """
    return 1 << max(0, math.ceil(math.log2(max(line_count, 1) / LINES_PER_BUCKET)))


def bucket_count_after(base: History | None, fresh_count: int) -> int:
    """Return the number of buckets once so many lines join a history.

    A history keeps its number until a bucket could hold twice what it is made for; then it is doubled until
    none does, so that each bucket falls apart into whole ones.
    """
    if base is None:
        return bucket_count_for(fresh_count)
    count, lines = base.manifest.bucket_count, base.manifest.row_counts.get("order_lines", 0) + fresh_count
    if lines <= 2 * count * LINES_PER_BUCKET:
        return count
    while lines > count * LINES_PER_BUCKET:
        count *= 2
    return count


def by_bucket(rows: pl.DataFrame, bucket_count: int) -> Iterator[tuple[int, pl.DataFrame]]:
    """Yield every bucket and the rows of its customers, also where there are none."""
    numbers = bucket_numbers(rows["customer_id"], bucket_count)
    for bucket in range(bucket_count):
        yield bucket, rows if bucket_count == 1 else rows.filter(numbers == bucket)
