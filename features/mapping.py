"""The mapping file: how one source's columns and ways of writing become the canonical ones.

date_format = "%d.%m.%Y %H:%M"      # or a list; needed where day or month comes first
time_zone = "Europe/Berlin"         # of times without an offset; else the shop's
decimal_mark = ","
currency = "EUR"                    # or a column mapped to currency
encoding = "cp1252"                 # else detected: UTF-8, UTF-16, CP949
delimiter = ";"                     # else detected

[columns]                           # source = canonical
"Bestellnummer" = "order_id"
"Kunde" = "customer_id"
"Datum" = "ordered_at"
"Preis" = "unit_price"
"Menge" = "quantity"

[returns]
rule = "column"                     # or negative_quantity, negative_amount, negative (default: either)
column = "Status"
values = ["Retoure"]
"""

import difflib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from features.errors import UserError
from features.parsing import DecimalMark
from features.report import Report
from features.tables import ORDER_LINES, Table

ReturnRule = Literal["negative", "negative_quantity", "negative_amount", "column"]


class MappingError(UserError):
    """The mapping file cannot be read, or has unknown keys or values."""


class ReturnRules(BaseModel):
    """Which lines were given back; `column` needs a source column and the values that say so."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: ReturnRule = "negative"
    column: str | None = None
    values: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _complete(self) -> "ReturnRules":
        if (self.rule == "column") != bool(self.column and self.values):
            raise ValueError('rule = "column" goes together with column and values')
        return self


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


class Mapping(BaseModel):
    """A mapping file; a file with canonical column names needs none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: dict[str, str] = Field(default_factory=dict)
    date_format: Annotated[tuple[str, ...], BeforeValidator(_as_list)] = ()
    time_zone: str | None = None
    decimal_mark: DecimalMark = "."
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] | None = None
    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | None = None
    returns: ReturnRules = ReturnRules()

    @field_validator("columns")
    @classmethod
    def _canonical(cls, columns: dict[str, str]) -> dict[str, str]:
        known = ORDER_LINES.column_names
        unknown = sorted({name for name in columns.values() if name not in known})
        if unknown:
            raise ValueError(
                f"{', '.join(map(repr, unknown))} is no canonical column; choose from {', '.join(known)}"
            )
        twice = sorted({name for name in columns.values() if list(columns.values()).count(name) > 1})
        if twice:
            raise ValueError(f"two source columns are mapped to {', '.join(map(repr, twice))}; leave one out")
        return columns

    @field_validator("delimiter")
    @classmethod
    def _one_mark(cls, value: str | None) -> str | None:
        if value is not None and (len(value) != 1 or not value.isascii() or value in '"\r\n'):
            raise ValueError(f"{value!r} cannot part cells; write one ASCII character such as ';' or '\\t'")
        return value

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str | None) -> str | None:
        try:
            ZoneInfo(value or "UTC")
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"{value!r} is no IANA time zone; write one such as 'Europe/London'") from None
        return value


def load_mapping(path: Path | None) -> Mapping:
    """Read a mapping file (None: the empty one); raises `MappingError` naming every wrong entry at once."""
    if path is None:
        return Mapping()
    try:
        return Mapping.model_validate(tomllib.loads(path.read_text(encoding="utf-8-sig")))
    except OSError as error:
        raise MappingError(
            f"the mapping file {path} cannot be read ({error.strerror}); check the path"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MappingError(f"{path} is not readable TOML: {error}") from None
    except ValidationError as error:
        known = ", ".join(Mapping.model_fields)
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        count = error.error_count()
        raise MappingError(f"{path} has {count} wrong entries (known keys: {known}): {problems}") from None


def resolve_columns(
    source: Sequence[str], mapping: Mapping, *, table: Table, report: Report
) -> dict[str, str]:
    """Return canonical → source column; what is missing becomes findings, all at once.

    A source column counts under its own name where that is canonical (in any case, outer spaces ignored) and
    the mapping says nothing else about it.
    """
    absent = [
        name for name in (*mapping.columns, mapping.returns.column) if name is not None and name not in source
    ]
    for name in absent:
        near = difflib.get_close_matches(name, source, n=1)
        mend = f"did you mean {near[0]!r}?" if near else f"the file has {', '.join(map(repr, source))}"
        report.error(
            "absent_source_column",
            f"the mapping names column {name!r}, which the file lacks",
            column=name,
            mend=mend,
        )
    taken = {canonical: name for name, canonical in mapping.columns.items() if name in source}
    for name in source:
        canonical = name.strip().casefold()
        if canonical in table.column_names and name not in mapping.columns:
            taken.setdefault(canonical, name)
    return taken
