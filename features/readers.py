"""Files to frames of text: nothing is typed, trimmed or guessed here, so that ids survive byte for byte.

Every reader returns one row per record, all columns as text (a Parquet file keeps its types) and a first
column `row`: the record's number as a spreadsheet shows it, the header being row 1. Only an empty cell is
null.
"""

from pathlib import Path

import fastexcel
import polars as pl
import pyarrow as pa

from features.report import DataError, Report

ROW = "row"
FORMAT_HINT = "check FORMAT (csv, parquet, xlsx, shopify, woocommerce, online-retail, complete-journey)"


def read_parquet(path: Path, *, start: int = 0, count: int | None = None) -> pl.DataFrame:
    """Read a Parquet file, or `count` of its rows, with its types; raises `DataError` where it is none."""
    require_file(path)
    try:
        rows = pl.scan_parquet(path, glob=False).slice(start, count).collect()
    except (pl.exceptions.PolarsError, OSError, pa.ArrowException) as error:
        raise refusal(
            path, "not_parquet", f"this is no readable Parquet file ({first_line(error)})", FORMAT_HINT
        ) from None
    plain = [
        pl.col(name).cast(pl.String)
        for name, kind in rows.schema.items()
        if kind in (pl.Categorical, pl.Enum)
    ]
    return numbered(rows.with_columns(plain)).with_columns(pl.col(ROW) + start)


def read_xlsx(path: Path, *, sheet: str | None = None) -> pl.DataFrame:
    """Read a workbook as shown: the named sheet, or the first and every other with the same header.

    Raises `DataError` where the file is no workbook or the sheet is missing or empty.
    """
    require_file(path)
    try:
        book = fastexcel.read_excel(path)
        names = [sheet] if sheet else book.sheet_names
        sheets = [book.load_sheet(name, dtypes="string").to_polars() for name in names]
    except (fastexcel.FastExcelError, OSError) as error:
        raise refusal(
            path, "not_xlsx", f"this is no readable workbook or sheet ({first_line(error)})", FORMAT_HINT
        ) from None
    if not sheets or sheets[0].width == 0:
        raise refusal(
            path, "empty_file", "the first sheet is empty", "name another with `sheet` in the mapping file"
        )
    same = [rows for rows in sheets if rows.columns == sheets[0].columns]
    rows = pl.concat(same).with_columns(pl.all().replace("", None))
    return numbered(rows).filter(~are_empty(rows))


def refusal(path: Path, name: str, message: str, mend: str) -> DataError:
    """Return the error of a file that cannot be read at all."""
    report = Report(sources=[path.name])
    report.error(name, message, mend=mend)
    return DataError(report)


def require_file(path: Path) -> None:
    """Raise `DataError` unless a path is a file."""
    if path.is_dir():
        raise refusal(path, "is_folder", f"{path} is a folder", "name a file")
    if not path.exists():
        raise refusal(path, "no_file", f"there is no file {path}", "check the path")


def numbered(rows: pl.DataFrame) -> pl.DataFrame:
    """Return records with their number before them, the header being 1; a column of that name gives way."""
    other = f"{ROW}_"
    while other in rows.columns:
        other += "_"
    renamed = rows.rename({ROW: other}) if ROW in rows.columns else rows
    return renamed.with_row_index(ROW, offset=2).with_columns(pl.col(ROW).cast(pl.Int64))


def are_empty(rows: pl.DataFrame) -> pl.Series:
    """Say of each row whether none of its cells holds anything."""
    return rows.select(pl.all_horizontal(pl.all().is_null())).to_series()


def first_line(error: Exception) -> str:
    """Return what an error of a library says, in one short line."""
    return str(error).strip().splitlines()[0][:120] if str(error).strip() else type(error).__name__
