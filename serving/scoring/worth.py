"""What money that comes later is worth today: expected spend, discounted at a yearly rate.

Between the horizons at which spend is known it is taken to come evenly. With r = log(1 + rate) a year, money
that comes between a and b (in years) counts

    (exp(-r a) - exp(-r b)) / (r (b - a))

of itself: the mean of exp(-r t) over the interval. A rate of 0 changes nothing.
"""

from collections.abc import Sequence

import numpy as np

from serving.scoring.horizons import Floats

_YEAR_DAYS = 365.25


def present_values(spend: Floats, horizons_days: Sequence[int], *, yearly_rate: float) -> Floats:
    """Return today's worth of spend within horizons: one row a customer, one column a horizon, ascending.

    >>> present_values(np.array([[100.0, 200.0]]), [365, 730], yearly_rate=0.1).round(2).tolist()
    [[95.39, 182.11]]
    """
    added = np.diff(spend, axis=1, prepend=0.0)
    return np.cumsum(added * _kept_shares(horizons_days, yearly_rate), axis=1)


def undiscounted(values: Floats, horizons_days: Sequence[int], *, yearly_rate: float) -> Floats:
    """Return the spend of which `present_values` are the worth.

    >>> undiscounted(np.array([[95.39, 182.11]]), [365, 730], yearly_rate=0.1).round(1).tolist()
    [[100.0, 200.0]]
    """
    added = np.diff(values, axis=1, prepend=0.0)
    return np.cumsum(added / _kept_shares(horizons_days, yearly_rate), axis=1)


def _kept_shares(horizons_days: Sequence[int], yearly_rate: float) -> Floats:
    ends = np.asarray(horizons_days, dtype=np.float64) / _YEAR_DAYS
    starts = np.concatenate([[0.0], ends[:-1]])
    force = np.log1p(yearly_rate)
    if not force:
        return np.ones(len(ends))
    return np.asarray((np.exp(-force * starts) - np.exp(-force * ends)) / (force * (ends - starts)))
