"""A draft: what an importer made of a source, typed; lines left out are in it, with the reason.

`CellReader` reads a source's columns and notes every cell that cannot be read; `Draft` is what all importers
return.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import polars as pl

from features import parsing
from features.history import STORED_SCHEMAS
from features.instants import INSTANT, parse_instants, suggested_format
from features.parsing import DecimalMark
from features.readers import ROW
from features.report import Finding, Report, examples_of

DRAFT_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    ROW: pl.Int64,
    "customer_id": pl.String,
    "order_id": pl.String,
    "line_id": pl.String,
    "ordered_at": INSTANT,
    "product_id": pl.String,
    "amount_minor": pl.Int64,
    "quantity_minor": pl.Int64,
    "discount_minor": pl.Int64,
    "coupon": pl.String,
    "channel": pl.String,
    "is_return": pl.Boolean,
    "left_out": pl.String,
}
UNREADABLE_SHARE_MAX = 0.05


@dataclass(frozen=True, slots=True)
class Conventions:
    """How a source writes dates and numbers, and how its people become ids."""

    time_zone: str = "UTC"
    date_formats: tuple[str, ...] = ()
    decimal_mark: DecimalMark = "."
    pepper: Callable[[], bytes] = bytes


@dataclass(frozen=True, slots=True)
class Draft:
    """One source, read: `lines` follow `DRAFT_SCHEMA`, companions the stored schemas without `loaded_at`."""

    lines: pl.DataFrame
    is_date_only: bool = False
    has_order_ids: bool = True
    currencies: dict[str, int] = field(default_factory=dict)
    products: pl.DataFrame | None = None
    customers: pl.DataFrame | None = None
    events: pl.DataFrame | None = None
    identities: pl.DataFrame | None = None


def draft_lines(**columns: pl.Series | pl.Expr) -> pl.DataFrame:
    """Assemble draft lines from series of one length; columns not given are null."""
    given = pl.DataFrame({name: series for name, series in columns.items() if isinstance(series, pl.Series)})
    absent = [
        pl.lit(None, dtype=kind).alias(name)
        for name, kind in DRAFT_SCHEMA.items()
        if name not in given.columns
    ]
    return given.with_columns(absent).select(DRAFT_SCHEMA.keys()).cast(dict(DRAFT_SCHEMA))  # type: ignore[arg-type]


def unreadable_message(column: str, count: int, share: float) -> str:
    """Say how many cells of a column cannot be read.

    >>> unreadable_message("price", 1200, 0.034)
    "1,200 cells of column 'price' (3%) cannot be read"
    """
    return f"{count:,} cells of column {column!r} ({share:.0%}) cannot be read"


def companion_rows(rows: pl.DataFrame, table: str) -> pl.DataFrame:
    """Bring rows to a companion table's stored schema without `loaded_at`; absent columns become null."""
    schema = {name: kind for name, kind in STORED_SCHEMAS[table].items() if name != "loaded_at"}
    absent = [
        pl.lit(None, dtype=kind).alias(name) for name, kind in schema.items() if name not in rows.columns
    ]
    return rows.with_columns(absent).select(schema.keys()).cast(schema)  # type: ignore[arg-type]


