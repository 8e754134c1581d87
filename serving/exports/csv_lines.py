"""Rows as the bytes of a CSV file.

Plain CSV is byte-exact (RFC 4180, UTF-8). `excel` adds a byte order mark, keeps long or zero-led numbers that
are ids as text and takes the effect out of cells that a spreadsheet would run as a formula.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from features.spreadsheet import excel_cell

LINE_END: Final = "\r\n"
CHUNK_ROWS: Final = 200
"""Rows that a streamed file writes at once: memory holds one chunk, and others are answered between two."""


def csv_lines(rows: Sequence[Sequence[Any]], *, excel: bool, mark: bool = False) -> bytes:
    """Return rows as CSV; `mark` puts the byte order mark of a file's beginning before them."""
    buffer = io.StringIO()
    if mark:
        buffer.write("\ufeff")
    writer = csv.writer(buffer, lineterminator=LINE_END)
    writer.writerows([[excel_cell(value) for value in row] for row in rows] if excel else rows)
    return buffer.getvalue().encode()


def plain_lines(rows: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    """Yield each row as plain CSV, without the line's end."""
    buffer = io.StringIO()
    # With its end while it is written: what an end consists of is quoted within a cell.
    writer = csv.writer(buffer, lineterminator=LINE_END)
    for row in rows:
        writer.writerow(row)
        yield buffer.getvalue().removesuffix(LINE_END).encode()
        buffer.seek(0)
        buffer.truncate()
