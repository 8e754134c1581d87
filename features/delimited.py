"""CSV and its relatives: a text's encoding, delimiter and header, and its records a stretch at a time.

A file is looked through once, a block at a time, before anything is made of it: memory grows with the stretch
that is asked for, not with the file.
"""

import codecs
import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final, Self

import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv

from features.readers import ROW, are_empty, numbered, refusal
from features.report import DataError, Report
from features.text_files import as_file, look_through, opened

_DELIMITERS: Final = (",", ";", "\t", "|")
_RAGGED_SHARE_MAX: Final = 0.05
RECORDS_BYTES: Final = 1 << 24
_SHOWN_MAX: Final = 5


def read_delimited(
    path: Path,
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    report: Report | None = None,
) -> pl.DataFrame:
    """Read a whole file; parameters and errors are those of `DelimitedFile`."""
    with as_file(path) as file_path:
        file = DelimitedFile.open(file_path, encoding=encoding, delimiter=delimiter)
        return pl.concat(file.stretches(report=report))


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
        chosen, head = look_through(path, encoding)
        mark = delimiter or _sniffed_delimiter(head)
        return cls(path, chosen, mark, _header(head, mark, path=path))

    def stretches(
        self, row_count: int | None = None, *, report: Report | None = None
    ) -> Iterator[pl.DataFrame]:
        """Yield the records, at least `row_count` at a time or all at once; the last may be without any.

        Single rows of another length are left out where there is a report to say so. Raises `DataError` in
        the end where more are, and where the text cannot be split into records.
        """
        misfits = _Misfits()
        waiting = [numbered(pl.DataFrame(schema=dict.fromkeys(self.header, pl.String)))]
        next_number = 1
        for records in self._batches(misfits):
            records.columns = list(self.header)
            numbers = misfits.numbers_between(next_number, records.height)
            rows = numbered(records).with_columns(numbers.alias(ROW))
            next_number = int(numbers[-1]) + 1 if len(numbers) else next_number
            misfits.sound_count += rows.height
            waiting.append(rows.filter((pl.col(ROW) > 1) & ~are_empty(rows.drop(ROW))))
            if row_count is not None and sum(part.height for part in waiting) >= row_count:
                yield pl.concat(waiting)
                waiting = waiting[:1]
        self._judge(misfits, report)
        yield pl.concat(waiting)

    def _batches(self, misfits: "_Misfits") -> Iterator[pl.DataFrame]:
        """Yield all records, the header's included, as text, without the misfits."""
        names = [f"f{position}" for position in range(len(self.header))]
        is_plain = codecs.lookup(self.encoding).name == "utf-8"
        try:
            with (
                opened(self.path) as text,
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
                        delimiter=self.delimiter, newlines_in_values=True, invalid_row_handler=misfits.take
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

    def _judge(self, misfits: "_Misfits", report: Report | None) -> None:
        if not misfits.count:
            return
        refused = self._ragged(misfits)
        if report is None or not misfits.are_few:
            raise refused
        found = refused.report.errors[0]
        report.warn(found.name, f"{found.message}: they are left out", count=misfits.count, mend=found.mend)

    def _ragged(self, misfits: "_Misfits") -> DataError:
        shown = ", ".join(map(str, misfits.first)) + (", …" if misfits.count > len(misfits.first) else "")
        have = "row does" if misfits.count == 1 else "rows do"
        lengths = f"{misfits.count:,} {have} not have the header's {len(self.header)} columns"
        return refusal(
            self.path,
            "ragged_rows",
            f"{lengths} (rows {shown}; delimiter {self.delimiter!r})",
            "quote cells that contain the delimiter, or set `delimiter` in the mapping file",
        )


@dataclass(slots=True)
class _Misfits:
    """The records of another length than the header's, among `sound_count` others with the header."""

    count: int = 0
    sound_count: int = 0
    first: list[int] = field(default_factory=list)
    _has_broken_lines: bool = False
    _ahead: list[int] = field(default_factory=list)

    def take(self, row: pa_csv.InvalidRow) -> str:
        """Take up a record, as the parser's handler."""
        number, text = row.number or 0, row.text.strip()
        self.count += 1
        self._ahead.append(number)
        self._has_broken_lines |= "\n" in text or "\r" in text
        if len(self.first) < _SHOWN_MAX:
            self.first.append(number)
        return "skip"

    def numbers_between(self, start: int, count: int) -> pl.Series:
        """Return the numbers of the next sound records, from `start` on; those of misfits are left out."""
        numbers = pl.int_range(start, start + count + len(self._ahead), eager=True, dtype=pl.Int64)
        sound = numbers.filter(~numbers.is_in(self._ahead)).head(count)
        last = int(sound[-1]) if count else start - 1
        self._ahead = [number for number in self._ahead if number > last]
        return sound

    @property
    def are_few(self) -> bool:
        """Say whether the text is sound but for some records: one, or few of many.

        A record over several lines is no single one: a quote that is never closed takes all that follows.
        """
        sound = self.sound_count - 1
        allowed = max(1, _RAGGED_SHARE_MAX * (sound + self.count))
        return not self._has_broken_lines and self.count < sound and self.count <= allowed


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
    for place, name in enumerate(names):
        if not name:
            names[place] = next(found for found in _made_up_names(place + 1) if found not in names)
    return tuple(names)


def _made_up_names(position: int) -> Iterator[str]:
    return (f"column_{position}{'_' * more}" for more in count())
