"""Where orders come from: formats, and the files of one load read into drafts."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import polars as pl

from features import readers, stretches
from features.delimited import DelimitedFile, read_delimited
from features.drafts import Conventions, Draft
from features.importers import complete_journey, online_retail, shopify, tabular, woocommerce
from features.mapping import Mapping
from features.report import DataError, Report
from features.tables import TABLES
from features.text_files import as_file, guess_encoding
from features.upsert import Mode


class Format(StrEnum):
    """How a source is laid out."""

    CSV = "csv"
    PARQUET = "parquet"
    XLSX = "xlsx"
    SHOPIFY = "shopify"
    WOOCOMMERCE = "woocommerce"
    ONLINE_RETAIL = "online-retail"
    COMPLETE_JOURNEY = "complete-journey"


_SUFFIXES = {
    ".parquet": Format.PARQUET,
    ".pq": Format.PARQUET,
    ".xlsx": Format.XLSX,
    ".xlsm": Format.XLSX,
    ".xls": Format.XLSX,
    ".xlsb": Format.XLSX,
    ".ods": Format.XLSX,
}


@dataclass(frozen=True, slots=True)
class Request:
    """One load: the files, how they are laid out and how they enter the history."""

    files: tuple[Path, ...] = ()
    format: Format | None = None
    mapping: Mapping = field(default_factory=Mapping)
    mode: Mode = "upsert"
    companions: dict[str, Path] = field(default_factory=dict)

    @property
    def layout(self) -> str:
        """The format chosen, else guessed from the first file's name."""
        named = (*self.files, *self.companions.values())
        return self.format or (guessed_format(named[0]) if named else Format.CSV)


NATIVE_FORMATS: dict[Format, Callable[..., Draft]] = {
    Format.SHOPIFY: shopify.read,
    Format.WOOCOMMERCE: woocommerce.read,
    Format.ONLINE_RETAIL: online_retail.read,
}


def read_drafts(request: Request, conventions: Conventions, *, report: Report) -> list[Draft]:
    """Read every order file of a request; raises `DataError` with the problems of all of them."""
    if request.format is Format.COMPLETE_JOURNEY:
        return [complete_journey.read(conventions)]
    drafts = []
    for path in request.files:
        try:
            drafts.append(_read_draft(path, request, conventions, report))
        except DataError as error:
            if error.report is not report:
                report.findings += error.report.findings
    report.stop_on_errors()
    return drafts


def iterate_drafts(path: Path, request: Request, conventions: Conventions) -> Iterator[tuple[Draft, Report]]:
    """Read an order file a stretch at a time, each with what was found in it.

    Text and Parquet with columns of their own come in stretches; anything else is one. Raises `DataError`
    where a stretch is none of orders at all, and where a text has too many rows of another length; unreadable
    cells stand in the report, for the whole file to judge.
    """
    chosen = request.format or guessed_format(path)
    noted = Report(time_zone=conventions.time_zone)
    for rows in _stretches(path, chosen, request.mapping, report=noted):
        report = Report(time_zone=conventions.time_zone, findings=noted.findings)
        noted.findings = []
        yield _as_draft(rows, chosen, request, conventions, report), report


def _stretches(path: Path, chosen: Format, mapping: Mapping, *, report: Report) -> Iterator[pl.DataFrame]:
    match chosen:
        case Format.PARQUET:
            yield from stretches.read_stretches(path)
        case Format.CSV:
            with as_file(path) as file_path:
                text = DelimitedFile.open(file_path, encoding=mapping.encoding, delimiter=mapping.delimiter)
                yield from text.stretches(stretches.ROWS_AT_ONCE, report=report)
        case _:
            yield _read_rows(path, chosen, mapping, report=report)


def _read_draft(path: Path, request: Request, conventions: Conventions, report: Report) -> Draft:
    chosen = request.format or guessed_format(path)
    rows = _read_rows(path, chosen, request.mapping, report=report)
    return _as_draft(rows, chosen, request, conventions, report)


def _as_draft(
    rows: pl.DataFrame, chosen: Format, request: Request, conventions: Conventions, report: Report
) -> Draft:
    if chosen in NATIVE_FORMATS:
        return NATIVE_FORMATS[chosen](rows, conventions, report=report)
    return tabular.read_order_lines(rows, request.mapping, conventions, report=report)


def read_rows(path: Path) -> tuple[Format, str | None, pl.DataFrame]:
    """Return how a file is laid out, by its suffix, and its rows as they are; raises `DataError`.

    Between them stands the encoding where it had to be guessed. Single rows of another length are left out.
    """
    layout = guessed_format(path)
    encoding = guess_encoding(path) if layout is Format.CSV else None
    return layout, encoding, _read_rows(path, layout, Mapping(encoding=encoding), report=Report())


def _read_rows(path: Path, chosen: Format, mapping: Mapping, *, report: Report) -> pl.DataFrame:
    layout = _file_format(path, chosen)
    if layout is Format.PARQUET:
        return readers.read_parquet(path)
    if layout is Format.XLSX:
        return readers.read_xlsx(path, sheet=mapping.sheet)
    return read_delimited(path, encoding=mapping.encoding, delimiter=mapping.delimiter, report=report)


def _file_format(path: Path, chosen: Format | None) -> Format:
    return chosen if chosen in (Format.CSV, Format.PARQUET, Format.XLSX) else guessed_format(path)


def expected_row_count(path: Path, chosen: Format | None) -> int:
    """Return about how many rows a file has: Parquet says, text is guessed by its size, others are small."""
    match _file_format(path, chosen):
        case Format.PARQUET:
            return stretches.parquet_row_count(path)
        case Format.CSV:
            return stretches.text_row_count(path)
        case _:
            return 0


def guessed_format(path: Path) -> Format:
    """Return how a file is laid out, by its suffix; anything unknown is text."""
    return _SUFFIXES.get(path.suffix.lower(), Format.CSV)


def read_companions(
    request: Request, drafts: list[Draft], conventions: Conventions, report: Report
) -> dict[str, pl.DataFrame]:
    """Collect products, customers and events: what importers found, then the companion files."""
    found: dict[str, list[pl.DataFrame]] = {}
    for draft in drafts:
        for name, rows in (
            ("products", draft.products),
            ("customers", draft.customers),
            ("events", draft.events),
        ):
            if rows is not None:
                found.setdefault(name, []).append(rows)
    for name, path in request.companions.items():
        try:
            rows = _read_rows(path, guessed_format(path), Mapping(), report=report)
            found.setdefault(name, []).append(
                tabular.read_companion(rows, TABLES[name], conventions, report=report)
            )
        except DataError as error:
            if error.report is not report:
                report.findings += error.report.findings
    report.stop_on_errors()
    return {name: pl.concat(parts) for name, parts in found.items()}
