"""How far spend lies from its expectation, given an order; and the marginal interval that follows from it.

Spend within a horizon is a mixture: 0 with P(no order), else the expected spend if there is an order times a
ratio. Ratios actual / expected are kept as quantiles per horizon and per twelfth of the expected spend,
measured on customers that the expectation was not fitted on; between the twelfths' medians the amounts are
interpolated. Marginal quantile u of the mixture, q being P(order):

    0                                             where u <= 1 - q
    expected * ratio_quantile((u - (1 - q)) / q)  else

That is how customers differ. On top, the level of the whole shop moves from month to month, which no number
of customers averages out. The wobble is how much it moved (a standard deviation, in logs, sampling noise
taken out); outer bounds stand as if it moved once more against them: `spend_if_order_*` by three quarters of
a wobble, the marginal p90 by three, since who orders at all, how often and for how much move together.
"""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import gamma

from models.horizon import Floats
from models.season import money_level

LEVELS = np.linspace(0.005, 0.995, 100)
_GROUP_COUNT = 12
_GROUP_ROWS_MIN = 50
_ROWS_MIN = 20
# How much logs of ratios widen per e-fold of the horizon beyond the longest that was measured.
_WIDENING = 0.15
_SNAPSHOTS_MIN = 5
# What a shop's level is taken to move by where it was not watched for long enough.
_UNKNOWN_WOBBLE = 0.1
_WOBBLE_MAX = 0.5
_MARGINAL_WOBBLES = 3.0
_CONDITIONAL_WOBBLES = 0.75
_EXPECTED_MIN = 1e-9


class SpendSpread:
    """Quantiles of actual / expected spend given an order; `fit` once per horizon that was measured.

    `wobble` is how much the shop's level moves in a season that it has not seen yet (`level_wobble`).
    """

    horizons_days_: tuple[int, ...]
    centres_: Floats
    ratios_: Floats

    def __init__(self, *, wobble: float = 0.0) -> None:
        self.wobble = wobble

    def fit(self, expected_and_actual: Mapping[int, tuple[Floats, Floats]]) -> Self:
        """Learn from buyers: expected and actual spend per horizon, one entry a customer and snapshot.

        Groups hold 50 buyers or more; with fewer than 20 buyers in all a wide default is used (a gamma of
        shape 1).
        """
        measured = {days: pair for days, pair in expected_and_actual.items() if len(pair[0]) >= _ROWS_MIN}
        self.horizons_days_ = tuple(sorted(measured))
        if not measured:
            self.centres_ = np.ones((1, _GROUP_COUNT))
            self.ratios_ = np.tile(gamma.ppf(LEVELS, 1.0), (1, _GROUP_COUNT, 1))
            return self
        tables = [_measure(*measured[days]) for days in self.horizons_days_]
        self.centres_ = np.stack([centres for centres, _ in tables])
        self.ratios_ = np.stack([ratios for _, ratios in tables])
        return self

    def interval(self, expected: Floats, order_probability: Floats, horizon_days: int) -> dict[str, Floats]:
        """Return low, median, high (marginal p10, p50, p90) and spend_if_order_low, _high (p10, p90).

        `expected` is the spend expected if there is an order. No bound is below 0.
        """
        ratios = _Ratios(self, expected, horizon_days)
        chance = order_probability.clip(1e-12, 1.0)
        answers = {}
        for name, level in (("low", 0.1), ("median", 0.5), ("high", 0.9)):
            conditional = (level - (1.0 - chance)) / chance
            answers[name] = np.where(conditional > 0, ratios.at(conditional), 0.0)
        against = np.exp(_CONDITIONAL_WOBBLES * self.wobble)
        answers["spend_if_order_low"] = ratios.at(np.full_like(expected, 0.1)) / against
        highest = ratios.at(np.full_like(expected, 0.9)) * against
        answers["spend_if_order_high"] = highest
        # Whoever orders for certain spends no less than whoever may order.
        answers["high"] = np.minimum(answers["high"] * np.exp(_MARGINAL_WOBBLES * self.wobble), highest)
        return answers

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what `from_arrays` needs."""
        return {
            "spread_horizons_days": np.array(self.horizons_days_, dtype=np.int64),
            "spread_centres": self.centres_,
            "spread_ratios": self.ratios_,
            "spread_wobble": np.array(self.wobble),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild from `arrays()`."""
        spread = cls(wobble=float(arrays["spread_wobble"]))
        spread.horizons_days_ = tuple(int(days) for days in arrays["spread_horizons_days"])
        spread.centres_ = arrays["spread_centres"]
        spread.ratios_ = arrays["spread_ratios"]
        return spread


