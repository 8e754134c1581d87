"""Cells that a spreadsheet shows as they are and never runs."""

from typing import Any, Final

_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_EXCEL_DIGITS_MAX: Final = 11


def excel_cell(value: Any) -> Any:  # noqa: ANN401 - any JSON scalar
    """Return a text cell that a spreadsheet shows as it is and never runs; numbers stay numbers.

    >>> excel_cell("=1+1"), excel_cell("00123"), excel_cell("c1"), excel_cell(-2.5)
    ("'=1+1", '="00123"', 'c1', -2.5)
    """
    if not isinstance(value, str) or not value:
        return value
    if value.isascii() and value.isdigit() and (value[0] == "0" or len(value) > _EXCEL_DIGITS_MAX):
        return f'="{value}"'
    return f"'{value}" if value.lstrip(" ").startswith(_FORMULA_STARTS) else value
