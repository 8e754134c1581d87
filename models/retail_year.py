"""The retail year: what shops at large sell by month, for a shop that has not lived through it yet.

A shop in its first year has nothing to learn its season from, and one that meets its first November expects
another October. Until it knows better, it is expected to move as retail does. The figures are the combined
seasonal, trading-day and holiday adjustment factors of general merchandise stores (NAICS 452), February 2012
to January 2013, of the Monthly Retail Trade Survey (U.S. Census Bureau, public domain), here by day. Of the
shops whose goods can wait, general merchandise has about the mildest year: clothing sells 1.6 times its
usual month in December, toys and books 1.6, electronics 1.5; food moves by less than a tenth all year.

So what moves is what can wait. A shop whose customers come back every few days sells what is used up, and
follows the retail year hardly at all (`discretion`).
"""

from collections.abc import Sequence
from datetime import date
from typing import Final

import numpy as np
import pandas as pd

from features.examples import Examples

# January to December: sales of the month over those of a usual month.
_MONTH_FACTORS: Final = (
    0.869, 0.934, 0.980, 0.965, 0.990, 0.975, 0.946, 0.994, 0.915, 0.957, 1.098, 1.384,
)  # fmt: skip
_MONTH_DAYS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_DAY_FACTORS: Final = np.array(_MONTH_FACTORS) / np.array(_MONTH_DAYS) * (sum(_MONTH_DAYS) / 12)
# Goods that are used up are bought about every week, others about every month: in between lies the middle.
_STAPLE_GAP_DAYS: Final = 14.0


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


def expected_shifts(examples: Examples, horizons_days: Sequence[int], *, share: float) -> dict[int, float]:
    """Return by how much the log odds of an order should rise at the origin, by horizon.

    It is the log of how much busier the coming window is than those of the examples with a known outcome, on
    average over their rows, times `discretion` and `share`.
    """
    gaps = examples.current["median_gap_days"]
    followed = share * discretion(float(gaps.median()) if gaps.notna().any() else float("nan"))
    return {days: followed * _busier(examples, days) for days in horizons_days} if followed else {}


def _busier(examples: Examples, horizon_days: int) -> float:
    known = examples.labels[f"churned_{horizon_days}"].notna().to_numpy()
    learnt = pd.Index(examples.labels.index.get_level_values("as_of")[known]).value_counts()
    windows = [busyness(pd.Timestamp(day).date(), horizon_days) for day in learnt.index]
    usual = np.average(windows, weights=learnt.to_numpy())
    return float(np.log(busyness(examples.origin.date, horizon_days) / usual))