class CellReader:
    """Reads columns of one source frame by name; unreadable cells become findings of the report.

    A column of None is an absent one: all null. `required` columns with more than 5 % unreadable cells are an
    error (it is the wrong column or format, not a few dirty rows); else the rows are left out under
    `unreadable_<word>`.
    """

    def __init__(
        self, rows: pl.DataFrame, conventions: Conventions, report: Report, *, table: str = "order_lines"
    ) -> None:
        self.rows = rows
        self.conventions = conventions
        self._report = report
        self._table = table
        self._reasons = pl.Series("left_out", [None] * rows.height, dtype=pl.String)
        self.is_date_only = False

    @property
    def row_numbers(self) -> pl.Series:
        """The rows' numbers in the file."""
        return self.rows[ROW]

    @property
    def reasons(self) -> pl.Series:
        """Why a row is left out because of the cells read so far; null where it is not."""
        return self._reasons

    def cells(self, name: str | None) -> pl.Series:
        """Return a source column as it is; all null where it is absent."""
        return self.rows[name] if name in self.rows.columns and name is not None else self._nulls(pl.String)

    def ids(self, name: str | None) -> pl.Series:
        """Return ids, byte for byte."""
        return parsing.id_strings(self.cells(name))

    def texts(self, name: str | None) -> pl.Series:
        """Return free text, null where blank."""
        return parsing.texts(self.cells(name))

    def money(self, name: str | None, *, required: bool = False) -> pl.Series:
        """Return money in minor units."""
        cells = self.cells(name)
        values = parsing.parse_money(cells, decimal_mark=self.conventions.decimal_mark)
        self._note(name, cells, values, word="amount" if required else None)
        return values

    def quantities(self, name: str | None) -> pl.Series:
        """Return quantities in minor units."""
        cells = self.cells(name)
        values = parsing.parse_quantities(cells, decimal_mark=self.conventions.decimal_mark)
        self._note(name, cells, values, word=None)
        return values

    def numbers(self, name: str | None) -> pl.Series:
        """Return plain numbers."""
        cells = self.cells(name)
        values = parsing.parse_numbers(cells, decimal_mark=self.conventions.decimal_mark)
        self._note(name, cells, values, word=None)
        return values

    def flags(self, name: str | None) -> pl.Series:
        """Return truth values."""
        cells = self.cells(name)
        values = parsing.parse_flags(cells)
        self._note(name, cells, values, word=None)
        return values

    def instants(self, name: str | None, *, required: bool = False) -> pl.Series:
        """Return UTC instants; day and month in front without a format is an error, never a guess."""
        cells = self.cells(name)
        found = parse_instants(
            cells, time_zone=self.conventions.time_zone, formats=self.conventions.date_formats
        )
        if required:
            self.is_date_only = found.is_date_only
        if found.ambiguous.any():
            self._note_ambiguous(
                name, cells.filter(found.ambiguous), self.row_numbers.filter(found.ambiguous)
            )
            return found.values
        self._note(name, cells, found.values, word="date" if required else None)
        return found.values

    def dates(self, name: str | None) -> pl.Series:
        """Return calendar days as they are written, without a time zone."""
        cells = self.cells(name)
        found = parse_instants(cells, formats=self.conventions.date_formats)
        if found.ambiguous.any():
            self._note_ambiguous(
                name, cells.filter(found.ambiguous), self.row_numbers.filter(found.ambiguous)
            )
        else:
            self._note(name, cells, found.values, word=None)
        return found.values.dt.date()

    def _nulls(self, kind: type[pl.DataType]) -> pl.Series:
        return pl.Series([None] * self.rows.height, dtype=kind)

    def _note(self, name: str | None, cells: pl.Series, values: pl.Series, *, word: str | None) -> None:
        if name is not None:
            self._report.cell_counts[self._table, name] = len(cells) - cells.null_count()
        bad = parsing.unreadable(cells, values)
        count = int(bad.sum())
        if not count or name is None:
            return
        share = count / max(len(cells) - cells.null_count(), 1)
        finding = Finding(
            name=f"unreadable_{word}" if word else "unreadable_cells",
            severity="error" if word and share > UNREADABLE_SHARE_MAX else "warning",
            table=self._table,
            column=name,
            count=count,
            message=unreadable_message(name, count, share),
            examples=examples_of(cells.filter(bad).cast(pl.String), self.row_numbers.filter(bad)),
            mend=self._mend(cells.filter(bad)),
        )
        self._report.findings.append(finding)
        if word:
            self._reasons = self._reasons.set(bad & self._reasons.is_null(), f"unreadable_{word}")

    def _mend(self, cells: pl.Series) -> str:
        if cells.dtype != pl.String or cells.str.contains(r"^\s*\d{10}(\d{3})?\s*$").all():
            return "write dates as 2026-11-22 15:05:00 (numbers since an epoch are not read)"
        other: DecimalMark = "," if self.conventions.decimal_mark == "." else "."
        if parsing.parse_numbers(cells, decimal_mark=other).is_not_null().all():
            return f'set decimal_mark = "{other}" in the mapping file'
        return "check the column, or set date_format or decimal_mark in the mapping file"

    def _note_ambiguous(self, name: str | None, cells: pl.Series, rows: pl.Series) -> None:
        self._report.error(
            "ambiguous_dates",
            f"{len(cells):,} dates of column {name!r} begin with day or month, and which is not stated",
            table=self._table,
            column=name,
            count=len(cells),
            examples=examples_of(cells, rows),
            mend=f"set date_format = {suggested_format(cells)} in the mapping file",
        )
