"""The retail year: what shops at large sell by month, for a shop that has not lived through it yet.

A shop in its first year has nothing to learn its season from, and one that meets its first November expects
another October. Until it knows better, it is expected to move as retail does. The figures are combined
seasonal, trading-day and holiday adjustment factors of general merchandise stores (NAICS 452), February 2012
to January 2013, of the Monthly Retail Trade Survey (U.S. Census Bureau, public domain), here by day. Of the
shops whose goods can wait, general merchandise has about the mildest year: clothing sells 1.6 times its
usual month in December, toys and books 1.6, electronics 1.5; food moves by less than a tenth all year.

So what moves is what can wait. A shop whose customers come back every few days sells what is used up, and is
expected to follow the retail year hardly at all (`discretion`). How far it has followed it so far corrects
that (`followed`): a shop without a Christmas is known for it in January.
"""

from collections.abc import Hashable, Sequence
from datetime import date
from typing import Final

import numpy as np
import pandas as pd

from features.examples import Examples
from models.btyd_shares import silence_margins
from models.btyd_spend import shop_orders
from models.season import odds_level

# January to December: sales of the month over those of a usual month.
_MONTH_FACTORS: Final = (
    0.869, 0.934, 0.980, 0.965, 0.990, 0.975, 0.946, 0.994, 0.915, 0.957, 1.098, 1.384,
)  # fmt: skip
_MONTH_DAYS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_DAY_FACTORS: Final = np.array(_MONTH_FACTORS) / np.array(_MONTH_DAYS) * (sum(_MONTH_DAYS) / 12)
# Goods that are used up are bought about every week, others about every month: in between lies the middle.
_STAPLE_GAP_DAYS: Final = 14.0
# How unlike retail at large a shop may be (a standard deviation), and at most.
_FOLLOWED_SD: Final = 0.3
_FOLLOWED_MAX: Final = 2.0
# Three of them are spent on an intercept, a trend and a slope.
_WINDOWS_MIN: Final = 4


def busyness(day: date, horizon_days: int) -> float:
    """Return how busy `[day, day + horizon_days)` is in the retail year; a usual day is 1.

    >>> round(busyness(date(2026, 3, 1), 30), 3), round(busyness(date(2026, 12, 1), 30), 3)
    (0.964, 1.362)
    """
    days = np.datetime64(day, "D") + np.arange(horizon_days)
    months = days.astype("datetime64[M]").astype(np.int64) % 12
    return float(_DAY_FACTORS[months].mean())


def discretion(typical_gap_days: float) -> float:
    """Return how far a shop follows the retail year, 0 to 1, by how soon its customers usually come back.

    1 where nobody has come back yet.

    >>> [round(discretion(days), 2) for days in (3, 7, 14, 28, 60, float("nan"))]
    [0.04, 0.2, 0.5, 0.8, 0.95, 1.0]
    """
    if not np.isfinite(typical_gap_days):
        return 1.0
    return float(typical_gap_days**2 / (typical_gap_days**2 + _STAPLE_GAP_DAYS**2))


def order_shifts(examples: Examples, horizons_days: Sequence[int], *, share: float) -> dict[int, float]:
    """Return by how much the log odds of an order should rise at the origin, by horizon.

    Nothing where the shop has lived through this time of the year. Else it is the log of how much busier the
    coming window is than those of the examples with a known outcome, on average over their rows, times what
    the shop has `followed` so far.
    """
    if share <= 0 or examples.year_ago is not None or not examples.is_first_season:
        return {}
    shortest = min(horizons_days)
    heeded = examples.once(
        ("retail year", shortest, share), lambda: followed(examples, shortest, share=share)
    )
    return {days: heeded * _busier(examples, days) for days in horizons_days}


