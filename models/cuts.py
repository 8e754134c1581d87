"""Where to cut a feature in two, so that something happens as unequally often as can be on the two sides."""

from typing import Final

import numpy as np

from models.rate_ratios import Floats, Integers

SIDE_SHARE_MIN: Final = 0.1
_SHARES: Final = np.arange(1, 10) / 10
_DIGITS: Final = 2


def best_cut(values: Floats, events: Floats, *, strata: Integers) -> tuple[float, float]:
    """Return the chi-square of a feature's best cut, within strata, and the cut; (0, 0) where it has none.

    One value a row: a feature (missing ones are left out), 0 or 1, and a number from 0. The sides are
    `value <= cut` and `value > cut`.

    >>> values = np.arange(1.0, 21.0)
    >>> best_cut(values, (values > 12).astype(float), strata=np.zeros(20, dtype=np.int64))[1]
    12.0
    """
    known = np.isfinite(values)
    cuts = possible_cuts(values[known])
    if not len(cuts):
        return 0.0, 0.0
    strengths = _chi_squares(values[known], events[known], strata[known], cuts)
    place = int(np.argmax(strengths))
    return float(strengths[place]), float(cuts[place])


def possible_cuts(values: Floats) -> Floats:
    """Return the cuts worth trying: deciles, rounded to two digits, that leave a tenth on each side.

    >>> possible_cuts(np.array([0.0, 0, 0, 0, 1, 1, 2, 3, 456, 789])).tolist()
    [0.0, 1.0, 2.0, 3.0, 460.0]
    """
    if not len(values):
        return values
    deciles = np.quantile(values, _SHARES, method="inverted_cdf")
    cuts = np.unique([float(f"{cut:.{_DIGITS}g}") for cut in deciles])
    below = np.searchsorted(np.sort(values), cuts, side="right") / len(values)
    return np.asarray(cuts[(below >= SIDE_SHARE_MIN) & (below <= 1 - SIDE_SHARE_MIN)])


def _chi_squares(values: Floats, events: Floats, strata: Integers, cuts: Floats) -> Floats:
    """Return each cut's chi-square within strata (Cochran 1954; Mantel, Haenszel 1959)."""
    width = len(cuts) + 1
    place = strata * width + np.searchsorted(cuts, values, side="left")
    size = (int(strata.max()) + 1) * width
    counts = np.bincount(place, minlength=size).reshape(-1, width).astype(np.float64)
    happened = np.bincount(place, weights=events, minlength=size).reshape(-1, width)
    total, all_happened = counts.sum(axis=1, keepdims=True), happened.sum(axis=1, keepdims=True)
    above = (total - counts.cumsum(axis=1))[:, :-1]
    happened_above = (all_happened - happened.cumsum(axis=1))[:, :-1]
    held = np.maximum(total, 2.0)
    excess = (happened_above - above * all_happened / held).sum(axis=0)
    variance = above * (total - above) * all_happened * (total - all_happened) / (held**2 * (held - 1))
    return np.asarray(excess**2 / np.maximum(variance.sum(axis=0), 1e-12))
