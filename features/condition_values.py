"""The values that conditions compare with: texts, numbers, days and instants; and what a day means.

A day beside an instant is the whole of that day in the shop's time zone: `last_order_at <= "2026-01-31"`
holds until the end of 31 January there.
"""

import ast
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from features.condition_text import FilterError, Source

DAYS_MAX: Final = 36_525
YEARS: Final = (1900, 2199)
_NAMED_VALUES: Final = {"true": True, "false": False, "null": None}
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)

Value = str | float | bool | None


class Standpoint(NamedTuple):
    """What conditions are seen from: a snapshot's date, the shop's time zone, and cut points of attributes.

    `cuts[name]` are 19 values in rising order: at most 95 %, 90 %, … 5 % of the customers lie above them.
    """

    as_of: date
    time_zone: str = "UTC"
    cuts: Mapping[str, Sequence[float]] = {}


ANY_DAY: Final = Standpoint(date(2000, 1, 1))


class Moment(NamedTuple):
    """A time as the store compares it: an instant of its own, or the first of a day and of the day after."""

    begin: str
    end: str


def is_named_value(node: ast.expr) -> bool:
    """Say whether a part is true, false or null."""
    return isinstance(node, ast.Name) and node.id in _NAMED_VALUES


def literal(source: Source, node: ast.expr) -> Value:
    """Return the value that a part writes; whole numbers come as floats. Raises `FilterError`."""
    days = source.duration(node)
    if days is not None:
        return float(days)
    if isinstance(node, ast.Name) and node.id in _NAMED_VALUES:
        return _NAMED_VALUES[node.id]
    is_negative = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)
    constant = node.operand if isinstance(node, ast.UnaryOp) and is_negative else node
    value = constant.value if isinstance(constant, ast.Constant) else ...
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = _finite(value)
        if number is None:
            raise FilterError("finite", source.span(node))
        return -number if is_negative else number
    if isinstance(value, str) and not is_negative:
        return _storable(source, node, value)
    if (value is None or isinstance(value, bool)) and not is_negative:
        return value
    raise FilterError("value_wanted", source.span(node))


def read_days(source: Source, node: ast.expr) -> int:
    """Return a number of days, written as 180d or 180; raises `FilterError`."""
    days = source.duration(node)
    if days is None and isinstance(node, ast.Constant) and type(node.value) is int:
        days = node.value
    if days is None or days > DAYS_MAX:
        raise FilterError("days", source.span(node), values={"count": f"{DAYS_MAX:,}"})
    return days


def read_day(text: str) -> date | None:
    """Return a day written as 2026-01-31, None for anything else."""
    if not _DAY.fullmatch(text):
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if YEARS[0] <= day.year <= YEARS[1] else None


def read_instant(text: str) -> datetime | None:
    """Return an instant written as 2026-01-31T10:00:00Z, None for anything else."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    is_exact = instant.tzinfo is not None and YEARS[0] < instant.year < YEARS[1]
    return instant.astimezone(UTC) if is_exact else None


def moment_of_day(day: date, time_zone: str) -> Moment:
    """Return a day of a time zone as instants of the store.

    >>> moment_of_day(date(2026, 1, 31), "Asia/Seoul")
    Moment(begin='2026-01-30T15:00:00Z', end='2026-01-31T15:00:00Z')
    """
    zone = ZoneInfo(time_zone)
    days = (day, day + timedelta(days=1))
    begin, end = (datetime(each.year, each.month, each.day, tzinfo=zone).astimezone(UTC) for each in days)
    return Moment(instant_text(begin), instant_text(end))


def compare_with_moment(name: str, word: str, moment: Moment) -> tuple[str, tuple[str, ...]]:
    """Compare an attribute with an instant, or with a day as a whole: SQL and its values.

    Of an unknown instant only `<>` is true.
    """
    begin, end = moment
    if begin == end:
        return f"coalesce({name} {word} ?, {'TRUE' if word == '<>' else 'FALSE'})", (begin,)
    if word in ("=", "<>"):
        inside = f"coalesce({name} >= ? AND {name} < ?, FALSE)"
        return (inside if word == "=" else f"(NOT {inside})"), moment
    bound = begin if word in (">=", "<") else end
    return f"coalesce({name} {'>=' if word in ('>=', '>') else '<'} ?, FALSE)", (bound,)


def instant_text(instant: datetime) -> str:
    """Return an instant of UTC as the store writes it."""
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def _storable(source: Source, node: ast.expr, text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise FilterError("half_character", source.span(node)) from None
    if "\0" in text:
        raise FilterError("nul", source.span(node))
    return text


def _finite(number: float) -> float | None:
    try:
        value = float(number)
    except OverflowError:
        return None
    return value if math.isfinite(value) else None
