"""Simple value rules under the contract of the models: past spend, the formula, BG/NBD x Gamma-Gamma.

A rule says what an order is worth and how often a customer orders. Taught as it usually is, it stands alone
and knows nothing of churn (`predict_alone`): that is what a model has to beat. As a rung that serves, it
takes P(order) from the churn model like every other recipe (`predict`), so that all numbers of a customer
agree: expected spend = P(order within h) x expected spend given an order, and with lambda orders a day

    orders within h, given one = lambda * h / (1 - exp(-lambda * h))        (Poisson)
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd

from features.examples import Examples
from models.baselines import longest_known_days
from models.btyd import PurchaseHistories
from models.btyd_spend import BtydSpend, amounts, shop_spend
from models.contract import Method, Scalar
from models.formula import OrderFormula, poisson_orders_given_one
from models.horizon import Floats, check_features, label_horizons, orders_given_one, rising_product
from models.intervals import SpendSpread, level_wobble, spread_frame
from models.plain import read_arrays, read_state, write_arrays, write_state

SPEND_WINDOWS_DAYS = (7, 14, 30, 60, 90, 180, 365)
# An order is held worth at least this share of the shop's mean order, for a spread to be measured.
_FLOOR_SHARE = 0.05


class _RuleClv:
    """What the rules share; a rule gives `_learn`, `_order_value` (money an order) and `_daily_orders`."""

    name: ClassVar[str]
    method: ClassVar[Method]

    feature_names_: tuple[str, ...]
    supported_days_: int
    learnt_: dict[str, Any]
    btyd_: BtydSpend
    spread_: SpendSpread

    def params(self) -> dict[str, Scalar]:
        """Return the constructor's arguments, flat."""
        return {}

    def fit(self, examples: Examples) -> Self:
        """Learn from the customers at the origin, and the spread from known outcomes."""
        self.feature_names_ = tuple(examples.current.columns)
        self.supported_days_ = longest_known_days(examples.labels)
        self.btyd_ = shop_spend(examples)
        self.learnt_ = self._learn(examples)
        self.spread_ = self._measured_spread(examples)
        return self

    def predict(
        self, features: pd.DataFrame, *, order_probability: pd.DataFrame, horizons_days: Sequence[int]
    ) -> pd.DataFrame:
        """Return expected spend, one column a horizon: P(order) x spend given an order."""
        check_features(features, self.feature_names_)
        given_order = _columns(self._given_order, features, horizons_days)
        chance = order_probability[list(horizons_days)].to_numpy(dtype=np.float64)
        answers = rising_product(chance, given_order, horizons_days)
        return pd.DataFrame(answers, index=features.index, columns=list(horizons_days))

    def predict_alone(self, features: pd.DataFrame, *, horizons_days: Sequence[int]) -> pd.DataFrame:
        """Return what the rule says by itself, one column a horizon."""
        check_features(features, self.feature_names_)
        answers = _columns(self._alone, features, horizons_days)
        return pd.DataFrame(answers, index=features.index, columns=list(horizons_days))

    def predict_interval(
        self, features: pd.DataFrame, *, order_probability: pd.DataFrame, horizon_days: int
    ) -> pd.DataFrame:
        """Return the marginal interval and the one given an order; see `models.intervals`."""
        check_features(features, self.feature_names_)
        chance = order_probability[horizon_days].to_numpy(dtype=np.float64)
        bounds = self.spread_.interval(self._given_order(features, horizon_days), chance, horizon_days)
        return spread_frame(bounds, features.index)

    def predict_order_count(
        self, features: pd.DataFrame, *, order_probability: pd.DataFrame, horizon_days: int
    ) -> "pd.Series[float]":
        """Return P(order) x orders given one."""
        check_features(features, self.feature_names_)
        chance = order_probability[horizon_days].to_numpy(dtype=np.float64)
        counts = chance * self._orders_given_one(features, horizon_days)
        return pd.Series(counts, index=features.index, name="order_count")

    def save(self, folder: Path) -> None:
        """Write `state.json` and `arrays.npz`."""
        write_arrays(folder, self.spread_.arrays())
        state = {
            "params": self.params(),
            "feature_names": list(self.feature_names_),
            "supported_days": self.supported_days_,
            "learnt": self.learnt_,
            "btyd": self.btyd_.state(),
        }
        write_state(folder, state)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        state = read_state(folder)
        model = cls(**state["params"])
        model.feature_names_ = tuple(state["feature_names"])
        model.supported_days_ = state["supported_days"]
        model.learnt_ = state["learnt"]
        model.btyd_ = BtydSpend.from_state(state["btyd"])
        model.spread_ = SpendSpread.from_arrays(read_arrays(folder))
        return model

    def _learn(self, examples: Examples) -> dict[str, Any]:
        raise NotImplementedError

    def _order_value(self, features: pd.DataFrame) -> Floats:
        raise NotImplementedError

    def _daily_orders(self, features: pd.DataFrame) -> Floats:
        raise NotImplementedError

    def _alone(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        return self._order_value(features) * self._daily_orders(features) * self._days(horizon_days)

    def _given_order(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        floor = _FLOOR_SHARE * self.btyd_.order_value_
        value = self._order_value(features).clip(min=floor)
        return value * self._orders_given_one(features, horizon_days)

    def _orders_given_one(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        return poisson_orders_given_one(self._daily_orders(features) * self._days(horizon_days))

    def _days(self, horizon_days: int) -> float:
        """Return for how many of the days somebody orders at all."""
        return float(horizon_days)

    def _measured_spread(self, examples: Examples) -> SpendSpread:
        pairs: dict[int, tuple[Floats, Floats]] = {}
        wobble = 0.0
        as_of = examples.features.index.get_level_values("as_of")
        for horizon_days in label_horizons(examples.labels):
            bought = (examples.labels[f"churned_{horizon_days}"] == 0).to_numpy()
            if not bought.any():
                continue
            actual = examples.labels[f"spend_{horizon_days}"].to_numpy(dtype=np.float64)[bought]
            expected = self._given_order(examples.features[bought], horizon_days)
            if not pairs:  # the shortest horizon: it is known of the most snapshots
                wobble = level_wobble(
                    expected,
                    actual,
                    as_of[bought],
                    first_season=examples.is_first_season,
                    weights=examples.weights_of(examples.features[bought]),
                )
            pairs[horizon_days] = (expected, actual)
        return SpendSpread(wobble=wobble).fit(pairs)


class PastSpendClv(_RuleClv):
    """Money of the window nearest to the headline horizon, carried on at the same rate.

    Given an order, somebody who bought nothing in that window spends what an order of theirs was worth.
    """

    name: ClassVar[str] = "past_spend"
    method: ClassVar[Method] = "baseline"

    def _learn(self, examples: Examples) -> dict[str, Any]:
        headline_days = examples.headline_days
        return {"window_days": min(SPEND_WINDOWS_DAYS, key=lambda days: abs(days - headline_days))}

    def _order_value(self, features: pd.DataFrame) -> Floats:
        window_days = self.learnt_["window_days"]
        orders = amounts(features[f"order_count_{window_days}"])
        spend = amounts(features[f"spend_{window_days}"])
        return np.where(orders > 0, spend / orders.clip(min=1.0), amounts(features["mean_order_value"]))

    def _daily_orders(self, features: pd.DataFrame) -> Floats:
        window_days = self.learnt_["window_days"]
        return amounts(features[f"order_count_{window_days}"]) / float(window_days)


class FormulaClv(_RuleClv):
    """Average order value x order frequency x lifespan, the lifespan ending at the horizon if that is sooner.

    `models.formula` says how a customer's order value and frequency are found.
    """

    name: ClassVar[str] = "formula"
    method: ClassVar[Method] = "formula"

    def __init__(self, *, lifespan_days: int = 1095) -> None:
        self.lifespan_days = lifespan_days

    def params(self) -> dict[str, Scalar]:
        """Return the lifespan."""
        return {"lifespan_days": self.lifespan_days}

    def _learn(self, examples: Examples) -> dict[str, Any]:
        weights = examples.weights_of(examples.current)
        return {"shop_orders_per_day": OrderFormula.of(examples.current, weights=weights).shop_orders_per_day}

    def _order_value(self, features: pd.DataFrame) -> Floats:
        return OrderFormula(**self.learnt_).order_value(features)

    def _daily_orders(self, features: pd.DataFrame) -> Floats:
        return OrderFormula(**self.learnt_).daily_orders(features)

    def _days(self, horizon_days: int) -> float:
        return float(min(horizon_days, self.lifespan_days))


class BtydClv(_RuleClv):
    """Expected orders of BG/NBD (or MBG/NBD) x expected spend an order of Gamma-Gamma."""

    name: ClassVar[str] = "btyd"
    method: ClassVar[Method] = "btyd"

    def _learn(self, examples: Examples) -> dict[str, Any]:
        return {}

    def _order_value(self, features: pd.DataFrame) -> Floats:
        return self.btyd_.order_value(features)

    def _alone(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        return self.btyd_.expected_spend(features, horizon_days)

    def _orders_given_one(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        purchases = PurchaseHistories.from_features(features)
        return orders_given_one(self.btyd_.orders_, purchases, horizon_days)


def _columns(rule: Any, features: pd.DataFrame, horizons_days: Sequence[int]) -> Floats:  # noqa: ANN401
    columns = [rule(features, days) for days in horizons_days]
    return np.column_stack(columns) if columns else np.empty((len(features), 0))
