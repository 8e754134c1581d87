"""The horizon as a column: training rows, support rule and curves that every model shares.

A training row is (customer, snapshot, h) for every horizon h whose outcome was known at the origin; so recent
snapshots count for the short horizons, and all horizons come out of one model.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.errors import UserError
from features.examples import Examples
from models.btyd import BgNbd, PurchaseHistories
from models.contract import NotEnoughDataError

Floats = NDArray[np.float64]
Matrix = NDArray[np.float32]

PROBABILITY_MIN = 1e-9


class FeatureMismatchError(UserError):
    """The feature table is not the one that the model was fitted on."""


@dataclass(frozen=True, slots=True)
class HorizonRows:
    """Training rows: `matrix` is the features and, last, the horizon; `positions` index the examples.

    `weights`  what each row counts, where customers are a sample; None: all the same
    """

    matrix: Matrix
    target: Floats
    horizons_days: Floats
    positions: NDArray[np.int64]
    weights: Floats | None = None

    def chosen(self, rows: slice | NDArray[np.bool_]) -> "HorizonRows":
        """Return some of the rows."""
        weights = None if self.weights is None else self.weights[rows]
        kept = self.matrix[rows], self.target[rows], self.horizons_days[rows], self.positions[rows]
        return HorizonRows(*kept, weights)


def supported_horizons(labels: pd.DataFrame, *, snapshots_min: int, outcomes_min: int) -> tuple[int, ...]:
    """Return the horizons with enough snapshots and enough customers with each outcome, ascending.

    A customer who is seen at sixteen snapshots is one witness, not sixteen.
    """
    snapshots = labels.index.get_level_values("as_of")
    customers, _ = pd.factorize(labels.index.get_level_values("customer_id"))
    supported = []
    for horizon_days in label_horizons(labels):
        churned = labels[f"churned_{horizon_days}"].to_numpy(dtype=np.float64)
        fewest = min(len(np.unique(customers[churned == kind])) for kind in (0.0, 1.0))
        if fewest >= outcomes_min and snapshots[np.isfinite(churned)].nunique() >= snapshots_min:
            supported.append(horizon_days)
    return tuple(supported)


def require_supported(labels: pd.DataFrame, *, snapshots_min: int, outcomes_min: int) -> tuple[int, ...]:
    """Return the supported horizons; raises `NotEnoughDataError` naming the minimum where there is none."""
    supported = supported_horizons(labels, snapshots_min=snapshots_min, outcomes_min=outcomes_min)
    if not supported:
        raise NotEnoughDataError(
            f"no horizon has {snapshots_min} past snapshots and {outcomes_min} customers with each outcome "
            f"(ordered again, did not); {_witness_count(labels)} customers were seen: load a longer history "
            "or use a simpler rule"
        )
    return supported


def _witness_count(labels: pd.DataFrame) -> int:
    return int(labels.index.get_level_values("customer_id").nunique())


def label_horizons(labels: pd.DataFrame) -> tuple[int, ...]:
    """Return the horizons that have label columns, ascending."""
    prefix = "churned_"
    return tuple(sorted(int(name[len(prefix) :]) for name in labels.columns if name.startswith(prefix)))


def stack_rows(
    examples: Examples, horizons_days: Sequence[int], *, label: str, buyers_only: bool = False
) -> HorizonRows:
    """Build one row per example and horizon with a known label, horizons ascending.

    `label` is the prefix of a label column (`churned`, `spend`, `order_count`); `buyers_only` keeps the rows
    with an order within the horizon.
    """
    positions, targets, horizons = [], [], []
    for horizon_days in sorted(horizons_days):
        churned = examples.labels[f"churned_{horizon_days}"].to_numpy(dtype=np.float64)
        target = examples.labels[f"{label}_{horizon_days}"].to_numpy(dtype=np.float64)
        keep = np.isfinite(target) & ((churned == 0) if buyers_only else np.isfinite(churned))
        positions.append(np.flatnonzero(keep))
        targets.append(target[keep])
        horizons.append(np.full(int(keep.sum()), float(horizon_days)))
    position, target, horizon = (np.concatenate(parts) for parts in (positions, targets, horizons))
    weights = examples.weights_of(examples.features)
    return HorizonRows(
        with_horizon(as_matrix(examples.features)[position], horizon),
        target,
        horizon,
        position,
        None if weights is None else weights[position],
    )


def as_matrix(features: pd.DataFrame) -> Matrix:
    """Return the features as 32-bit floats, as LightGBM sees them in training and in prediction."""
    return features.to_numpy(dtype=np.float32, na_value=np.nan)


def with_horizon(matrix: Matrix, horizons_days: Floats) -> Matrix:
    """Append the horizon as the last column."""
    widened = np.empty((len(matrix), matrix.shape[1] + 1), dtype=np.float32)
    widened[:, :-1] = matrix
    widened[:, -1] = horizons_days
    return widened


def check_features(features: pd.DataFrame, names: tuple[str, ...]) -> None:
    """Raise `FeatureMismatchError`, naming the difference, unless the columns are `names`, in order."""
    if tuple(features.columns) != names:
        raise FeatureMismatchError(
            f"the model was fitted on other features: {difference(list(features.columns), names)}"
        )


def difference(seen: Sequence[str], wanted: Sequence[str]) -> str:
    """Say in words how a list of features differs from the wanted one.

    >>> difference(["a", "c"], ["a", "b"])
    'missing b; unexpected c'
    """
    missing = [name for name in wanted if name not in set(seen)]
    unexpected = [name for name in seen if name not in set(wanted)]
    parts = [f"missing {', '.join(missing)}"] if missing else []
    parts += [f"unexpected {', '.join(unexpected)}"] if unexpected else []
    return "; ".join(parts) or "the same names in another order"


def needed_grid(grid_days: Sequence[int], horizons_days: Sequence[int]) -> tuple[int, ...]:
    """Return the grid points that some horizons depend on: all up to the last one's next neighbour.

    Curves are kept from turning along the grid, so an answer depends on every point before it; asked alone or
    with others, a horizon must get the same one.

    >>> needed_grid([14, 30, 60, 90], [28])
    (14, 30)
    >>> needed_grid([14, 30, 60, 90], [60, 365])
    (14, 30, 60, 90)
    """
    last_days = max(horizons_days, default=0)
    return tuple(
        days for place, days in enumerate(grid_days) if not place or grid_days[place - 1] < last_days
    )


def churn_curve(known: Floats, grid_days: Sequence[int], horizons_days: Sequence[int]) -> Floats:
    """Interpolate churn probabilities between grid points: log S linear in h, from S(0) = 1.

    `known` has one row a customer and one column a grid point (ascending); beyond the last the last is
    repeated. The result never rises with h.

    >>> churn_curve(np.array([[0.25]]), [60], [30, 60, 90]).tolist()
    [[0.5, 0.25, 0.25]]
    """
    falling = np.minimum.accumulate(known.clip(0.0, 1.0), axis=1)
    knots = np.concatenate([[0.0], np.asarray(grid_days, dtype=np.float64)])
    logs = np.column_stack([np.zeros(len(falling)), np.log(falling.clip(min=1e-300))])
    answers = np.empty((len(falling), len(horizons_days)))
    for column, horizon_days in enumerate(horizons_days):
        right = int(np.searchsorted(knots, min(horizon_days, knots[-1])))
        if knots[right] == min(horizon_days, knots[-1]):
            answers[:, column] = falling[:, right - 1] if right else 1.0
            continue
        share = (horizon_days - knots[right - 1]) / (knots[right] - knots[right - 1])
        answers[:, column] = np.exp((1.0 - share) * logs[:, right - 1] + share * logs[:, right])
    return answers


def extended_churn_curve(
    known: Floats, features: pd.DataFrame, *, grid_days: Sequence[int], horizons_days: Sequence[int],
    extension: BgNbd,
) -> Floats:  # fmt: skip
    """Interpolate up to the last grid point h*; beyond, S(h*) * S_btyd(h) / S_btyd(h*)."""
    last_days = max(grid_days)
    answers = churn_curve(known, grid_days, horizons_days)
    if max(horizons_days, default=0) <= last_days:
        return answers
    purchases = PurchaseHistories.from_features(features)
    base = extension.silence_probability(purchases, last_days, unit="days").clip(min=1e-300)
    for column, horizon_days in enumerate(horizons_days):
        if horizon_days > last_days:
            beyond = extension.silence_probability(purchases, horizon_days, unit="days")
            answers[:, column] *= np.minimum(beyond / base, 1.0)
    return answers


def logit(probabilities: Floats) -> Floats:
    """Return log odds, probabilities held within 1e-9 of 0 and 1."""
    held = np.asarray(probabilities, dtype=np.float64).clip(PROBABILITY_MIN, 1.0 - PROBABILITY_MIN)
    return np.asarray(np.log(held) - np.log1p(-held))


def growth_curve(known: Floats, grid_days: Sequence[int], horizons_days: Sequence[int]) -> Floats:
    """Interpolate what grows with the horizon, linear in h, flat outside the grid.

    >>> growth_curve(np.array([[10.0, 40.0]]), [30, 90], [14, 60, 90, 365]).tolist()
    [[10.0, 25.0, 40.0, 40.0]]
    """
    rising = np.maximum.accumulate(known, axis=1)
    answers = np.empty((len(rising), len(horizons_days)))
    for column, horizon_days in enumerate(horizons_days):
        held = min(max(horizon_days, grid_days[0]), grid_days[-1])
        right = int(np.searchsorted(grid_days, held))
        left = max(right - 1, 0)
        width = max(grid_days[right] - grid_days[left], 1)
        share = (held - grid_days[left]) / width if right > left else 1.0
        answers[:, column] = (1.0 - share) * rising[:, left] + share * rising[:, right]
    return answers


def extended_growth_curve(
    known: Floats, features: pd.DataFrame, *, grid_days: Sequence[int], horizons_days: Sequence[int],
    extension: BgNbd,
) -> Floats:  # fmt: skip
    """Interpolate up to the last grid point; beyond, grow as BTYD's expected orders given at least one do."""
    last_days = max(grid_days)
    answers = growth_curve(known, grid_days, horizons_days)
    if max(horizons_days, default=0) <= last_days:
        return answers
    purchases = PurchaseHistories.from_features(features)
    base = orders_given_one(extension, purchases, last_days)
    for column, horizon_days in enumerate(horizons_days):
        if horizon_days > last_days:
            beyond = orders_given_one(extension, purchases, horizon_days)
            answers[:, column] *= np.maximum(beyond / base, 1.0)
    return answers


