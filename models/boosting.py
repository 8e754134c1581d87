"""LightGBM with the horizon as its last, monotone column: training, prediction, contributions, plain text."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Literal, Self

import lightgbm
import numpy as np
from numpy.typing import NDArray

from features.settings import BoostingSettings
from models.contract import Scalar
from models.horizon import Floats, HorizonRows, Matrix, with_horizon
from models.tree_shares import TreeShares

Objective = Literal["binary", "gamma", "poisson"]
HORIZON_COLUMN = "horizon_days"

# 63 bins a feature: a sixth faster than 255 and, on all sets tried, a little better.
_DATA_PARAMETERS = {"max_bin": 63, "verbosity": -1}
# Rows of one call: large enough for both cores, small enough to stay in memory next to a large shop.
_CHUNK_ROWS = 200_000


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a horizon model is learnt: LightGBM's parameters, seed and the support rule."""

    boosting: BoostingSettings = field(default_factory=BoostingSettings)
    snapshots_min: int = 2
    outcomes_min: int = 200
    seed: int = 0
    thread_count: int = 0

    def params(self) -> dict[str, Scalar]:
        """Return all of it, flat."""
        flat = {name: value for name, value in asdict(self).items() if name != "boosting"}
        return self.boosting.model_dump() | flat

    @classmethod
    def from_params(cls, params: Mapping[str, Scalar] | Mapping[str, str]) -> Self:
        """Rebuild a recipe from `params()`; what else stands there is left unread."""
        names = set(BoostingSettings.model_fields)
        boosting = BoostingSettings.model_validate({name: params[name] for name in names})
        own = [one.name for one in fields(cls) if one.name != "boosting"]
        return cls(boosting, **{name: int(params[name]) for name in own})


class HorizonBooster:
    """One boosted model over (features, horizon); `direction` is the sign of the monotone constraint."""

    booster_: lightgbm.Booster

    def __init__(self, *, objective: Objective, direction: Literal[-1, 1], recipe: Recipe) -> None:
        self.objective = objective
        self.direction = direction
        self.recipe = recipe
        self._read_trees: tuple[lightgbm.Booster, TreeShares | None] | None = None

    def fit(self, rows: HorizonRows, feature_names: Sequence[str]) -> Self:
        """Fit; the same rows and seed give the same bytes, whatever the number of threads."""
        names = [*feature_names, HORIZON_COLUMN]
        data = lightgbm.Dataset(
            rows.matrix, rows.target, weight=rows.weights, feature_name=names, params=_DATA_PARAMETERS
        )
        self.booster_ = lightgbm.train(
            self._parameters(len(feature_names)), data, num_boost_round=self.recipe.boosting.tree_count
        )
        return self

    def margins(self, matrix: Matrix, horizons_days: Sequence[int]) -> Floats:
        """Return raw scores (logits, or logs of the mean): one row a customer, one column a horizon."""
        count, width = len(matrix), len(horizons_days)
        answers = np.empty((count, width))
        step = max(1, _CHUNK_ROWS // max(width, 1))
        for start in range(0, count, step):
            part = matrix[start : start + step]
            stacked = with_horizon(
                np.repeat(part, width, axis=0),
                np.tile(np.asarray(horizons_days, dtype=np.float64), len(part)),
            )
            raw = self.booster_.predict(stacked, raw_score=True, num_threads=self.recipe.thread_count)
            answers[start : start + step] = np.asarray(raw).reshape(len(part), width)
        return answers

    def row_margins(self, matrix: Matrix) -> Floats:
        """Return the raw score of rows that hold their horizon already."""
        raw = self.booster_.predict(matrix, raw_score=True, num_threads=self.recipe.thread_count)
        return np.asarray(raw, dtype=np.float64)

    def contributions(self, matrix: Matrix, horizon_days: int) -> NDArray[np.float64]:
        """Return each feature's share of the margin at one horizon, without the horizon's own."""
        width = matrix.shape[1]
        parts = [np.empty((0, width))]
        for start in range(0, len(matrix), _CHUNK_ROWS):
            part = matrix[start : start + _CHUNK_ROWS]
            stacked = with_horizon(part, np.full(len(part), float(horizon_days)))
            parts.append(self._shares(stacked)[:, :width])
        return np.concatenate(parts)

    def _shares(self, matrix: Matrix) -> Floats:
        if self._read_trees is None or self._read_trees[0] is not self.booster_:
            self._read_trees = (self.booster_, TreeShares.of(self.booster_))
        trees = self._read_trees[1]
        if trees is not None:
            return trees.of_rows(matrix)
        shares = self.booster_.predict(matrix, pred_contrib=True, num_threads=self.recipe.thread_count)
        return np.asarray(shares, dtype=np.float64)[:, :-1]

    def save(self, path: Path) -> None:
        """Write LightGBM's text format."""
        path.write_text(self.booster_.model_to_string(), encoding="utf-8")

    def load(self, path: Path) -> Self:
        """Read what `save` wrote. The caller vouches for the bytes: LightGBM crashes on damaged text."""
        self.booster_ = lightgbm.Booster(model_str=path.read_text(encoding="utf-8"))
        return self

    def _parameters(self, feature_count: int) -> dict[str, object]:
        settings = self.recipe.boosting
        return {
            "objective": self.objective,
            "learning_rate": settings.learning_rate,
            "num_leaves": settings.leaf_count,
            "min_data_in_leaf": settings.rows_per_leaf_min,
            "feature_fraction": settings.feature_share,
            "bagging_fraction": settings.row_share,
            "bagging_freq": 1,
            "lambda_l2": settings.l2,
            "monotone_constraints": [0] * feature_count + [self.direction],
            "seed": self.recipe.seed,
            "deterministic": True,
            "force_col_wise": True,
            "num_threads": self.recipe.thread_count,
            "verbosity": -1,
        }
