"""How many times as often something happens in a group as in the rest, and how sure that is.

Within strata the ratio is that of Mantel and Haenszel: with a of n1 events in the group, c of n0 in the
rest and N = n1 + n0 rows of a stratum, `sum(a * n0 / N) / sum(c * n1 / N)`. One stratum gives the plain
ratio. Strata without rows on one side count nothing.

A customer is seen at many snapshots, and these rows are alike. So the variance of the logarithm is the sum
over customers of their squared influence (linearisation; Binder 1983), which is what resampling whole
customers gives, without the resampling.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfc

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]

_NORMAL_975: Final = 1.959963984540054


@dataclass(frozen=True, slots=True)
class RateRatio:
    """A ratio of rates and the standard error of its logarithm."""

    ratio: float
    log_error: float

    @property
    def low(self) -> float:
        """The lower end of the 95 % interval."""
        return float(self.ratio * np.exp(-_NORMAL_975 * self.log_error))

    @property
    def high(self) -> float:
        """The upper end of the 95 % interval."""
        return float(self.ratio * np.exp(_NORMAL_975 * self.log_error))

    @property
    def p_value(self) -> float:
        """How likely a ratio this far from 1, either way, is by chance."""
        if self.log_error == 0:
            return float(self.ratio == 1)
        return float(erfc(abs(np.log(self.ratio)) / self.log_error / np.sqrt(2)))

    @property
    def inverse(self) -> "RateRatio":
        """The same seen from the rest: how many times as often there as in the group."""
        return RateRatio(1 / self.ratio, self.log_error)


def rate_ratio(in_group: Mask, events: Floats, *, strata: Integers, clusters: Integers) -> RateRatio | None:
    """Compare a group with the rest, one value a row; None where one of them has no event to compare.

    `events` are 0 and 1, `strata` and `clusters` numbers from 0; rows of one cluster (customer) may depend on
    each other.

    >>> rows = np.arange(8)
    >>> found = rate_ratio(rows < 4, np.array([1., 1, 1, 0, 1, 0, 0, 0]), strata=rows * 0, clusters=rows)
    >>> found.ratio, round(found.low, 2), round(found.high, 2)
    (3.0, 0.44, 20.31)
    """
    cells = np.array(
        [
            np.bincount(strata, weights=np.where(in_group == side, weight, 0.0))
            for side in (True, False)
            for weight in (events, np.ones_like(events))
        ]
    )
    event_count, size, rest_event_count, rest_size = cells
    total = np.maximum(size + rest_size, 1.0)
    group_sum = float((event_count * rest_size / total).sum())
    rest_sum = float((rest_event_count * size / total).sum())
    if group_sum <= 0 or rest_sum <= 0:
        return None
    # What one row more adds to each of the two sums, by side.
    shares, rest_shares = (size / total)[strata], (rest_size / total)[strata]
    rates, rest_rates = (event_count / total)[strata], (rest_event_count / total)[strata]
    to_group = np.where(in_group, (events - rates) * rest_shares, rates * shares)
    to_rest = np.where(in_group, rest_rates * rest_shares, (events - rest_rates) * shares)
    influences = np.bincount(clusters, weights=to_group / group_sum - to_rest / rest_sum)
    seen = max(len(np.unique(clusters)), 2)
    error = np.sqrt((influences**2).sum() * seen / (seen - 1))
    return RateRatio(group_sum / rest_sum, float(error))


def holm(p_values: Sequence[float], *, level: float = 0.05) -> Mask:
    """Say which of many findings stand, so that a single false one among them all is rarer than `level`.

    The smallest p-value is held to level / n, the next to level / (n - 1), and so on until one fails (Holm
    1979).

    >>> holm([0.01, 0.04, 0.02]).tolist(), holm([0.02, 0.03]).tolist()
    ([True, True, True], [True, True])
    >>> holm([0.04, 0.03]).tolist(), holm([]).tolist()
    ([False, False], [])
    """
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    passed = values[order] <= level / np.arange(len(values), 0, -1)
    stands = np.empty(len(values), dtype=bool)
    stands[order] = np.logical_and.accumulate(passed)
    return stands
