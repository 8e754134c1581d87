"""What a score is made by, as plain values: quantiles, parts of equal width, or given cuts; and as text.

    quantile 5              fifths of the customers
    equal_width 3           the range of what is seen, in thirds
    equal_width 3 0 365     the range from 0 to 365, in thirds
    cuts 30 90 180          these edges: four scores

Nothing here reads a customer, so that settings can be checked without an engine (`features.rfm_scales`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from features.errors import UserError

BIN_COUNT_MAX = 20


class RfmError(UserError):
    """Scores cannot be made as asked."""


@dataclass(frozen=True, slots=True)
class Quantile:
    """As many customers in each bin as ties allow."""

    bin_count: int

    def __post_init__(self) -> None:
        _check_bin_count(self.bin_count)

    @property
    def words(self) -> str:
        """The rule, in words."""
        return f"1 + floor({self.bin_count} × share of customers with a strictly worse value)"


@dataclass(frozen=True, slots=True)
class EqualWidth:
    """The range from `low` to `high` in parts of one width; None stands for the least or largest value seen.

    Values outside get the nearest score. A range without width has no edges: everybody gets a 1, as in
    `Quantile`.
    """

    bin_count: int
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        _check_bin_count(self.bin_count)
        known = [bound for bound in (self.low, self.high) if bound is not None]
        if not all(map(isfinite, known)) or (len(known) == 2 and known[0] >= known[1]):
            raise RfmError(f"a range from {self.low} to {self.high} has no width; low must lie below high")

    @property
    def words(self) -> str:
        """The rule, in words."""
        low = "the least value" if self.low is None else f"{self.low:g}"
        high = "the largest" if self.high is None else f"{self.high:g}"
        return f"the range from {low} to {high} in {self.bin_count} parts of equal width"


@dataclass(frozen=True, slots=True)
class Cuts:
    """Edges as they are given, each larger than the one before: n cuts make n + 1 scores."""

    points: tuple[float, ...]

    def __post_init__(self) -> None:
        is_rising = all(a < b for a, b in zip(self.points, self.points[1:], strict=False))
        if not self.points or not all(map(isfinite, self.points)) or not is_rising:
            raise RfmError(f"cuts are {list(self.points)}; name one or more numbers, each above the last")
        _check_bin_count(self.bin_count)

    @property
    def bin_count(self) -> int:
        """One more than there are cuts."""
        return len(self.points) + 1

    @property
    def words(self) -> str:
        """The rule, in words."""
        return f"cut at {', '.join(f'{point:g}' for point in self.points)}"


Method = Quantile | EqualWidth | Cuts


@dataclass(frozen=True, slots=True)
class Axis:
    """One thing that is scored: the column it is read from, the column it is written to, and how."""

    value: str
    score: str
    method: Method
    low_is_best: bool = False


def read_method(text: str) -> Method:
    """Read a method from its text; raises `RfmError` that says what is allowed.

    >>> read_method("cuts 30 90 180").bin_count
    4
    """
    name, *words = text.split() or [""]
    try:
        numbers = [float(word) for word in words]
        if name == "quantile" and len(numbers) == 1:
            return Quantile(_whole(numbers[0]))
        if name == "equal_width" and len(numbers) in (1, 3):
            return EqualWidth(_whole(numbers[0]), *numbers[1:])
        if name == "cuts" and numbers:
            return Cuts(tuple(numbers))
    except ValueError:
        pass
    raise RfmError(
        f"{text!r} scores nothing; write quantile 5, equal_width 3, equal_width 3 0 365 or cuts 30 90 180"
    )


def tier_cuts(methods: Sequence[Method]) -> tuple[int, int]:
    """Return the least sums of scores of the tiers middle and top: a quarter and three quarters of the way.

    For scores of 1 to 3 that is the mean score, rounded.

    >>> tier_cuts([Quantile(3)] * 3)
    (5, 8)
    """
    low, high = len(methods), sum(method.bin_count for method in methods)
    sums = range(low, high + 1)
    middle, top = (
        next(each for each in sums if 4 * (each - low) >= quarters * (high - low)) for quarters in (1, 3)
    )
    return middle, top


def _whole(number: float) -> int:
    if not number.is_integer():
        raise ValueError
    return int(number)


def _check_bin_count(bin_count: int) -> None:
    if not 2 <= bin_count <= BIN_COUNT_MAX:
        raise RfmError(f"{bin_count} bins: ask for 2 to {BIN_COUNT_MAX}")
