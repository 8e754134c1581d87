"""Churn by machine learning: one LightGBM with the horizon as a column that may only lower the answer.

Training rows, support rule and curves are those of `models.horizon`. Beyond the last supported horizon the
curve goes on with BTYD's conditional survival, fitted on the customers at the origin and kept in the same
bundle.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

import pandas as pd
from scipy.special import expit

from features.examples import Examples
from models.boosting import HorizonBooster, Recipe
from models.btyd import BgNbd, PurchaseHistories, fit_btyd
from models.contract import Contributions, Method, Scalar
from models.horizon import (
    as_matrix,
    check_features,
    extended_churn_curve,
    logit,
    needed_grid,
    require_supported,
    stack_rows,
)
from models.plain import read_state, write_state

BOOSTER_FILE = "churn.txt"


class HorizonChurn:
    """P(no order within h) for every h at once."""

    name: ClassVar[str] = "lightgbm"
    method: ClassVar[Method] = "ml"

    feature_names_: tuple[str, ...]
    grid_days_: tuple[int, ...]
    supported_days_: int
    extension_: BgNbd
    booster_: HorizonBooster

    def __init__(self, *, recipe: Recipe | None = None) -> None:
        self.recipe = recipe

    def params(self) -> dict[str, Scalar]:
        """Return the recipe, flat."""
        return (self.recipe or Recipe()).params()

    def fit(self, examples: Examples) -> Self:
        """Learn every supported horizon from one stack of rows, and the extension from the current customers.

        Raises `NotEnoughDataError` where no horizon is supported.
        """
        recipe = self.recipe or Recipe()
        self.grid_days_ = require_supported(
            examples.labels, snapshots_min=recipe.snapshots_min, outcomes_min=recipe.outcomes_min
        )
        rows = stack_rows(examples, self.grid_days_, label="churned")
        self.feature_names_ = tuple(examples.features.columns)
        self.booster_ = self._new_booster().fit(rows, self.feature_names_)
        self.extension_ = fit_btyd(PurchaseHistories.from_features(examples.current))
        self.supported_days_ = max(self.grid_days_)
        return self

    def predict(self, features: pd.DataFrame, *, horizons_days: Sequence[int]) -> pd.DataFrame:
        """Return churn probabilities, one column a horizon, not rising with it."""
        check_features(features, self.feature_names_)
        grid_days = needed_grid(self.grid_days_, horizons_days)
        known = expit(self.booster_.margins(as_matrix(features), grid_days))
        curve = extended_churn_curve(
            known, features, grid_days=grid_days, horizons_days=horizons_days, extension=self.extension_
        )
        return pd.DataFrame(curve, index=features.index, columns=list(horizons_days))

    def contributions(self, features: pd.DataFrame, *, horizon_days: int) -> Contributions:
        """Return LightGBM's own contributions at the horizon, or at the nearest supported one.

        The horizon is a condition: its share, like the average margin and whatever the extension adds,
        belongs to the reference, which therefore differs a little from customer to customer.
        """
        check_features(features, self.feature_names_)
        nearest = min(self.grid_days_, key=lambda days: (abs(days - horizon_days), days))
        shares = self.booster_.contributions(as_matrix(features), nearest)
        answers = self.predict(features, horizons_days=[horizon_days])[horizon_days]
        reference = expit(logit(answers.to_numpy()) - shares.sum(axis=1))
        return Contributions(
            reference=pd.Series(reference, index=features.index, name="reference"),
            logits=pd.DataFrame(shares, index=features.index, columns=list(self.feature_names_)),
        )

    def save(self, folder: Path) -> None:
        """Write `state.json` and `churn.txt`."""
        self.booster_.save(folder / BOOSTER_FILE)
        state = {
            "recipe": self.params(),
            "feature_names": list(self.feature_names_),
            "grid_days": list(self.grid_days_),
            "extension": self.extension_.state(),
        }
        write_state(folder, state)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        state = read_state(folder)
        model = cls(recipe=Recipe.from_params(state["recipe"]))
        model.feature_names_ = tuple(state["feature_names"])
        model.grid_days_ = tuple(state["grid_days"])
        model.supported_days_ = max(model.grid_days_)
        model.extension_ = BgNbd.from_state(state["extension"])
        model.booster_ = model._new_booster().load(folder / BOOSTER_FILE)
        return model

    def _new_booster(self) -> HorizonBooster:
        return HorizonBooster(objective="binary", direction=-1, recipe=self.recipe or Recipe())
