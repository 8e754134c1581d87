"""Dates and times as people and programs write them, to UTC instants.

Read without a format: ISO 8601 with or without offset, `2026-11-22 15:05:00 +0900`, year first with `-`, `/`
or `.`, `2026.11.22 오후 3:05`,
`2026년 11월 22일`, `20261122`. Day and month in front (`22.11.2026`, `11/22/2026`)
are read only with an explicit format: a guess that is wrong on the twelfth of a month is wrong for ever.
Numbers since an epoch are not read. Local times without an offset belong to a time zone; where clocks go back
the earlier instant is meant, where they go forward a time that did not exist is taken an hour later.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

INSTANT = pl.Datetime("us", "UTC")
_NAIVE = pl.Datetime("us")
_MICROSECONDS_A_DAY = 86_400_000_000
_PLAIN_FORMATS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d")
_WRITTEN = (
    r"^\s*(?P<y>\d{4})\s*[-./년]\s*(?P<m>\d{1,2})\s*[-./월]\s*(?P<d>\d{1,2})\s*[.일]?"
    r"(?:[\sT]*(?P<before>오전|오후|[AaPp]\.?[Mm]\.?)?\s*(?P<h>\d{1,2})\s*[:시]\s*(?P<mi>\d{1,2})"
    r"(?:\s*[:분]\s*(?P<s>\d{1,2})(?:[.,](?P<f>\d{1,9}))?\s*초?|\s*분)?\s*(?P<after>오전|오후|[AaPp]\.?[Mm]\.?)?)?"
    r"\s*(?P<zone>[Zz]|UTC|GMT|[+-]\d{2}:?(?:\d{2})?)?\s*$"
)
_COMPACT = r"^\s*(?P<y>(?:19|20)\d{2})(?P<m>\d{2})(?P<d>\d{2})(?P<h>\d{2})?(?P<mi>\d{2})?(?P<s>\d{2})?\s*$"
_DAY_OR_MONTH_FIRST = r"^\s*(\d{1,2})([./-])(\d{1,2})[./-](?:\d{4}|\d{2})(?:\D|$)"
_OFFSET_DIRECTIVES = ("%z", "%#z", "%:z", "%+")


@dataclass(frozen=True, slots=True)
class Instants:
    """What was read of a column: `values` in UTC, `ambiguous` cells, whether no cell had a time of day."""

    values: pl.Series
    ambiguous: pl.Series
    is_date_only: bool


def parse_instants(cells: pl.Series, *, time_zone: str = "UTC", formats: Sequence[str] = ()) -> Instants:
    """Read a column of dates and times; formats, if given, are the only ones tried for text.

    >>> read = parse_instants(pl.Series(["2026.11.22 오후 3:05"]), time_zone="Asia/Seoul")
    >>> read.values.to_list()[0].isoformat()
    '2026-11-22T06:05:00+00:00'
    """
    if cells.dtype != pl.String:
        return _typed(cells, time_zone)
    trimmed = cells.str.strip_chars()
    ambiguous = pl.zeros(len(cells), dtype=pl.Boolean, eager=True)
    if formats:
        local, fixed = _by_formats(trimmed, formats)
    else:
        local, fixed = _by_recognition(trimmed)
        if (local.is_null() & fixed.is_null() & trimmed.is_not_null()).any():
            ambiguous = trimmed.str.contains(_DAY_OR_MONTH_FIRST).fill_null(False) & local.is_null()
    date_only = fixed.is_null().all() and bool((local == local.dt.truncate("1d")).all())
    return Instants(fixed.zip_with(fixed.is_not_null(), localize(local, time_zone)), ambiguous, date_only)


def localize(local: pl.Series, time_zone: str) -> pl.Series:
    """Turn wall-clock times of a time zone into UTC instants; null stays null.

    >>> berlin = localize(pl.Series(["2024-03-31 02:30:00"]).str.to_datetime(time_unit="us"), "Europe/Berlin")
    >>> berlin.to_list()[0].isoformat()
    '2024-03-31T01:30:00+00:00'
    """
    if time_zone == "UTC":
        return local.cast(_NAIVE).dt.replace_time_zone("UTC")
    values = _with_zone(local, time_zone)
    for jump in ("1h", "1d"):
        lost = values.is_null() & local.is_not_null()
        if not lost.any():
            break
        values = values.zip_with(~lost, _with_zone(local.dt.offset_by(jump), time_zone))
    return values


def days_of(instant: pl.Expr) -> pl.Expr:
    """Return UTC instants as days since 1970-01-01 UTC, equal to `features.snapshot.days_since_epoch`.

    Divided by a column: where a frame has several rows, Polars multiplies with the reciprocal of a constant,
    and one instant would have two numbers of days.
    """
    microseconds = instant.dt.epoch("us")
    day = microseconds * 0 + _MICROSECONDS_A_DAY
    return microseconds / day


def suggested_format(cells: pl.Series) -> str:
    """Return the date formats that would read cells with day or month in front, for a message."""
    parts = cells.str.extract_groups(_DAY_OR_MONTH_FIRST).struct
    mark = str(parts.field("2").drop_nulls().first() or "/")
    first, second = (parts.field(name).cast(pl.Int64, strict=False).max() or 0 for name in ("1", "3"))
    year = "%Y" if cells.str.contains(r"[./-]\d{4}").any() else "%y"
    time = ""
    if cells.str.contains(":").any():
        twelve = cells.str.contains(r"(?i)[ap]m|오전|오후").any()
        seconds = ":%S" if cells.str.contains(r"\d:\d{2}:\d{2}").any() else ""
        time = f" {'%I' if twelve else '%H'}:%M{seconds}{' %p' if twelve else ''}"
    day_first, month_first = (f'"{a}{mark}{b}{mark}{year}{time}"' for a, b in (("%d", "%m"), ("%m", "%d")))
    if first > 12 >= second:  # type: ignore[operator]
        return day_first
    if second > 12 >= first:  # type: ignore[operator]
        return month_first
    return f"{day_first} or {month_first}"


def _with_zone(local: pl.Series, time_zone: str) -> pl.Series:
    aware = local.cast(_NAIVE).dt.replace_time_zone(time_zone, ambiguous="earliest", non_existent="null")
    return aware.dt.convert_time_zone("UTC")


def _typed(cells: pl.Series, time_zone: str) -> Instants:
    ambiguous = pl.zeros(len(cells), dtype=pl.Boolean, eager=True)
    if isinstance(cells.dtype, pl.Datetime) and cells.dtype.time_zone:
        return Instants(cells.dt.convert_time_zone("UTC").cast(INSTANT), ambiguous, False)
    if cells.dtype.is_temporal() and cells.dtype in (pl.Date, pl.Datetime):
        local = cells.cast(_NAIVE)
        date_only = bool((local == local.dt.truncate("1d")).all())
        return Instants(localize(local, time_zone), ambiguous, date_only)
    return Instants(pl.Series(cells.name, [None] * len(cells), dtype=INSTANT), ambiguous, False)


def _by_formats(cells: pl.Series, formats: Sequence[str]) -> tuple[pl.Series, pl.Series]:
    """Return (wall-clock times, fixed instants) of the first format that reads each cell."""
    local = pl.Series(cells.name, [None] * len(cells), dtype=_NAIVE)
    fixed = local.cast(_NAIVE).dt.replace_time_zone("UTC")
    english = cells.str.replace("오전", "AM").str.replace("오후", "PM")
    for pattern in formats:
        if any(directive in pattern for directive in _OFFSET_DIRECTIVES):
            found = english.str.to_datetime(pattern, strict=False, time_unit="us", time_zone="UTC")
            fixed = fixed.zip_with(fixed.is_not_null(), found)
        else:
            local = local.zip_with(local.is_not_null(), _to_datetime(english, pattern))
    return local, fixed


def _to_datetime(cells: pl.Series, pattern: str) -> pl.Series:
    if any(directive in pattern for directive in ("%H", "%I", "%M", "%T", "%R", "%X", "%c")):
        return cells.str.to_datetime(pattern, strict=False, time_unit="us")
    return cells.str.to_date(pattern, strict=False).cast(_NAIVE)


def _by_recognition(cells: pl.Series) -> tuple[pl.Series, pl.Series]:
    local = pl.Series(cells.name, [None] * len(cells), dtype=_NAIVE)
    for pattern in _PLAIN_FORMATS:
        rest = local.is_null() & cells.is_not_null()
        if not rest.any():
            break
        if cells.filter(rest).head(1000).str.to_datetime(pattern, strict=False).is_not_null().any():
            local = local.zip_with(local.is_not_null(), _to_datetime(cells, pattern))
    rest = local.is_null() & cells.is_not_null()
    fixed = pl.Series(cells.name, [None] * len(cells), dtype=_NAIVE).dt.replace_time_zone("UTC")
    if not rest.any():
        return local, fixed
    written = _written(cells.filter(rest).unique())
    found = cells.to_frame("cell").join(written, on="cell", how="left", maintain_order="left")
    return local.zip_with(local.is_not_null(), found["local"]), found["fixed"]


def _written(cells: pl.Series) -> pl.DataFrame:
    """Read distinct cells by pattern; columns cell, local, fixed."""
    parts = cells.to_frame("cell").with_columns(
        pl.col("cell").str.extract_groups(_WRITTEN).alias("w"),
        pl.col("cell").str.extract_groups(_COMPACT).alias("c"),
    )
    zone = pl.col("w").struct["zone"].str.to_uppercase()
    naive = _stamp().str.to_datetime("%Y-%m-%d %H:%M:%S%.f", strict=False, time_unit="us")
    fixed = (naive - pl.duration(minutes=_offset_minutes(zone))).dt.replace_time_zone("UTC")
    return parts.select(
        "cell",
        pl.when(zone.is_null()).then(naive).alias("local"),
        pl.when(zone.is_not_null()).then(fixed).alias("fixed"),
    )


def _stamp() -> pl.Expr:
    """Put the parts found by a pattern into one form; impossible ones stay and are not read later."""
    year, month, day, hour, minute, second = (
        pl.coalesce(pl.col("w").struct[name], pl.col("c").struct[name])
        for name in ("y", "m", "d", "h", "mi", "s")
    )
    return pl.format(
        "{}-{}-{} {}:{}:{}.{}",
        year,
        month.str.zfill(2),
        day.str.zfill(2),
        _hour_of_day(hour.cast(pl.Int64).fill_null(0)).cast(pl.String).str.zfill(2),
        minute.fill_null("0").str.zfill(2),
        second.fill_null("0").str.zfill(2),
        pl.col("w").struct["f"].fill_null("0"),
    )


def _hour_of_day(hour: pl.Expr) -> pl.Expr:
    half = pl.coalesce(pl.col("w").struct["before"], pl.col("w").struct["after"]).str.to_lowercase()
    return (
        pl.when(half.str.contains("^(p|오후)") & (hour < 12))
        .then(hour + 12)
        .when(half.str.contains("^(a|오전)") & (hour == 12))
        .then(0)
        .otherwise(hour)
    )


def _offset_minutes(zone: pl.Expr) -> pl.Expr:
    """Return the minutes ahead of UTC of `+09:00`, `-0530`, `+09`; 0 for Z, UTC and GMT."""
    digits = zone.str.replace_all(r"[^\d]", "").str.pad_end(4, "0")
    hours, rest = (digits.str.slice(at, 2).cast(pl.Int64, strict=False) for at in (0, 2))
    minutes = hours * 60 + rest
    return (
        pl.when(zone.str.starts_with("-"))
        .then(-minutes)
        .when(zone.str.starts_with("+"))
        .then(minutes)
        .otherwise(0)
    )
