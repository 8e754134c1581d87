"""Files to frames of text: nothing is typed, trimmed or guessed here, so that ids survive byte for byte.

Every reader returns one row per record, all columns as text (a Parquet file keeps its types) and a first
column `row`: the record's number as a spreadsheet shows it, the header being row 1. Only an empty cell is
null.
"""

import csv
import gzip
import io
import zlib
from collections.abc import Sequence
from pathlib import Path

import fastexcel
import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv

from features.report import DataError, Report

ROW = "row"
_DELIMITERS = (",", ";", "\t", "|")
_RAGGED_SHARE_MAX = 0.05
_BINARY_STARTS = {
    b"PAR1": "a Parquet file",
    b"PK\x03\x04": "a zip or xlsx file",
    b"\xd0\xcf\x11\xe0": "an old Excel file",
    b"%PDF": "a PDF",
    b"SQLite": "an SQLite database",
}


def read_delimited(
    path: Path,
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    report: Report | None = None,
) -> pl.DataFrame:
    """Read CSV or a relative of it; encoding and delimiter are detected unless set.

    Single rows of another length are left out where there is a report to say so. Raises `DataError` where the
    file is empty, binary or in an unknown encoding, and where more rows are of another length.
    """
    raw = _bytes_of(path)
    text = _decoded(raw, path=path, encoding=encoding)
    if b"\0" in text:
        raise refusal(
            path, "nul_bytes", "the file contains NUL bytes", "is it a text file? export it as CSV, UTF-8"
        )
    if not text.strip():
        raise refusal(
            path, "empty_file", "the file is empty", "export it with a header row and one row per order line"
        )
    chosen = delimiter or _sniffed_delimiter(text)
    header = _header(text, chosen, path=path)
    records, bad = _records(text, chosen, path=path, column_count=len(header))
    if bad:
        refused = _ragged(path, bad, column_count=len(header), delimiter=chosen)
        if report is None or not _are_few(bad, sound_count=records.height - 1):
            raise refused
        found = refused.report.errors[0]
        report.warn(found.name, f"{found.message}: they are left out", count=len(bad), mend=found.mend)
    return _with_rows(records, header, left_out=[number for number, _ in bad])


def read_parquet(path: Path, *, start: int = 0, count: int | None = None) -> pl.DataFrame:
    """Read a Parquet file, or `count` of its rows, with its types; raises `DataError` where it is none."""
    _require_file(path)
    try:
        rows = pl.scan_parquet(path, glob=False).slice(start, count).collect()
    except (pl.exceptions.PolarsError, OSError, pa.ArrowException) as error:
        raise refusal(
            path, "not_parquet", f"this is no readable Parquet file ({_first_line(error)})", _FORMAT_HINT
        ) from None
    plain = [
        pl.col(name).cast(pl.String)
        for name, kind in rows.schema.items()
        if kind in (pl.Categorical, pl.Enum)
    ]
    return _numbered(rows.with_columns(plain)).with_columns(pl.col(ROW) + start)


def read_xlsx(path: Path, *, sheet: str | None = None) -> pl.DataFrame:
    """Read a workbook as shown: the named sheet, or the first and every other with the same header.

    Raises `DataError` where the file is no workbook or the sheet is missing or empty.
    """
    _require_file(path)
    try:
        book = fastexcel.read_excel(path)
        names = [sheet] if sheet else book.sheet_names
        sheets = [book.load_sheet(name, dtypes="string").to_polars() for name in names]
    except (fastexcel.FastExcelError, OSError) as error:
        raise refusal(
            path, "not_xlsx", f"this is no readable workbook or sheet ({_first_line(error)})", _FORMAT_HINT
        ) from None
    if not sheets or sheets[0].width == 0:
        raise refusal(
            path, "empty_file", "the first sheet is empty", "name another with `sheet` in the mapping file"
        )
    same = [rows for rows in sheets if rows.columns == sheets[0].columns]
    rows = pl.concat(same).with_columns(pl.all().replace("", None))
    return _numbered(rows).filter(~_all_null(rows))


def refusal(path: Path, name: str, message: str, mend: str) -> DataError:
    """Return the error of a file that cannot be read at all."""
    report = Report(sources=[path.name])
    report.error(name, message, mend=mend)
    return DataError(report)


_FORMAT_HINT = "check FORMAT (csv, parquet, xlsx, shopify, woocommerce, online-retail, complete-journey)"


def _require_file(path: Path) -> None:
    if path.is_dir():
        raise refusal(path, "is_folder", f"{path} is a folder", "name a file")
    if not path.exists():
        raise refusal(path, "no_file", f"there is no file {path}", "check the path")


def _bytes_of(path: Path) -> bytes:
    _require_file(path)
    try:
        raw = path.read_bytes()
        raw = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except (OSError, EOFError, zlib.error) as error:
        raise refusal(
            path, "unreadable_file", f"the file cannot be read ({_first_line(error)})", "check its rights"
        ) from None
    for start, kind in _BINARY_STARTS.items():
        if raw.startswith(start):
            raise refusal(path, "not_text", f"this is {kind}, not text", _FORMAT_HINT)
    return raw


def _decoded(raw: bytes, *, path: Path, encoding: str | None) -> bytes:
    """Return the file as UTF-8 without a byte order mark."""
    if encoding is None:
        if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
            encoding = "utf-16"
        elif _is(raw, "utf-8"):
            return raw.removeprefix(b"\xef\xbb\xbf")
        elif _is_korean(raw):
            encoding = "cp949"
        else:
            mend = 'say which it is in the mapping file, e.g. encoding = "cp1252"'
            raise refusal(path, "unknown_encoding", "the text is neither UTF-8, UTF-16 nor CP949", mend)
    try:
        return raw.decode(encoding).removeprefix("\ufeff").encode("utf-8")
    except (UnicodeError, LookupError) as error:
        mend = "set another `encoding` in the mapping file"
        raise refusal(
            path, "wrong_encoding", f"the text is not {encoding} ({_first_line(error)})", mend
        ) from None


