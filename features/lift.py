"""How much more often a trait is found in a group than in everybody else, with its interval. Plain Python.

The lift is the share of the group's members with the trait over the share of all others with it: two groups
of different people, so that the interval of a ratio of two independent proportions holds (Katz, Baptista,
Azen & Pike 1978, "Obtaining confidence intervals for the risk ratio in cohort studies"):

    ln lift ± z · √(1/a − 1/m + 1/b − 1/n)      a of m members, b of n others

Where nobody, or everybody, on a side has the trait, a half is added to each count first (Walter 1975;
Pettigrew, Gart & Thomas 1986), since the logarithm would not be finite, or its error would be none.

**Many traits.** Of a hundred traits looked at, five stand out at 95 % by chance alone. So the intervals are
widened until all of them hold together with 95 % (Bonferroni: z of 1 − 0.05 ÷ (2 · traits)), and a trait is
told only where its own excludes 1.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp, log, sqrt
from statistics import NormalDist
from typing import Final

ERROR_SHARE: Final = 0.05
SEEN_MIN: Final = 10
"""A trait that fewer people have, members and others together, is not looked at."""


@dataclass(frozen=True, slots=True)
class Counted:
    """How many members and others have a trait, of those of whom it is known."""

    name: str
    value: str
    member_count: int
    member_total: int
    other_count: int
    other_total: int


@dataclass(frozen=True, slots=True)
class Trait:
    """A trait that members have more often than others: both shares, their ratio, and its interval."""

    name: str
    value: str
    member_count: int
    member_share: float
    other_share: float
    lift: float
    low: float
    high: float


def lift_of(counted: Counted, *, compared_count: int = 1) -> Trait | None:
    """Return the lift of a trait with an interval that holds for `compared_count` traits together.

    None where a side has nobody, or nobody at all has the trait.

    >>> found = lift_of(Counted("coupon", "yes", 30, 100, 10, 100))
    >>> round(found.lift, 3), round(found.low, 3), round(found.high, 3)
    (3.0, 1.551, 5.803)
    """
    a, m, b, n = counted.member_count, counted.member_total, counted.other_count, counted.other_total
    if not m or not n or not a + b:
        return None
    half = 0.0 if 0 < a < m and 0 < b < n else 0.5
    member, other = (a + half) / (m + half), (b + half) / (n + half)
    error = sqrt(1 / (a + half) - 1 / (m + half) + 1 / (b + half) - 1 / (n + half))
    width = NormalDist().inv_cdf(1 - ERROR_SHARE / (2 * max(compared_count, 1))) * error
    middle = log(member / other)
    return Trait(
        name=counted.name,
        value=counted.value,
        member_count=a,
        member_share=a / m,
        other_share=b / n,
        lift=exp(middle),
        low=exp(middle - width),
        high=exp(middle + width),
    )


def over_represented(counted: Iterable[Counted], *, limit: int) -> tuple[list[Trait], int]:
    """Return the traits beyond chance more frequent among members, and how many were looked at.

    The surest first: by the low end of the interval, then by name.
    """
    seen: Sequence[Counted] = [each for each in counted if each.member_count + each.other_count >= SEEN_MIN]
    found = [lift_of(each, compared_count=len(seen)) for each in seen]
    kept = [each for each in found if each is not None and each.low > 1]
    kept.sort(key=lambda each: (-each.low, each.name, each.value))
    return kept[:limit], len(seen)
