"""CSV and its relatives: a text's encoding, delimiter and header, and its records a stretch at a time.

A file is looked through once, a block at a time, before anything is made of it: memory grows with the stretch
that is asked for, not with the file.
"""

import codecs
import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Final, Self, cast

import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv

from features.readers import FORMAT_HINT, ROW, are_empty, first_line, numbered, refusal, require_file
from features.report import DataError, Report

_DELIMITERS: Final = (",", ";", "\t", "|")
_RAGGED_SHARE_MAX: Final = 0.05
_BLOCK_BYTES: Final = 1 << 20
_HEAD_LETTERS: Final = 1 << 20
RECORDS_BYTES: Final = 1 << 24
_BINARY_STARTS: Final = {
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
    """Read a whole file; parameters and errors are those of `DelimitedFile`."""
    file = DelimitedFile.open(path, encoding=encoding, delimiter=delimiter)
    return pl.concat(file.stretches(report=report))


def guess_encoding(path: Path) -> str | None:
    """Return the encoding of a text that can only be guessed, for a person to look at; else None."""
    _check_start(path)
    return "cp1252" if _detected(path) is None and _look_as(path, "cp1252") else None


@dataclass(frozen=True, slots=True)
class DelimitedFile:
    """A text of records: how it is written, and the names of its columns."""

    path: Path
    encoding: str
    delimiter: str
    header: tuple[str, ...]

    @classmethod
    def open(cls, path: Path, *, encoding: str | None = None, delimiter: str | None = None) -> Self:
        """Look a file through; encoding and delimiter are detected unless set.

        Raises `DataError` where it is missing, empty, binary or in an unknown encoding, and where no header
        can be read.
        """
        _check_start(path)
        chosen, head = _read_through(path, encoding)
        mark = delimiter or _sniffed_delimiter(head)
        return cls(path, chosen, mark, _header(head, mark, path=path))

    def stretches(
        self, row_count: int | None = None, *, report: Report | None = None
    ) -> Iterator[pl.DataFrame]:
        """Yield the records, at least `row_count` at a time or all at once; the last may be without any.

        Single rows of another length are left out where there is a report to say so. Raises `DataError` in
        the end where more are, and where the text cannot be split into records.
        """
        bad: list[tuple[int, str]] = []
        waiting = [self._named(pl.DataFrame(), 2, [])]
        next_number, sound_count = 1, 0
        for records in self._batches(bad):
            rows = self._named(records, next_number, [number for number, _ in bad])
            next_number = int(rows[ROW][-1]) + 1 if rows.height else next_number
            sound_count += rows.height
            waiting.append(rows.filter((pl.col(ROW) > 1) & ~are_empty(rows.drop(ROW))))
            if row_count is not None and sum(part.height for part in waiting) >= row_count:
                yield pl.concat(waiting)
                waiting = waiting[:1]
        self._judge(bad, sound_count - 1, report)
        yield pl.concat(waiting)

    def _batches(self, bad: list[tuple[int, str]]) -> Iterator[pl.DataFrame]:
        """Yield all records, the header's included, as text; those of another length are added to `bad`."""
        names = [f"f{position}" for position in range(len(self.header))]

        def skip(row: pa_csv.InvalidRow) -> str:
            bad.append((row.number or 0, row.text))
            return "skip"

        is_plain = codecs.lookup(self.encoding).name == "utf-8"
        try:
            with (
                _opened(self.path) as text,
                pa_csv.open_csv(
                    text,
                    # Rows of another length have numbers only where one thread reads.
                    read_options=pa_csv.ReadOptions(
                        column_names=names,
                        block_size=RECORDS_BYTES,
                        use_threads=False,
                        encoding="utf8" if is_plain else self.encoding,
                    ),
                    parse_options=pa_csv.ParseOptions(
                        delimiter=self.delimiter, newlines_in_values=True, invalid_row_handler=skip
                    ),
                    convert_options=pa_csv.ConvertOptions(
                        column_types=dict.fromkeys(names, pa.string()),
                        null_values=[""],
                        strings_can_be_null=True,
                        quoted_strings_can_be_null=True,
                    ),
                ) as batches,
            ):
                for batch in batches:
                    yield pl.DataFrame(pl.from_arrow(batch))
        except pa.ArrowException:
            message = "the file cannot be split into rows and columns"
            mend = "check quotes and delimiter, and export the file again"
            raise refusal(self.path, "broken_csv", message, mend) from None

    def _named(self, records: pl.DataFrame, first: int, left_out: Sequence[int]) -> pl.DataFrame:
        """Return records with the header's names and the numbers that they have, from `first` on."""
        if not records.height:
            return numbered(pl.DataFrame(schema=dict.fromkeys(self.header, pl.String)))
        records.columns = list(self.header)
        gone = [number for number in left_out if number >= first]
        numbers = pl.int_range(first, first + records.height + len(gone), eager=True, dtype=pl.Int64)
        return numbered(records).with_columns(
            numbers.filter(~numbers.is_in(gone)).head(records.height).alias(ROW)
        )

    def _judge(self, bad: Sequence[tuple[int, str]], sound_count: int, report: Report | None) -> None:
        if not bad:
            return
        refused = self._ragged(bad)
        if report is None or not _are_few(bad, sound_count=sound_count):
            raise refused
        found = refused.report.errors[0]
        report.warn(found.name, f"{found.message}: they are left out", count=len(bad), mend=found.mend)

    def _ragged(self, rows: Sequence[tuple[int, str]]) -> DataError:
        shown = ", ".join(str(number) for number, _ in rows[:5]) + (", …" if len(rows) > 5 else "")
        have = "row does" if len(rows) == 1 else "rows do"
        lengths = f"{len(rows):,} {have} not have the header's {len(self.header)} columns"
        return refusal(
            self.path,
            "ragged_rows",
            f"{lengths} (rows {shown}; delimiter {self.delimiter!r})",
            "quote cells that contain the delimiter, or set `delimiter` in the mapping file",
        )


def _opened(path: Path) -> BinaryIO:
    """Open a file, packed with gzip or not, for its bytes."""
    with path.open("rb") as file:
        is_packed = file.read(2) == b"\x1f\x8b"
    return cast("BinaryIO", gzip.open(path)) if is_packed else path.open("rb")


def _check_start(path: Path) -> None:
    """Raise `DataError` where there is no such file, or it begins as one that is no text."""
    require_file(path)
    start = _start(path)
    for sign, kind in _BINARY_STARTS.items():
        if start.startswith(sign):
            raise refusal(path, "not_text", f"this is {kind}, not text", FORMAT_HINT)


def _start(path: Path) -> bytes:
    return next(_blocks(path), b"")


def _blocks(path: Path) -> Iterator[bytes]:
    """Yield a file's bytes, unpacked, a block at a time; raises `DataError` where they cannot be read."""
    try:
        with _opened(path) as file:
            while block := file.read(_BLOCK_BYTES):
                yield block
    except (OSError, EOFError, zlib.error) as error:
        reason = f"the file cannot be read ({first_line(error)})"
        raise refusal(path, "unreadable_file", reason, "check its rights") from None


@dataclass(frozen=True, slots=True)
class _Look:
    """What was seen of a text: its beginning, without a byte order mark, and what is in all of it."""

    head: str
    is_blank: bool
    has_nul: bool


def _look_at(path: Path, encoding: str) -> _Look:
    """Decode a whole file; raises `UnicodeError` or `LookupError` where that cannot be done."""
    decoder = codecs.getincrementaldecoder(encoding)()
    head, is_blank, has_nul = "", True, False
    for block in chain(_blocks(path), (b"",)):
        text = decoder.decode(block, final=not block)
        head += text[: _HEAD_LETTERS - len(head)]
        is_blank = is_blank and not text.removeprefix("\ufeff").strip()
        has_nul = has_nul or "\0" in text
    return _Look(head.removeprefix("\ufeff"), is_blank, has_nul)


def _look_as(path: Path, encoding: str) -> _Look | None:
    try:
        return _look_at(path, encoding)
    except UnicodeError:
        return None


def _detected(path: Path) -> tuple[str, _Look] | None:
    """Return the encoding that a text shows, and what was seen of it; None where it shows none."""
    if _start(path).startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16", _read_as(path, "utf-16")
    for encoding in ("utf-8", "cp949"):
        look = _look_as(path, encoding)
        if look is not None and (encoding == "utf-8" or _is_korean(look.head)):
            return encoding, look
    return None


def _read_as(path: Path, encoding: str) -> _Look:
    try:
        return _look_at(path, encoding)
    except (UnicodeError, LookupError) as error:
        mend = "set another `encoding` in the mapping file"
        reason = f"the text is not {encoding} ({first_line(error)})"
        raise refusal(path, "wrong_encoding", reason, mend) from None


def _read_through(path: Path, encoding: str | None) -> tuple[str, str]:
    """Return a text's encoding and its beginning; raises `DataError` where it is none, or empty."""
    found = (encoding, _read_as(path, encoding)) if encoding else _detected(path)
    if found is None:
        mend = 'say which it is in the mapping file, e.g. encoding = "cp1252"'
        raise refusal(path, "unknown_encoding", "the text is neither UTF-8, UTF-16 nor CP949", mend)
    name, look = found
    if look.has_nul:
        mend = "is it a text file? export it as CSV, UTF-8"
        raise refusal(path, "nul_bytes", "the file contains NUL bytes", mend)
    if look.is_blank:
        mend = "export it with a header row and one row per order line"
        raise refusal(path, "empty_file", "the file is empty", mend)
    return name, look.head


def _is_korean(head: str) -> bool:
    """Say whether what reads as CP949 is, by its letters: Western text makes rare ones of it (Är: 훣)."""
    letters = [each for each in head if not each.isascii()]
    # The usual ones have two bytes in EUC-KR, too; it writes the rare ones in eight.
    return 2 * sum(len(each.encode("euc_kr", errors="ignore")) == 2 for each in letters) >= len(letters)


def _sniffed_delimiter(head: str) -> str:
    """Return the delimiter that the header holds most of, outside quotes."""
    first = head.lstrip("\r\n")[:65536]
    counts = {mark: len(_first_record(first, mark)) for mark in _DELIMITERS}
    return max(_DELIMITERS, key=lambda mark: counts[mark])


def _first_record(text: str, delimiter: str) -> list[str]:
    """Return the cells of the first record that is not empty; none where it cannot be parsed."""
    records = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        return next((row for row in records if row), [])
    except csv.Error:
        return []


def _header(head: str, delimiter: str, *, path: Path) -> tuple[str, ...]:
    names = [name.strip() for name in _first_record(head, delimiter)]
    if not names:
        mend = "the first line must name the columns; look for a quote that is opened and never closed"
        raise refusal(path, "unreadable_header", "the header cannot be read as CSV", mend)
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        message = f"columns {', '.join(map(repr, twice))} occur more than once"
        raise refusal(path, "repeated_column", message, "rename one of each pair")
    return tuple(name or f"column_{position}" for position, name in enumerate(names, start=1))


def _are_few(bad: Sequence[tuple[int, str]], *, sound_count: int) -> bool:
    """Say whether a file is sound but for some rows: one, or few of many.

    A row over several lines is no single row: a quote that is never closed takes all that follows with it.
    """
    if any("\n" in text.strip() or "\r" in text.strip() for _, text in bad):
        return False
    return len(bad) < sound_count and len(bad) <= max(1, _RAGGED_SHARE_MAX * (sound_count + len(bad)))