class _Ratios:
    """The ratio quantiles of some customers at one horizon."""

    def __init__(self, spread: SpendSpread, expected: Floats, horizon_days: int) -> None:
        measured = np.array(spread.horizons_days_ or (horizon_days,), dtype=np.float64)
        nearest = int(np.abs(np.log(measured / max(horizon_days, 1))).argmin())
        self.lower, self.share = _between(spread.centres_[nearest], expected)
        self.expected = expected
        beyond = np.log(max(horizon_days / measured.max(), 1.0))
        self.tables = spread.ratios_[nearest] ** (1.0 + _WIDENING * beyond)

    def at(self, levels: Floats) -> Floats:
        """Return expected spend times the ratio at each customer's level, from the groups on both sides."""
        upper = np.minimum(self.lower + 1, len(self.tables) - 1)
        below, above = (self._read(groups, levels) for groups in (self.lower, upper))
        return np.asarray(self.expected * ((1.0 - self.share) * below + self.share * above))

    def _read(self, groups: NDArray[np.intp], levels: Floats) -> Floats:
        place = np.interp(levels, LEVELS, np.arange(len(LEVELS), dtype=np.float64))
        left = np.floor(place).astype(np.intp)
        right = np.minimum(left + 1, len(LEVELS) - 1)
        share = place - left
        return np.asarray((1.0 - share) * self.tables[groups, left] + share * self.tables[groups, right])


def level_wobble(
    expected: Floats,
    actual: Floats,
    snapshots: pd.Index,
    *,
    first_season: bool,
    weights: Floats | None = None,
) -> float:
    """Return how much the level of spend moved between snapshots: a standard deviation in logs, at most 0.5.

    One entry a buyer and snapshot, counted by its weight. What the luck of the draw adds is taken out; with
    fewer than five snapshots a tenth stands in. None where the shop has lived through a whole year: then the
    spread, measured over its seasons, holds their moves already.
    """
    if not first_season:
        return 0.0
    codes, _ = pd.factorize(snapshots)
    found = [
        money_level(expected[at], actual[at], weights=None if weights is None else weights[at])
        for at in (codes == code for code in range(codes.max() + 1))
    ]
    levels = [level for level in found if level is not None]
    if len(levels) < _SNAPSHOTS_MIN:
        moved = _UNKNOWN_WOBBLE
    else:
        seen = float(np.var([level.shift for level in levels], ddof=1))
        chance = float(np.mean([level.variance for level in levels]))
        moved = max(seen - chance, 0.0) ** 0.5
    return min(moved, _WOBBLE_MAX)


def spread_frame(bounds: Mapping[str, Floats], index: pd.Index) -> pd.DataFrame:
    """Return an interval as a frame in the contract's column order."""
    columns = ["low", "median", "high", "spend_if_order_low", "spend_if_order_high"]
    return pd.DataFrame({name: bounds[name] for name in columns}, index=index)


def _between(centres: Floats, expected: Floats) -> tuple[NDArray[np.intp], Floats]:
    """Return the group at or below each expectation, and the share of the next one's ratio.

    With it the amount (expectation times ratio) moves evenly from one group's centre to the next one's, so
    that it never leaves what they have. Outside all centres the nearest group's ratio holds.
    """
    lower = np.clip(np.searchsorted(centres, expected, side="right") - 1, 0, len(centres) - 1)
    upper = np.minimum(lower + 1, len(centres) - 1)
    width = centres[upper] - centres[lower]
    way = np.where(width > 0, (expected - centres[lower]) / np.where(width > 0, width, 1.0), 0.0)
    share = way.clip(0.0, 1.0) * centres[upper] / np.maximum(expected, centres[lower])
    return lower, share


def _measure(expected: Floats, actual: Floats) -> tuple[Floats, Floats]:
    """Return the groups' medians of expected spend, rising, and their quantiles of the ratio.

    Where there are fewer groups, the last one is repeated.
    """
    known = expected.clip(min=_EXPECTED_MIN)
    ratios = (actual / known).clip(min=0.0)
    count = int(np.clip(len(ratios) // _GROUP_ROWS_MIN, 1, _GROUP_COUNT))
    edges = np.quantile(known, np.arange(1, count) / count)
    groups = np.searchsorted(edges, known, side="right")
    large = [group for group in range(count) if (groups == group).sum() >= _GROUP_ROWS_MIN]
    chosen = [groups == group for group in large] or [np.full(len(ratios), fill_value=True)]
    chosen += chosen[-1:] * (_GROUP_COUNT - len(chosen))
    centres = np.array([np.median(known[rows]) for rows in chosen])
    return centres, np.stack([np.quantile(ratios[rows], LEVELS) for rows in chosen])
