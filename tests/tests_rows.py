"""Frames as readers return them, laid out in the text of a test."""

import polars as pl


def rows_of(text: str) -> pl.DataFrame:
    """Lay out `|`-separated cells with a header, spaces trimmed, as a reader would return them."""
    table = [[cell.strip() or None for cell in line.split("|")] for line in text.strip().splitlines()]
    rows = pl.DataFrame(table[1:], schema={str(name): pl.String for name in table[0]}, orient="row")
    return rows.with_row_index("row", offset=2).with_columns(pl.col("row").cast(pl.Int64))
