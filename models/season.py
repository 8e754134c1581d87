"""The season: how the same weeks of last year moved the shop, carried over to this year.

A recipe learns from the newest snapshots and so expects next month to be like them. Where the history holds
the same weeks of last year, it also knows what they did to the level of the shop. With D the origin, both
outcomes long known:

    after     level at D - 364 days, the same weekday and season as D
    before    level at D - 364 - H days, as far behind it as the newest outcomes of the headline horizon H lie
              behind D
    shift     after - before

A level is how far what happened lay above what the recipe expects: in log odds of an order, or in the log of
money. The difference of two levels takes slow growth or decline out. A shift no larger than its own noise is
dropped, a much larger one kept almost whole (positive-part James-Stein, Efron & Morris 1973):

    shift * max(0, 1 - noise² / shift²)

where noise² is the sampling variance of both levels and what a shop's level moves without any season.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit

from features.examples import YEAR_DAYS, YearAgo
from models.horizon import Floats

# A shop's level moves by about a tenth within a horizon for no reason of the season.
_DRIFT = 0.1
_NEWTON_STEPS = 50
_LARGEST = 2.0


@dataclass(frozen=True, slots=True)
class Level:
    """How far what happened lay above what was expected, on a log scale, and its sampling variance."""

    shift: float
    variance: float


LevelOf = Callable[[pd.DataFrame, pd.DataFrame, int], Level | None]


def odds_level(margins: Floats, ordered: Floats, *, weights: Floats | None = None) -> Level | None:
    """Return the log odds to add to margins (of an order) for their total to be right.

    None where everybody or nobody ordered. The variance is the inverse of the information. `weights` say what
    each customer counts, 1 on average (None: all the same).

    >>> level = odds_level(np.zeros(4), np.array([1.0, 1.0, 1.0, 0.0]))
    >>> round(level.shift, 4), round(level.variance, 4)
    (1.0986, 1.3333)
    """
    if not 0 < float(ordered.sum()) < len(ordered):
        return None
    counts = np.ones_like(ordered) if weights is None else weights
    total, shift = float((counts * ordered).sum()), 0.0
    for _ in range(_NEWTON_STEPS):
        chance = expit(margins + shift)
        information = float((counts * chance * (1.0 - chance)).sum())
        step = (total - float((counts * chance).sum())) / max(information, 1e-9)
        shift += float(np.clip(step, -1.0, 1.0))
        if abs(step) < 1e-9:
            break
    chance = expit(margins + shift)
    return Level(shift, 1.0 / max(float((counts * chance * (1.0 - chance)).sum()), 1e-9))


def money_level(expected: Floats, actual: Floats, *, weights: Floats | None = None) -> Level | None:
    """Return log(total actual / total expected) of buyers; None where there is no money on either side.

    `weights` say what each buyer counts (None: all the same).

    >>> level = money_level(np.array([10.0, 10.0]), np.array([10.0, 30.0]))
    >>> round(level.shift, 4), round(level.variance, 4)
    (0.6931, 0.125)
    """
    if weights is not None:
        expected, actual = weights * expected, weights * actual
    total, wanted = float(actual.sum()), float(expected.sum())
    if total <= 0 or wanted <= 0:
        return None
    errors = actual - total / wanted * expected
    return Level(float(np.log(total / wanted)), float((errors**2).sum()) / total**2)


def carried_over(after: Level | None, before: Level | None) -> float:
    """Return last year's shift, shrunk by its noise; 0 where it is not known.

    >>> carried_over(Level(0.4, 0.0), Level(0.0, 0.0))
    0.375
    >>> carried_over(Level(0.08, 0.0), Level(0.0, 0.0))
    0.0
    """
    if after is None or before is None:
        return 0.0
    shift = after.shift - before.shift
    noise = after.variance + before.variance + _DRIFT**2
    if shift**2 <= noise:
        return 0.0
    return float(np.clip(shift * (1.0 - noise / shift**2), -_LARGEST, _LARGEST))


def season_shifts(
    year_ago: YearAgo | None, horizons_days: Sequence[int], level_of: LevelOf
) -> dict[int, float]:
    """Return the shift of every horizon below a year; of the others last year knows nothing.

    `level_of(features, labels, horizon_days)` is the level of a snapshot whose outcome is known.
    """
    if year_ago is None:
        return {}
    shifts = {}
    for horizon_days in (days for days in horizons_days if days < YEAR_DAYS):
        before, after = (_level(pair, horizon_days, level_of) for pair in (year_ago.before, year_ago.after))
        # Outcomes of a shorter horizon are known until later: less of the way is still to go.
        to_go = min(1.0, horizon_days / year_ago.headline_days)
        shifts[horizon_days] = to_go * carried_over(after, before)
    return shifts


def shifts_at(shifts: Mapping[int, float], horizons_days: Sequence[int]) -> Floats:
    """Return the shift of any horizons, linear between the known ones and none from a year on.

    >>> shifts_at({30: 0.2, 90: 0.4}, [30, 60, 400]).round(9).tolist()
    [0.2, 0.3, 0.0]
    """
    if not shifts:
        return np.zeros(len(horizons_days))
    days = sorted(shifts)
    return np.interp(horizons_days, [*days, YEAR_DAYS], [*(shifts[day] for day in days), 0.0])


def _level(pair: tuple[pd.DataFrame, pd.DataFrame], horizon_days: int, level_of: LevelOf) -> Level | None:
    features, labels = pair
    known = labels[f"churned_{horizon_days}"].notna().to_numpy()
    return level_of(features[known], labels[known], horizon_days) if known.any() else None
