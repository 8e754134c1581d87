"""A share of people with what it rests on: how many of how many, and how sure that is. Plain Python."""

from dataclasses import dataclass
from math import sqrt
from typing import Final, Self

_Z95: Final = 1.959964


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many; `share` is None of nobody, `low` and `high` are its 95 % interval."""

    count: int
    total: int
    share: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, count: int, total: int) -> Self:
        """Return a share with its interval (`wilson_interval`). Raises `ValueError` unless 0 ≤ count ≤ total.

        >>> Share.of(900, 2_000).share
        0.45
        """
        if not 0 <= count <= total:
            raise ValueError(f"{count} of {total} is no share: 0 to {total} are possible")
        if not total:
            return cls(count, total, None, None, None)
        return cls(count, total, count / total, *wilson_interval(count, total))


def wilson_interval(count: int, total: int) -> tuple[float, float]:
    """Return the 95 % interval of an observed share (Wilson 1927), for a total above 0.

    It holds its promise near 0 and 1 and of few, where share ± 2 standard errors does not.

    >>> [round(edge, 3) for edge in wilson_interval(50, 100)]
    [0.404, 0.596]
    """
    share, weight = count / total, _Z95**2 / total
    middle = (share + weight / 2) / (1 + weight)
    half = sqrt(weight * (share * (1 - share) + weight / 4)) / (1 + weight)
    return (0.0 if not count else middle - half), (1.0 if count == total else middle + half)
