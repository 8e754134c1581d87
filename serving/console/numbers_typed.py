"""Numbers as people type them into a form."""


def number_typed(text: str) -> float | int | str | None:
    """Return the number that was typed, None for nothing, and what is no number as it is.

    >>> number_typed(" 1,200.5 "), number_typed("3"), number_typed(""), number_typed("x")
    (1200.5, 3, None, 'x')
    """
    plain = text.strip().replace(",", "")
    if not plain:
        return None
    for kind in (int, float):
        try:
            return kind(plain)
        except ValueError:
            continue
    return plain