def orders_given_one(btyd: BgNbd, purchases: PurchaseHistories, horizon_days: int) -> Floats:
    """Return BTYD's expected orders given at least one; 1 where one is next to impossible."""
    chance = btyd.order_probability(purchases, horizon_days, unit="days")
    expected = btyd.expected_orders(purchases, horizon_days, unit="days")
    return np.where(chance > 1e-12, expected / chance.clip(min=1e-12), 1.0).clip(min=1.0)


def rising_product(chance: Floats, given_order: Floats, horizons_days: Sequence[int]) -> Floats:
    """Multiply P(order) and what an order brings, and keep it from falling with the horizon."""
    order = np.argsort(np.asarray(horizons_days), kind="stable")
    answers = np.empty_like(given_order)
    answers[:, order] = np.maximum.accumulate((chance * given_order)[:, order], axis=1)
    return answers


def held_out(index: pd.Index) -> NDArray[np.bool_]:
    """Choose about a third of the customers of an index (level customer_id), always the same ones."""
    customers, positions = np.unique(
        index.get_level_values("customer_id").to_numpy(dtype=str), return_inverse=True
    )
    chosen = np.array([zlib.crc32(b"held-out/" + customer.encode()) % 3 == 0 for customer in customers])
    return chosen[positions] if len(chosen) else np.zeros(len(index), dtype=bool)
