"""Churn by machine learning: one LightGBM with the horizon as a column that may only lower the answer.

Training rows, support rule and curves are those of `models.horizon`. Beyond the last supported horizon the
curve goes on with BTYD's conditional survival, fitted on the customers at the origin and kept in the same
bundle. Where the history holds the same weeks of last year, the curve is moved by what they did to the shop
(`models.season`); in a first season, by what retail at large does at that time (`models.retail_year`).
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from scipy.special import expit

from features.examples import Examples
from models.boosting import HorizonBooster, Recipe
from models.btyd import BgNbd
from models.btyd_shares import INPUTS, silence_margins, silence_shares, typical_inputs
from models.btyd_spend import shop_orders
from models.contract import Contributions, Method, Scalar
from models.horizon import (
    Floats,
    as_matrix,
    check_features,
    extended_churn_curve,
    logit,
    needed_grid,
    require_supported,
    stack_rows,
)
from models.plain import read_state, write_state
from models.retail_year import order_shifts
from models.season import Level, odds_level, season_shifts, shifts_at

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
    season_: dict[int, float]

    def __init__(self, *, recipe: Recipe | None = None, retail_year: float = 1.0) -> None:
        self.recipe = recipe
        self.retail_year = retail_year

    def params(self) -> dict[str, Scalar]:
        """Return the recipe, flat, and how much of the retail year stands in for a season of its own."""
        return (self.recipe or Recipe()).params() | {"retail_year": self.retail_year}

    def fit(self, examples: Examples) -> Self:
        """Learn every supported horizon from one stack of rows, and the extension from the current customers.

        Raises `NotEnoughDataError` where no horizon is supported.
        """
        recipe = self.recipe or Recipe()
        self.grid_days_ = require_supported(
            examples.labels, snapshots_min=recipe.snapshots_min, outcomes_min=recipe.outcomes_min
        )
        self.feature_names_ = tuple(examples.features.columns)
        self.booster_ = examples.once(("churn booster", recipe), lambda: self._fit_booster(examples))
        self.extension_ = shop_orders(examples)
        retail = order_shifts(examples, self.grid_days_, share=self.retail_year)
        self.season_ = retail or season_shifts(
            examples.year_ago, self.grid_days_, partial(self._order_level, examples)
        )
        self.supported_days_ = max(self.grid_days_)
        return self

    def predict(self, features: pd.DataFrame, *, horizons_days: Sequence[int]) -> pd.DataFrame:
        """Return churn probabilities, one column a horizon, not rising with it."""
        check_features(features, self.feature_names_)
        grid_days = needed_grid(self.grid_days_, horizons_days)
        known = expit(self._margins(features, grid_days) - shifts_at(self.season_, grid_days))
        curve = extended_churn_curve(
            known, features, grid_days=grid_days, horizons_days=horizons_days, extension=self.extension_
        )
        return pd.DataFrame(curve, index=features.index, columns=list(horizons_days))

    def contributions(self, features: pd.DataFrame, *, horizon_days: int) -> Contributions:
        """Return what each feature adds to the log odds at the horizon, or at the nearest supported one.

        The horizon is a condition: its share, like the average margin and whatever the extension adds,
        belongs to the reference, which therefore differs a little from customer to customer.
        """
        check_features(features, self.feature_names_)
        nearest = min(self.grid_days_, key=lambda days: (abs(days - horizon_days), days))
        shares = self._shares(features, nearest)
        answers = self.predict(features, horizons_days=[horizon_days])[horizon_days]
        reference = expit(logit(answers.to_numpy()) - shares.sum(axis=1))
        return Contributions(
            reference=pd.Series(reference, index=features.index, name="reference"),
            logits=pd.DataFrame(shares, index=features.index, columns=list(self.feature_names_)),
        )

    def save(self, folder: Path) -> None:
        """Write `state.json` and `churn.txt`."""
        self.booster_.save(folder / BOOSTER_FILE)
        write_state(folder, self._state())

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        model = cls._from_state(read_state(folder))
        model.booster_ = model._new_booster().load(folder / BOOSTER_FILE)
        return model

    def _state(self) -> dict[str, Any]:
        return {
            "recipe": self.params(),
            "feature_names": list(self.feature_names_),
            "grid_days": list(self.grid_days_),
            "extension": self.extension_.state(),
            "season": {str(days): shift for days, shift in self.season_.items()},
        }

    @classmethod
    def _from_state(cls, state: dict[str, Any]) -> Self:
        model = cls(recipe=Recipe.from_params(state["recipe"]), retail_year=state["recipe"]["retail_year"])
        model.feature_names_ = tuple(state["feature_names"])
        model.grid_days_ = tuple(state["grid_days"])
        model.supported_days_ = max(model.grid_days_)
        model.extension_ = BgNbd.from_state(state["extension"])
        model.season_ = {int(days): shift for days, shift in state["season"].items()}
        return model

    def _fit_booster(self, examples: Examples) -> HorizonBooster:
        rows = stack_rows(examples, self.grid_days_, label="churned")
        return self._new_booster().fit(rows, self.feature_names_)

    def _margins(self, features: pd.DataFrame, grid_days: Sequence[int]) -> Floats:
        """Return the log odds of churn before the season: one row a customer, one column a grid point."""
        return self.booster_.margins(as_matrix(features), grid_days)

    def _shares(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        """Return LightGBM's own contributions: one row a customer, one column a feature."""
        return self.booster_.contributions(as_matrix(features), horizon_days)

    def _order_level(
        self, examples: Examples, features: pd.DataFrame, labels: pd.DataFrame, horizon_days: int
    ) -> Level | None:
        """Return by how much more customers ordered than is expected of them, in log odds."""
        margins = -self._margins(features, [horizon_days])[:, 0]
        ordered = 1.0 - labels[f"churned_{horizon_days}"].to_numpy(dtype=np.float64)
        return odds_level(margins, ordered, weights=examples.weights_of(features))

    def _new_booster(self) -> HorizonBooster:
        return HorizonBooster(objective="binary", direction=-1, recipe=self.recipe or Recipe())


