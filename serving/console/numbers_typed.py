"""Numbers as people type them into a form: in English and Korean, and as the rest of Europe writes them."""

import re
from typing import Final

_SPACES: Final = re.compile(r"[\s'’]")
_GROUPED: Final = re.compile(r"[+-]?\d{1,3}(?P<sign>[.,])\d{3}(?:(?P=sign)\d{3})*")


def number_typed(text: str) -> float | int | str | None:
    """Return the number that was typed, None for nothing, and what is no number as it is.

    Of two signs the last one is the decimal sign. A single comma is one too, unless exactly three digits
    follow: 1,200 is twelve hundred, and so is 1.200.000 a million and more.

    >>> number_typed(" 1,200.5 "), number_typed("3"), number_typed(""), number_typed("x")
    (1200.5, 3, None, 'x')
    >>> number_typed("0,30"), number_typed("1.200,50"), number_typed("1 200"), number_typed("1,20,0")
    (0.3, 1200.5, 1200, '1,20,0')
    """
    typed = text.strip()
    plain = _plain(_SPACES.sub("", typed))
    if not plain:
        return None
    for kind in (int, float):
        try:
            return kind(plain)
        except ValueError:
            continue
    return typed


def _plain(text: str) -> str:
    """Return a number with a point as its decimal sign and nothing between thousands, where it has any."""
    last = max(text.rfind(","), text.rfind("."))
    if last < 0:
        return text
    sign, other = text[last], "." if text[last] == "," else ","
    if other in text:
        whole, part = text[:last], text[last + 1 :]
        return whole.replace(other, "") + "." + part if _is_grouped(whole, other) else text
    if text.count(sign) > 1:
        return text.replace(sign, "") if _is_grouped(text, sign) else text
    if sign == "," and _is_grouped(text, ",") and not text.lstrip("+-").startswith("0"):
        return text.replace(",", "")
    return text.replace(",", ".")


def _is_grouped(text: str, sign: str) -> bool:
    found = _GROUPED.fullmatch(text)
    return found is not None and found["sign"] == sign
