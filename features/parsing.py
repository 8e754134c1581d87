"""Cells to values, a column at a time: money, quantities, instants, flags and ids.

Every function takes a polars Series (strings, or an already typed column of a Parquet file) and returns one
of the same length, null where the cell is empty or cannot be read; `unreadable` tells the two apart. The
plain forms (`12.50`, `2026-11-22 15:05:00`) are cast at once; only cells that remain go through regular
expressions.
"""

from collections.abc import Callable
from typing import Literal

import polars as pl

from features.history import MONEY_SCALE, QUANTITY_SCALE

DecimalMark = Literal[".", ","]
AMOUNT_MAX = 100_000_000_000

_CURRENCY_WORDS = {
    "€": "EUR",
    "£": "GBP",
    "₩": "KRW",
    "원": "KRW",
    "$": "USD",
    "US$": "USD",
    "A$": "AUD",
    "C$": "CAD",
    "R$": "BRL",
    "¥": "JPY",
    "円": "JPY",
    "元": "CNY",
    "₹": "INR",
    "₽": "RUB",
    "₺": "TRY",
    "₫": "VND",
    "฿": "THB",
    "₴": "UAH",
    "zł": "PLN",
    "Kč": "CZK",
    "Ft": "HUF",
}
_CURRENCY_PATTERN = r"(?:US\$|A\$|C\$|R\$|[€£₩원$¥円元₹₽₺₫฿₴]|zł|Kč|Ft|[A-Z]{3})"
_SPACES = r"[\s'’_]"
_NUMBER = {
    ".": r"^[+-]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d*)?(?:[eE][+-]?\d+)?$",
    ",": r"^[+-]?(?:\d{1,3}(?:\.\d{3})+|\d+)?(?:,\d*)?(?:[eE][+-]?\d+)?$",
}
_TRUE = ("true", "t", "yes", "y", "1", "1.0", "예", "네")
_FALSE = ("false", "f", "no", "n", "0", "0.0", "아니오", "아니요")


def id_strings(cells: pl.Series) -> pl.Series:
    """Return ids as text, byte for byte; whole floats of a typed file lose their `.0`, empty text is null.

    >>> id_strings(pl.Series([17850.0, None])).to_list()
    ['17850', None]
    """
    if cells.dtype.is_float():
        finite = cells.fill_nan(None)
        whole = (finite == finite.round(0)).all(ignore_nulls=True) and (finite.abs().max() or 0) < 2**63  # type: ignore[operator]
        return (finite.cast(pl.Int64) if whole else finite).cast(pl.String)
    texts = cells.cast(pl.String)
    return texts.set(texts == "", None)


def texts(cells: pl.Series) -> pl.Series:
    """Return free text as it is; cells of nothing but spaces are null."""
    strings = id_strings(cells)
    return strings.set(strings.str.strip_chars() == "", None)


def unreadable(cells: pl.Series, values: pl.Series) -> pl.Series:
    """Say which cells hold something and yet gave no value."""
    if cells.dtype == pl.String:
        cells = cells.str.strip_chars()
        return cells.is_not_null() & (cells != "") & values.is_null()
    return cells.is_not_null() & values.is_null()


def parse_numbers(cells: pl.Series, *, decimal_mark: DecimalMark = ".") -> pl.Series:
    """Return Float64 of written numbers: `1,234.5`, `(12.00)`, `12-`, `−3`, and with mark `,` `1.234,50`.

    >>> parse_numbers(pl.Series(["1,234원", "(12.00)", "1.5.2"])).to_list()
    [1234.0, -12.0, None]
    """
    if cells.dtype != pl.String or decimal_mark == ".":
        values = cells.cast(pl.Float64, strict=False)
    else:
        values = pl.Series(cells.name, [None] * len(cells), dtype=pl.Float64)
    values = values.set(~values.is_finite(), None)
    return _fill(values, cells, lambda rest: _written_numbers(rest, decimal_mark))


def parse_money(cells: pl.Series, *, decimal_mark: DecimalMark = ".") -> pl.Series:
    """Return money as Int64 minor units; amounts beyond `AMOUNT_MAX` are kept (to 9e14), to be named later.

    >>> parse_money(pl.Series(["€12.50", "-3"])).to_list()
    [125000, -30000]
    """
    return _scaled(parse_numbers(cells, decimal_mark=decimal_mark), MONEY_SCALE)


def parse_quantities(cells: pl.Series, *, decimal_mark: DecimalMark = ".") -> pl.Series:
    """Return quantities as Int64 minor units."""
    return _scaled(parse_numbers(cells, decimal_mark=decimal_mark), QUANTITY_SCALE)


def currencies_of(cells: pl.Series) -> pl.Series:
    """Return the ISO 4217 code written beside each amount, null where there is none.

    >>> currencies_of(pl.Series(["€12", "12 KRW", "1,234원", "12"])).to_list()
    ['EUR', 'KRW', 'KRW', None]
    """
    if cells.dtype != pl.String:
        return pl.Series(cells.name, [None] * len(cells), dtype=pl.String)
    plain = cells.cast(pl.Float64, strict=False).is_not_null()
    if (plain | cells.is_null()).all():
        return pl.Series(cells.name, [None] * len(cells), dtype=pl.String)
    words = cells.str.normalize("NFKC").str.extract(rf"({_CURRENCY_PATTERN})")
    return words.replace({"W": None} | _CURRENCY_WORDS)


def parse_flags(cells: pl.Series) -> pl.Series:
    """Return Boolean of true/false, yes/no, y/n, 1/0, 예/아니오 in any case."""
    if cells.dtype == pl.Boolean:
        return cells
    words = id_strings(cells).str.strip_chars().str.to_lowercase()
    frame = words.to_frame("word").select(
        pl.when(pl.col("word").is_in(_TRUE)).then(True).when(pl.col("word").is_in(_FALSE)).then(False)
    )
    return frame.to_series().rename(cells.name)


def _fill(values: pl.Series, cells: pl.Series, read: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """Read with a slower reader what is still null."""
    rest = values.is_null() & cells.is_not_null()
    if cells.dtype != pl.String or not rest.any():
        return values
    return values.scatter(rest.arg_true(), read(cells.filter(rest)))


def _scaled(values: pl.Series, scale: int) -> pl.Series:
    bounded = values.clip(-9e14, 9e14)
    return (bounded * scale).round(0).cast(pl.Int64)


def _written_numbers(cells: pl.Series, decimal_mark: DecimalMark) -> pl.Series:
    """Read numbers as people write them: symbols, codes, thousands marks, brackets or a trailing minus."""
    text = cells.str.normalize("NFKC").str.replace_all("[−–]", "-").str.replace_all(_SPACES, "")
    bare = text.str.replace(rf"^([(+-]*){_CURRENCY_PATTERN}", "${1}").str.replace(
        rf"{_CURRENCY_PATTERN}([)-]?)$", "${1}"
    )
    signed = bare.str.replace(r"^\((.+)\)$", "-${1}").str.replace(r"^([\d.,]+)-$", "-${1}")
    signed = signed.set(~signed.str.contains(_NUMBER[decimal_mark]), None)
    thousands = "," if decimal_mark == "." else "."
    plain = signed.str.replace_all(thousands, "", literal=True).str.replace(decimal_mark, ".", literal=True)
    values = plain.cast(pl.Float64, strict=False)
    return values.set(~values.is_finite(), None)
