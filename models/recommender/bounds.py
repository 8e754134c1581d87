"""Exact 95 % bounds of what was counted: a Poisson mean, and the ratio of two Poisson rates."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaincinv, gammaincinv

from models.recommender.catalogue import Floats

_TAIL = 0.025


def poisson_bounds(counts: ArrayLike) -> tuple[Floats, Floats]:
    """Return the lower and upper 95 % bound of the means of Poisson counts.

    The quantiles of the gamma distributions with the shapes n and n + 1 (Garwood, "Fiducial limits for the
    Poisson distribution", Biometrika 1936).

    >>> [bound.round(3).tolist() for bound in poisson_bounds([0, 5, 10])]
    [[0.0, 1.623, 4.795], [3.689, 11.668, 18.39]]
    """
    found = np.asarray(counts, dtype=np.float64)
    low = np.where(found > 0, gammaincinv(np.maximum(found, 1.0), _TAIL), 0.0)
    return low, gammaincinv(found + 1.0, 1.0 - _TAIL)


def rate_ratio_low(
    counts: ArrayLike, exposures: ArrayLike, other_counts: ArrayLike, other_exposures: ArrayLike
) -> Floats:
    """Return the lower 95 % bound of (count ÷ exposure) ÷ (other count ÷ other exposure).

    Given their sum, the first of two Poisson counts is binomial (Przyborowski and Wilenski, Biometrika 1940);
    its share has the bound of Clopper and Pearson (Biometrika 1934). Counts are at least 1, exposures > 0.

    >>> rate_ratio_low([30, 30], [100, 100], [10, 30], [100, 100]).round(3).tolist()
    [1.427, 0.582]
    """
    first, second = (np.asarray(part, dtype=np.float64) for part in (counts, other_counts))
    share = betaincinv(first, second + 1.0, _TAIL)
    relative = np.asarray(other_exposures, dtype=np.float64) / np.asarray(exposures, dtype=np.float64)
    return np.asarray(share / (1.0 - share) * relative)