class BlendedChurn(HorizonChurn):
    """The same model averaged with BTYD in the log odds: steadier where a young shop has taught it little.

    BTYD's part of the reasons (`models.btyd_shares`) is 0 in the mean over the shop's customers, as that of
    the trees is.
    """

    name: ClassVar[str] = "lightgbm_btyd"

    typical_: dict[str, float]
    usual_shares_: dict[int, Floats]

    def __init__(
        self, *, recipe: Recipe | None = None, retail_year: float = 1.0, btyd_share: float = 0.15
    ) -> None:
        super().__init__(recipe=recipe, retail_year=retail_year)
        self.btyd_share = btyd_share

    def params(self) -> dict[str, Scalar]:
        """Return the recipe, flat, and the share of BTYD."""
        return super().params() | {"btyd_share": self.btyd_share}

    def fit(self, examples: Examples) -> Self:
        """Learn as `HorizonChurn` does, and what BTYD's inputs usually add."""
        super().fit(examples)
        self.typical_ = typical_inputs(examples.current)
        weights = examples.weights_of(examples.current)
        self.usual_shares_ = {
            days: np.average(self._btyd_shares(examples.current, days), axis=0, weights=weights)
            for days in self.grid_days_
        }
        return self

    def _margins(self, features: pd.DataFrame, grid_days: Sequence[int]) -> Floats:
        boosted = super()._margins(features, grid_days)
        return (1.0 - self.btyd_share) * boosted + self.btyd_share * self._btyd_margins(features, grid_days)

    def _btyd_margins(self, features: pd.DataFrame, grid_days: Sequence[int]) -> Floats:
        return np.column_stack([silence_margins(self.extension_, features, days) for days in grid_days])

    def _btyd_shares(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        return silence_shares(self.extension_, features, self.typical_, horizon_days)

    def _shares(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        shares = (1.0 - self.btyd_share) * super()._shares(features, horizon_days)
        unusual = self._btyd_shares(features, horizon_days) - self.usual_shares_[horizon_days]
        shares[:, [self.feature_names_.index(name) for name in INPUTS]] += self.btyd_share * unusual
        return shares

    def _state(self) -> dict[str, Any]:
        usual = {str(days): shares.tolist() for days, shares in self.usual_shares_.items()}
        return super()._state() | {"typical": self.typical_, "usual_shares": usual}

    @classmethod
    def _from_state(cls, state: dict[str, Any]) -> Self:
        model = super()._from_state(state)
        model.btyd_share = state["recipe"]["btyd_share"]
        model.typical_ = state["typical"]
        model.usual_shares_ = {int(days): np.array(shares) for days, shares in state["usual_shares"].items()}
        return model
