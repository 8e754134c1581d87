"""Money of an order, spread over its lines."""

from collections.abc import Sequence
from itertools import accumulate


def spread(total: int, weights: Sequence[int]) -> list[int]:
    """Spread a total over lines in proportion to weights; the shares add up to it exactly.

    Weights below zero count as none; without any weight lines share alike.

    >>> spread(100, [1, 1, 1])
    [33, 34, 33]
    """
    usable = [max(weight, 0) for weight in weights]
    if not sum(usable):
        usable = [1] * len(usable)
    whole = sum(usable)
    ends = [rounded(total * until, whole) for until in accumulate(usable)]
    return [end - start for start, end in zip([0, *ends], ends, strict=False)]


def rounded(numerator: int, denominator: int) -> int:
    """Return a quotient with halves rounded away from zero, as the importers of files do.

    >>> rounded(5, 2), rounded(-5, 2)
    (3, -3)
    """
    sign = -1 if numerator < 0 else 1
    return sign * ((2 * abs(numerator) + denominator) // (2 * denominator))
