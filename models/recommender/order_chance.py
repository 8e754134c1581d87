"""P(order within the outcome window) of a customer, so that an item's score is P(bought), not only a rank."""

from typing import Self

import lightgbm
import numpy as np
from numpy.typing import NDArray

from models.recommender.catalogue import Bools, Floats
from models.recommender.shoppers import Shoppers

CHANCE_FEATURES = (
    "orders",
    "silent_days",
    "tenure_days",
    "orders_per_day",
    "silent_gaps",
    "weight_7",
    "weight_30",
    "weight_90",
)
_OUTCOMES_MIN = 50
_WEEK_DAYS = 7.0


class OrderChance:
    """A small LightGBM on a customer's rhythm; the mean of all where there is too little to learn from."""

    def __init__(self, mean: float, booster: lightgbm.Booster | None) -> None:
        self.mean = mean
        self.booster = booster

    @classmethod
    def fit(cls, features: NDArray[np.float32], ordered: Bools, *, seed: int) -> Self:
        """Learn from customers known at rehearsals: `chance_features`, and whether they ordered after."""
        mean = float((ordered.sum() + 1) / (len(ordered) + 2))
        if min(ordered.sum(), (~ordered).sum()) < _OUTCOMES_MIN:
            return cls(mean, None)
        params = {
            "objective": "binary",
            "learning_rate": 0.1,
            "num_leaves": 7,
            "min_data_in_leaf": 50,
            "seed": seed,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }
        rows = lightgbm.Dataset(
            features, ordered.astype(np.float64), feature_name=list(CHANCE_FEATURES), params=params
        )
        return cls(mean, lightgbm.train(params, rows, num_boost_round=50))

    def predict(self, shoppers: Shoppers) -> Floats:
        """Return one probability a row."""
        if self.booster is None:
            return np.full(shoppers.count, self.mean)
        return np.asarray(self.booster.predict(chance_features(shoppers), num_threads=1), dtype=np.float64)


def chance_features(shoppers: Shoppers) -> NDArray[np.float32]:
    """Return one row a customer, columns as in `CHANCE_FEATURES`; NaN where nothing was ever bought."""
    orders, tenures = shoppers.order_counts_all, shoppers.tenures_days
    per_day = orders / np.maximum(tenures, _WEEK_DAYS)
    weights = shoppers.order_weight_sums().T
    columns = [orders, shoppers.silent_days, tenures, per_day, shoppers.silent_days * per_day, *weights]
    return np.column_stack(columns).astype(np.float32)