def followed(examples: Examples, horizon_days: int, *, share: float) -> float:
    """Return how far the shop follows the retail year: 0 not at all, 1 as general merchandise does.

    What is expected beforehand (`share` times `discretion`, give or take .3) and what the shop has done so
    far are weighed by their variances, a normal prior and a normal likelihood. What it has done is how its
    level of orders went with how busy past windows of the horizon are in the retail year (`_slope`).
    """
    gaps = examples.current["median_gap_days"]
    before = share * discretion(float(gaps.median()) if gaps.notna().any() else float("nan"))
    slope, variance = _slope(_past_windows(examples, horizon_days), horizon_days)
    weight = _FOLLOWED_SD**2 / (_FOLLOWED_SD**2 + variance)
    return float(np.clip((1.0 - weight) * before + weight * slope, 0.0, _FOLLOWED_MAX))


def spend_shifts(examples: Examples, horizons_days: Sequence[int], *, share: float) -> dict[int, float]:
    """Return by how much the log of spend given an order should rise at the origin, by horizon.

    All that is bought rises by exp(order shift). A part of that are customers who would not have come else,
    at the usual share of customers with an order; the rest is bought by those who come anyway.
    """
    rises = {}
    for days, shift in order_shifts(examples, horizons_days, share=share).items():
        churned = examples.labels[f"churned_{days}"].dropna()
        weights = examples.weights_of(churned.to_frame())
        usual = float(1.0 - (churned.mean() if weights is None else np.average(churned, weights=weights)))
        rises[days] = float(np.log(1.0 - usual + usual * np.exp(shift)))
    return rises


def _past_windows(examples: Examples, horizon_days: int) -> pd.DataFrame:
    """Return `day`, `busy` (the log of busyness), `level` and its sampling `variance` of known past windows.

    The level of orders is taken against BTYD, which knows the customers but no calendar.
    """
    btyd, found = shop_orders(examples), []
    for day, churned in examples.labels[f"churned_{horizon_days}"].dropna().groupby(level="as_of"):
        margins = -silence_margins(btyd, examples.features.loc[churned.index], horizon_days)
        ordered = 1.0 - churned.to_numpy(dtype=np.float64)
        level = odds_level(margins, ordered, weights=examples.weights_of(churned.to_frame()))
        if level is not None:
            start = _date(day)
            busy = np.log(busyness(start, horizon_days))
            found.append((start.toordinal(), busy, level.shift, level.variance))
    return pd.DataFrame(found, columns=["day", "busy", "level", "variance"], dtype=np.float64)


def _slope(windows: pd.DataFrame, horizon_days: int) -> tuple[float, float]:
    """Return the slope of the level on the log of busyness, a straight trend held fixed, and its variance.

    Weighted least squares. A level also moves for reasons that are neither: the variance is that of the
    residuals where they are larger than sampling, and windows that overlap count as the fewer that would lie
    side by side. It is infinite where too few do, or where busyness did not move.
    """
    count = len(windows)
    apart = count and min(count, (np.ptp(windows["day"]) + horizon_days) / horizon_days)
    if apart <= _WINDOWS_MIN:
        return 0.0, np.inf
    scale = 1.0 / np.sqrt(windows["variance"].to_numpy())
    day = windows["day"].to_numpy() - windows["day"].mean()
    design = np.column_stack([np.ones(count), day, windows["busy"].to_numpy()]) * scale[:, None]
    levels = windows["level"].to_numpy() * scale
    fitted, _, rank, _ = np.linalg.lstsq(design, levels)
    if rank < len(fitted):
        return 0.0, np.inf
    excess = float(((levels - design @ fitted) ** 2).mean()) * apart / (apart - len(fitted))
    variance = np.linalg.inv(design.T @ design)[-1, -1] * count / apart * max(1.0, excess)
    return float(fitted[-1]), float(variance)


def _busier(examples: Examples, horizon_days: int) -> float:
    known = examples.labels[f"churned_{horizon_days}"].notna().to_numpy()
    learnt = pd.Index(examples.labels.index.get_level_values("as_of")[known]).value_counts()
    windows = [busyness(_date(day), horizon_days) for day in learnt.index]
    usual = np.average(windows, weights=learnt.to_numpy())
    return float(np.log(busyness(examples.origin.date, horizon_days) / usual))


def _date(day: Hashable) -> date:
    """Return the day of an index of snapshots."""
    return pd.Timestamp(str(day)).date()
