"""The difference of two shares, with an interval that holds for small groups and shares near 0 or 1.

Newcombe, "Interval Estimation for the Difference between Independent Proportions: Comparison of Eleven
Methods", Statistics in Medicine 17, 1998, 873-890, method 10: the score intervals of both shares (Wilson
1927), put together by the squares of their reaches.
"""

from math import sqrt
from typing import Final, NamedTuple

_Z: Final = 1.959963984540054
"""The 97.5th percentile of the standard normal distribution: intervals have 95 %."""


class Difference(NamedTuple):
    """One share less the other, and the bounds of its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def is_clear(self) -> bool:
        """Whether the interval lies on one side of 0."""
        return self.low > 0.0 or self.high < 0.0


def share_interval(count: int, total: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of which `count` of `total` were seen (Wilson 1927).

    >>> [round(bound, 4) for bound in share_interval(56, 70)]
    [0.6918, 0.877]
    """
    share, z2 = count / total, _Z * _Z
    middle = share + z2 / (2 * total)
    reach = _Z * sqrt(share * (1 - share) / total + z2 / (4 * total * total))
    scale = 1 + z2 / total
    return (max(middle - reach, 0.0) / scale, min((middle + reach) / scale, 1.0))


def share_difference(count: int, total: int, other_count: int, other_total: int) -> Difference:
    """Return `count / total - other_count / other_total` with its interval; both totals are above 0.

    >>> [round(each, 4) for each in share_difference(56, 70, 48, 80)]
    [0.2, 0.0524, 0.3339]
    """
    share, other = count / total, other_count / other_total
    low, high = share_interval(count, total)
    other_low, other_high = share_interval(other_count, other_total)
    value = share - other
    return Difference(
        value,
        value - sqrt((share - low) ** 2 + (other_high - other) ** 2),
        value + sqrt((high - share) ** 2 + (other - other_low) ** 2),
    )
