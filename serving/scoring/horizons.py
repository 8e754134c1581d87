"""Churn curves: which horizons are asked for, and when a quarter, half, three quarters will have ordered."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from serving.rows import CLV_HORIZONS_DAYS, HORIZONS_DAYS

Floats = npt.NDArray[np.float64]

_CURVE_DAYS: Final = (7, 14, 21, 45, 120, 270)
"""Further points of the curve, so that dates do not depend on wide gaps between the served horizons."""
_LOWEST: Final = 1e-12


def churn_horizons(headline_days: int, clv_days: int) -> tuple[int, ...]:
    """Return every horizon at which churn is asked for, ascending."""
    return tuple(sorted({*HORIZONS_DAYS, *_CURVE_DAYS, *CLV_HORIZONS_DAYS, headline_days, clv_days}))


def clv_horizons(clv_days: int) -> tuple[int, ...]:
    """Return every horizon at which spend is served, ascending."""
    return tuple(sorted({*CLV_HORIZONS_DAYS, clv_days}))


def days_until(curve: Floats, horizons_days: Sequence[int], *, ordered_share: float) -> Floats:
    """Return in how many days a share will have ordered: NaN where the curve does not fall that far.

    `curve` holds P(no order within h), one row a customer, one column a horizon; log S is read as straight
    lines between horizons, beginning with S(0) = 1. Whole days: the last day of that window.

    >>> days_until(np.array([[0.5, 0.25]]), [10, 20], ordered_share=0.75)
    array([20.])
    """
    days = np.concatenate([[0.0], np.asarray(horizons_days, dtype=np.float64)])
    logs = np.log(np.clip(curve, _LOWEST, 1.0))
    logs = np.minimum.accumulate(np.hstack([np.zeros((len(curve), 1)), logs]), axis=1)
    target = np.log(1.0 - ordered_share)
    # The first horizon at which the curve is at or below the target.
    reached = logs <= target + 1e-12
    after = np.where(reached.any(axis=1), reached.argmax(axis=1), 1)
    rows = np.arange(len(curve))
    fall = np.maximum(logs[rows, after - 1] - logs[rows, after], _LOWEST)
    share = np.clip((logs[rows, after - 1] - target) / fall, 0.0, 1.0)
    answer = days[after - 1] + share * (days[after] - days[after - 1])
    return np.where(reached.any(axis=1), np.ceil(answer - 1e-9), np.nan)
