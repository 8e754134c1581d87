"""What a made-up shop is like: size, heterogeneity, season, baskets, returns, campaigns."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
YEAR_DAYS = 365.25


@dataclass(frozen=True, slots=True)
class ShopSpec:
    """Parameters of a made-up shop; the same values give the same shop, byte for byte.

    `mean_gap_days`        1 ÷ the mean purchase rate; rates are gamma distributed with `rate_shape`
    `mean_lifetime_days`   lifetimes are exponential with a rate of the customer's own, gamma with shape 3
    `founding_share`       customers who are there on the first day; the others come evenly afterwards
    `season_strength`      0: none; .3: the best month sells about twice as much as the worst
    `line_count_mean`      lines an order; `return_share` of them come back
    `complement_share`     how often the second item of a complement pair joins the first
    `campaign_count`       offers, each sent to a random half of the living customers
    """

    customer_count: int = 3_000
    day_count: int = 730
    first_day: date = date(2024, 11, 22)
    seed: int = 1
    mean_gap_days: float = 40.0
    rate_shape: float = 1.2
    mean_lifetime_days: float = 400.0
    founding_share: float = 0.3
    season_strength: float = 0.3
    category_count: int = 12
    items_per_category: int = 25
    line_count_mean: float = 2.2
    loyalty_share: float = 0.6
    complement_pair_count: int = 30
    complement_share: float = 0.35
    return_share: float = 0.04
    campaign_count: int = 6
    campaign_days: int = 14
    offered_share: float = 0.5

    def campaign_starts_days(self) -> Floats:
        """Return when campaigns begin, in days since the first day, evenly spread."""
        steps = np.arange(1, self.campaign_count + 1)
        return np.floor(steps * self.day_count / (self.campaign_count + 1)).astype(np.float64)


@dataclass(frozen=True, slots=True)
class Season:
    """How busy the shop is: a factor per day around 1, and what it sums to."""

    factors: Floats
    sums: Floats

    @classmethod
    def of(cls, spec: ShopSpec, *, day_count: int) -> "Season":
        """Return a yearly wave with a peak four weeks before the turn of the year, and quiet Sundays."""
        days = np.arange(day_count)
        ordinal = spec.first_day.toordinal() + days
        year_day = np.array([date.fromordinal(int(day)).timetuple().tm_yday for day in ordinal])
        wave = np.exp(spec.season_strength * np.cos(2 * np.pi * (year_day - 337) / YEAR_DAYS))
        week = np.where(ordinal % 7 == 0, 0.6, 1.4 / 6 + 5 / 6)
        factors = wave * week / np.exp(spec.season_strength**2 / 4)
        return cls(factors, np.concatenate([[0.0], np.cumsum(factors)]))

    def until(self, days: Floats) -> Floats:
        """Return the integral of the factors from day 0 to some (fractional) days."""
        return np.interp(days, np.arange(len(self.sums)), self.sums)

    def when(self, sums: Floats) -> Floats:
        """Return the days at which the integral reaches some sums; the inverse of `until`."""
        return np.interp(sums, self.sums, np.arange(len(self.sums)))
