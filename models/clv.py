"""Customer lifetime value by machine learning: a hurdle, (1 - churn) x E[spend | an order within h].

The first factor comes from the churn model. The second is one LightGBM (gamma objective) on the buyers' rows
of every known horizon, with the horizon as a column that may only raise it, averaged with what BG/NBD x
Gamma-Gamma and the formula expect given an order; a third, small one counts orders the same way. Beyond the
last supported horizon both grow as BTYD's expected orders given one do. Where the history holds the same
weeks of last year, spend is moved by what they did to it (`models.season`), in a first season by what retail
at large does then (`models.retail_year`). CLV never falls with the horizon.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import pandas as pd

from features.examples import Examples
from models.boosting import HorizonBooster, Objective, Recipe
from models.btyd_spend import BtydSpend, shop_spend, weighted_sum
from models.contract import Method, NotEnoughDataError, Scalar
from models.formula import OrderFormula, poisson_orders_given_one
from models.horizon import (
    Floats,
    HorizonRows,
    as_matrix,
    check_features,
    extended_growth_curve,
    held_out,
    needed_grid,
    require_supported,
    rising_product,
    stack_rows,
)
from models.intervals import SpendSpread, level_wobble, spread_frame
from models.plain import read_arrays, read_state, write_arrays, write_state
from models.retail_year import spend_shifts
from models.season import Level, money_level, season_shifts, shifts_at

SPEND_FILE = "spend.txt"
ORDERS_FILE = "orders.txt"
# Spend at or below 0 (returns above purchases) is learnt as this share of the usual spend; the level makes up
# for it.
_FLOOR_SHARE = 0.01
_LIGHT_TREES_MAX = 100
_SHARES = ("retail_year", "btyd_share", "formula_share")
_LEVEL_MIN = 1e-3
_MEASURED_ROWS_MAX = 100_000


class HurdleClv:
    """Expected spend within h for every h at once."""

    name: ClassVar[str] = "hurdle"
    method: ClassVar[Method] = "ml"

    feature_names_: tuple[str, ...]
    grid_days_: tuple[int, ...]
    supported_days_: int
    level_: dict[int, float]
    season_: dict[int, float]
    btyd_: BtydSpend
    formula_: OrderFormula
    spread_: SpendSpread
    spend_: HorizonBooster
    orders_: HorizonBooster | None

    def __init__(
        self,
        *,
        recipe: Recipe | None = None,
        retail_year: float = 1.0,
        btyd_share: float = 0.2,
        formula_share: float = 0.2,
    ) -> None:
        self.recipe = recipe
        self.retail_year = retail_year
        self.btyd_share = btyd_share
        self.formula_share = formula_share

    def params(self) -> dict[str, Scalar]:
        """Return the recipe, flat, and the shares of the retail year, BTYD and the formula."""
        return (self.recipe or Recipe()).params() | {name: getattr(self, name) for name in _SHARES}

    def fit(self, examples: Examples) -> Self:
        """Learn spend and orders given an order, their level, spread and extension.

        Raises `NotEnoughDataError` where no horizon is supported or no buyer spent anything.
        """
        recipe = self.recipe or Recipe()
        self.grid_days_ = require_supported(
            examples.labels, snapshots_min=recipe.snapshots_min, outcomes_min=recipe.outcomes_min
        )
        self.supported_days_ = max(self.grid_days_)
        self.feature_names_ = tuple(examples.features.columns)
        spend = stack_rows(examples, self.grid_days_, label="spend", buyers_only=True)
        self.spend_ = self._booster("gamma", recipe).fit(_positive(spend), self.feature_names_)
        expected = np.exp(self.spend_.row_margins(spend.matrix))
        self.level_ = self._levels(spend, expected, examples)
        self.btyd_ = shop_spend(examples)
        self.formula_ = OrderFormula.of(examples.current, weights=examples.weights_of(examples.current))
        retail = spend_shifts(examples, self.grid_days_, share=self.retail_year)
        self.season_ = retail or season_shifts(
            examples.year_ago, self.grid_days_, partial(self._spend_level, examples)
        )
        self.spread_ = self._spread(spend, examples, wobble=self._wobble(spend, expected, examples))
        orders = stack_rows(examples, self.grid_days_, label="order_count", buyers_only=True)
        further = replace(orders, target=(orders.target - 1.0).clip(min=0.0))
        # Where nobody ever ordered twice within a horizon there is nothing to count, and LightGBM refuses.
        counts = further.target.any()
        booster = self._booster("poisson", _lighter(recipe))
        self.orders_ = booster.fit(further, self.feature_names_) if counts else None
        return self

    def predict(
        self, features: pd.DataFrame, *, order_probability: pd.DataFrame, horizons_days: Sequence[int]
    ) -> pd.DataFrame:
        """Return expected spend, one column a horizon, not falling with it; unbought horizons are 0."""
        given_order = self._spend_if_order(features, horizons_days)
        chance = order_probability[list(horizons_days)].to_numpy(dtype=np.float64)
        answers = rising_product(chance, given_order, horizons_days)
        return pd.DataFrame(answers, index=features.index, columns=list(horizons_days))

    def predict_interval(
        self, features: pd.DataFrame, *, order_probability: pd.DataFrame, horizon_days: int
    ) -> pd.DataFrame:
        """Return the marginal and the conditional interval; see `models.intervals`."""
        expected = self._spend_if_order(features, [horizon_days])[:, 0]
        chance = order_probability[horizon_days].to_numpy(dtype=np.float64)
        return spread_frame(self.spread_.interval(expected, chance, horizon_days), features.index)

    def predict_order_count(
        self, features: pd.DataFrame, *, order_probability: pd.DataFrame, horizon_days: int
    ) -> "pd.Series[float]":
        """Return P(order) x expected orders given one; never below P(order)."""
        check_features(features, self.feature_names_)
        grid_days = needed_grid(self.grid_days_, [horizon_days])
        known = np.ones((len(features), len(grid_days)))
        if self.orders_ is not None:
            known += np.exp(self.orders_.margins(as_matrix(features), grid_days))
        given_order = self._extended(known, features, grid_days, [horizon_days])[:, 0]
        chance = order_probability[horizon_days].to_numpy(dtype=np.float64)
        return pd.Series(chance * given_order, index=features.index, name="order_count")

    def save(self, folder: Path) -> None:
        """Write `state.json`, `arrays.npz`, `spend.txt` and, where orders are counted, `orders.txt`."""
        self.spend_.save(folder / SPEND_FILE)
        if self.orders_ is not None:
            self.orders_.save(folder / ORDERS_FILE)
        write_arrays(folder, self.spread_.arrays())
        state = {
            "params": self.params(),
            "shop_orders_per_day": self.formula_.shop_orders_per_day,
            "feature_names": list(self.feature_names_),
            "grid_days": list(self.grid_days_),
            "level": {str(days): level for days, level in self.level_.items()},
            "season": {str(days): shift for days, shift in self.season_.items()},
            "btyd": self.btyd_.state(),
        }
        write_state(folder, state)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        state = read_state(folder)
        recipe = Recipe.from_params(state["params"])
        shares = {name: state["params"][name] for name in _SHARES}
        model = cls(recipe=recipe, **shares)
        model.formula_ = OrderFormula(state["shop_orders_per_day"])
        model.feature_names_ = tuple(state["feature_names"])
        model.grid_days_ = tuple(state["grid_days"])
        model.supported_days_ = max(model.grid_days_)
        model.level_ = {int(days): level for days, level in state["level"].items()}
        model.season_ = {int(days): shift for days, shift in state["season"].items()}
        model.btyd_ = BtydSpend.from_state(state["btyd"])
        model.spread_ = SpendSpread.from_arrays(read_arrays(folder))
        model.spend_ = model._booster("gamma", recipe).load(folder / SPEND_FILE)
        orders, path = model._booster("poisson", _lighter(recipe)), folder / ORDERS_FILE
        model.orders_ = orders.load(path) if path.exists() else None
        return model

    def _spread(self, spend: HorizonRows, examples: Examples, *, wobble: float) -> SpendSpread:
        """Measure the spread on customers that a lighter twin of the spend model was not fitted on."""
        recipe, features = _lighter(self.recipe or Recipe()), examples.features
        unseen = held_out(features.index)[spend.positions]
        twin = self._booster("gamma", recipe).fit(_positive(spend).chosen(~unseen), self.feature_names_)
        pairs = {}
        for horizon_days in self.grid_days_:
            tested = _thinned(spend.chosen(unseen & (spend.horizons_days == horizon_days)))
            boosted = self.level_[horizon_days] * np.exp(twin.row_margins(tested.matrix))
            rows = features.iloc[tested.positions]
            pairs[horizon_days] = (self._blended(boosted, rows, horizon_days), tested.target)
        return SpendSpread(wobble=wobble).fit(pairs)

    def _levels(self, spend: HorizonRows, expected: Floats, examples: Examples) -> dict[int, float]:
        """Return total actual / total expected spend by horizon, over the newer half of its snapshots.

        The gamma objective balances ratios, not totals; and money moves on while a model averages a year.
        """
        days = pd.to_datetime(examples.features.index.get_level_values("as_of")).to_numpy()[spend.positions]
        levels = {}
        for horizon_days in self.grid_days_:
            chosen = spend.horizons_days == horizon_days
            seen = np.unique(days[chosen])
            newer = chosen & (days >= seen[len(seen) // 2])
            weights = None if spend.weights is None else spend.weights[newer]
            ratio = weighted_sum(spend.target[newer], weights) / weighted_sum(expected[newer], weights)
            levels[horizon_days] = float(max(ratio, _LEVEL_MIN))
        return levels

    def _wobble(self, spend: HorizonRows, expected: Floats, examples: Examples) -> float:
        """Return how much the shop's level moves, by the shortest horizon: it knows the most snapshots."""
        shortest = spend.horizons_days == self.grid_days_[0]
        snapshots = examples.features.index.get_level_values("as_of")[spend.positions[shortest]]
        return level_wobble(
            expected[shortest],
            spend.target[shortest],
            snapshots,
            first_season=examples.is_first_season,
            weights=None if spend.weights is None else spend.weights[shortest],
        )

    def _spend_level(
        self, examples: Examples, features: pd.DataFrame, labels: pd.DataFrame, horizon_days: int
    ) -> Level | None:
        """Return by how much more buyers spent than is expected of them, in logs."""
        bought = (labels[f"churned_{horizon_days}"] == 0).to_numpy()
        if not bought.any():
            return None
        expected = np.exp(self.spend_.margins(as_matrix(features[bought]), [horizon_days])[:, 0])
        actual = labels[f"spend_{horizon_days}"].to_numpy(dtype=np.float64)[bought]
        return money_level(expected, actual, weights=examples.weights_of(features[bought]))

    def _spend_if_order(self, features: pd.DataFrame, horizons_days: Sequence[int]) -> Floats:
        check_features(features, self.feature_names_)
        grid_days = needed_grid(self.grid_days_, horizons_days)
        boosted = np.exp(self.spend_.margins(as_matrix(features), grid_days))
        columns = [
            self._blended(self.level_[days] * boosted[:, place], features, days)
            for place, days in enumerate(grid_days)
        ]
        known = np.column_stack(columns) * np.exp(shifts_at(self.season_, grid_days))
        return self._extended(known, features, grid_days, horizons_days)

    def _blended(self, boosted: Floats, features: pd.DataFrame, horizon_days: int) -> Floats:
        """Return the mean of what boosting, BTYD and the formula expect given an order, by their shares."""
        orders = poisson_orders_given_one(self.formula_.daily_orders(features) * horizon_days)
        by_formula = self.formula_.order_value(features) * orders
        by_btyd = self.btyd_.spend_given_order(features, horizon_days)
        own_share = 1.0 - self.btyd_share - self.formula_share
        return own_share * boosted + self.btyd_share * by_btyd + self.formula_share * by_formula

    def _extended(
        self, known: Floats, features: pd.DataFrame, grid_days: Sequence[int], horizons_days: Sequence[int]
    ) -> Floats:
        return extended_growth_curve(
            known, features, grid_days=grid_days, horizons_days=horizons_days, extension=self.btyd_.orders_
        )

    @staticmethod
    def _booster(objective: Objective, recipe: Recipe) -> HorizonBooster:
        return HorizonBooster(objective=objective, direction=1, recipe=recipe)


def _lighter(recipe: Recipe) -> Recipe:
    """Return the same recipe with at most 100 trees, that much heavier."""
    boosting = recipe.boosting
    tree_count = min(boosting.tree_count, _LIGHT_TREES_MAX)
    learning_rate = min(1.0, boosting.learning_rate * boosting.tree_count / tree_count)
    light = boosting.model_copy(update={"tree_count": tree_count, "learning_rate": learning_rate})
    return replace(recipe, boosting=light)


def _positive(spend: HorizonRows) -> HorizonRows:
    """Lift spend to a small share of the usual one: the gamma objective takes nothing at or below 0."""
    positive = spend.target[spend.target > 0]
    if not len(positive):
        raise NotEnoughDataError(
            "nobody spent anything within a known horizon; value cannot be learnt from it"
        )
    return replace(spend, target=spend.target.clip(min=_FLOOR_SHARE * float(np.median(positive))))


def _thinned(rows: HorizonRows) -> HorizonRows:
    """Return at most 100,000 rows, evenly spread: enough to measure by."""
    step = max(1, -(-len(rows.target) // _MEASURED_ROWS_MAX))
    return rows.chosen(slice(None, None, step))