def guess_encoding(path: Path) -> str | None:
    """Return the encoding of a text that can only be guessed, for a person to look at; else None."""
    raw = _bytes_of(path)
    is_detected = raw.startswith((b"\xff\xfe", b"\xfe\xff")) or _is(raw, "utf-8") or _is_korean(raw)
    return "cp1252" if not is_detected and _is(raw, "cp1252") else None


def _is_korean(raw: bytes) -> bool:
    """Say whether bytes are CP949, by its letters: Western text makes rare ones of it (Är becomes 훣)."""
    try:
        text = raw.decode("cp949")
    except UnicodeDecodeError:
        return False
    letters = [each for each in text[: 1 << 20] if not each.isascii()]
    # The usual ones have two bytes in EUC-KR, too; it writes the rare ones in eight.
    return 2 * sum(len(each.encode("euc_kr", errors="ignore")) == 2 for each in letters) >= len(letters)


def _is(raw: bytes, encoding: str) -> bool:
    try:
        raw.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _sniffed_delimiter(text: bytes) -> str:
    """Return the delimiter that the header holds most of, outside quotes."""
    first = text.lstrip(b"\r\n")[:65536].decode("utf-8", errors="ignore")
    counts = {mark: len(_first_record(first, mark)) for mark in _DELIMITERS}
    return max(_DELIMITERS, key=lambda mark: counts[mark])


def _first_record(text: str, delimiter: str) -> list[str]:
    """Return the cells of the first record that is not empty; none where it cannot be parsed."""
    records = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        return next((row for row in records if row), [])
    except csv.Error:
        return []


def _header(text: bytes, delimiter: str, *, path: Path) -> list[str]:
    head = text[: 1 << 20].decode("utf-8", errors="ignore")
    names = [name.strip() for name in _first_record(head, delimiter)]
    if not names:
        mend = "the first line must name the columns; look for a quote that is opened and never closed"
        raise refusal(path, "unreadable_header", "the header cannot be read as CSV", mend)
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        mend = "rename one of each pair"
        raise refusal(
            path, "repeated_column", f"columns {', '.join(map(repr, twice))} occur more than once", mend
        )
    return [name or f"column_{position}" for position, name in enumerate(names, start=1)]


def _records(
    text: bytes, delimiter: str, *, path: Path, column_count: int
) -> tuple[pl.DataFrame, list[tuple[int, str]]]:
    """Parse all records, the header's included, as text columns f0, f1, …; number and text of misfits."""
    names = [f"f{position}" for position in range(column_count)]
    bad: list[tuple[int, str]] = []

    def skip(row: pa_csv.InvalidRow) -> str:
        bad.append((row.number or 0, row.text))
        return "skip"

    def parse(*, threads: bool) -> pa.Table:
        return pa_csv.read_csv(
            pa.BufferReader(text),
            read_options=pa_csv.ReadOptions(column_names=names, block_size=1 << 24, use_threads=threads),
            parse_options=pa_csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, invalid_row_handler=skip
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        )

    try:
        table = parse(threads=True)
        if bad:
            bad.clear()
            parse(threads=False)
    except pa.ArrowException:
        mend = "check quotes and delimiter, and export the file again"
        raise refusal(path, "broken_csv", "the file cannot be split into rows and columns", mend) from None
    return pl.DataFrame(pl.from_arrow(table)), bad


def _are_few(bad: Sequence[tuple[int, str]], *, sound_count: int) -> bool:
    """Say whether a file is sound but for some rows: one, or few of many.

    A row over several lines is no single row: a quote that is never closed takes all that follows with it.
    """
    if any("\n" in text.strip() or "\r" in text.strip() for _, text in bad):
        return False
    return len(bad) < sound_count and len(bad) <= max(1, _RAGGED_SHARE_MAX * (sound_count + len(bad)))


def _ragged(path: Path, rows: Sequence[tuple[int, str]], *, column_count: int, delimiter: str) -> DataError:
    shown = ", ".join(str(number) for number, _ in rows[:5]) + (", …" if len(rows) > 5 else "")
    have = "row does" if len(rows) == 1 else "rows do"
    lengths = f"{len(rows):,} {have} not have the header's {column_count} columns"
    message = f"{lengths} (rows {shown}; delimiter {delimiter!r})"
    return refusal(
        path,
        "ragged_rows",
        message,
        "quote cells that contain the delimiter, or set `delimiter` in the mapping file",
    )


def _with_rows(records: pl.DataFrame, header: list[str], *, left_out: Sequence[int]) -> pl.DataFrame:
    body = records.slice(1)
    body.columns = header
    numbered = _numbered(body)
    if left_out:
        numbers = pl.int_range(2, body.height + len(left_out) + 2, eager=True, dtype=pl.Int64)
        numbered = numbered.with_columns(numbers.filter(~numbers.is_in(list(left_out))).alias(ROW))
    return numbered.filter(~_all_null(body))


def _numbered(rows: pl.DataFrame) -> pl.DataFrame:
    renamed = rows.rename({ROW: "row_"}) if ROW in rows.columns else rows
    return renamed.with_row_index(ROW, offset=2).with_columns(pl.col(ROW).cast(pl.Int64))


def _all_null(rows: pl.DataFrame) -> pl.Series:
    return rows.select(pl.all_horizontal(pl.all().is_null())).to_series()


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:120] if str(error).strip() else type(error).__name__
