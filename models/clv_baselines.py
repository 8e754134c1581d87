"""Simple value rules under the contract of the models: past spend, the formula, BG/NBD x Gamma-Gamma.

Each says what a customer spends within h; P(order) and orders come from BG/NBD, which also turns that into
spend given an order. The spread around it (`models.intervals`) is measured on the examples whose outcome is
known; without any, a wide default stands in.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd

from features.examples import Examples
from models.baselines import longest_known_days
from models.btyd import PurchaseHistories
from models.btyd_spend import BtydSpend, amounts
from models.contract import Method, Scalar
from models.horizon import Floats, check_features, label_horizons, orders_given_one, rising_product
from models.intervals import SpendSpread, spread_frame
from models.plain import read_arrays, read_state, write_arrays, write_state

SPEND_WINDOWS_DAYS = (7, 14, 30, 60, 90, 180, 365)
# Spend given an order is held above this share of the shop's mean order value, for a spread to be measured.
_FLOOR_SHARE = 0.05
_CHANCE_MIN = 1e-6


class _RuleClv:
    """What the rules share; a rule gives `_learn` (its own numbers) and `_expected` (spend within h)."""

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
        self.btyd_ = BtydSpend().fit(examples.current)
        self.learnt_ = self._learn(examples)
        self.spread_ = SpendSpread().fit(self._buyers(examples))
        return self

    def predict(
        self, features: pd.DataFrame, *, order_probability: pd.DataFrame, horizons_days: Sequence[int]
    ) -> pd.DataFrame:
        """Return expected spend, one column a horizon; `order_probability` is not read."""
        check_features(features, self.feature_names_)
        columns = [self._expected(features, days) for days in horizons_days]
        spend = np.column_stack(columns) if columns else np.empty((len(features), 0))
        rising = rising_product(np.ones_like(spend), spend.clip(min=0.0), horizons_days)
        return pd.DataFrame(rising, index=features.index, columns=list(horizons_days))

    def predict_interval(
        self, features: pd.DataFrame, *, order_probability: pd.DataFrame, horizon_days: int
    ) -> pd.DataFrame:
        """Return the marginal interval (with the given P(order)) and the conditional one."""
        check_features(features, self.feature_names_)
        chance = order_probability[horizon_days].to_numpy(dtype=np.float64)
        bounds = self.spread_.interval(self._given_order(features, horizon_days), chance, horizon_days)
        return spread_frame(bounds, features.index)

    def predict_order_count(
        self, features: pd.DataFrame, *, order_probability: pd.DataFrame, horizon_days: int
    ) -> "pd.Series[float]":
        """Return the given P(order) x BTYD's orders given one."""
        check_features(features, self.feature_names_)
        given_order = orders_given_one(
            self.btyd_.orders_, PurchaseHistories.from_features(features), horizon_days
        )
        chance = order_probability[horizon_days].to_numpy(dtype=np.float64)
        return pd.Series(chance * given_order, index=features.index, name="order_count")

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

    def _expected(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        raise NotImplementedError

    def _given_order(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        purchases = PurchaseHistories.from_features(features)
        chance = self.btyd_.orders_.order_probability(purchases, horizon_days, unit="days")
        # An order that is next to impossible is worth what one is worth, not a quotient of two noughts.
        floor = _FLOOR_SHARE * self.btyd_.order_value_
        return np.asarray(
            (self._expected(features, horizon_days) / chance.clip(min=_CHANCE_MIN)).clip(min=floor)
        )

    def _buyers(self, examples: Examples) -> dict[int, tuple[Floats, Floats]]:
        pairs = {}
        for horizon_days in label_horizons(examples.labels):
            bought = (examples.labels[f"churned_{horizon_days}"] == 0).to_numpy()
            if bought.any():
                actual = examples.labels[f"spend_{horizon_days}"].to_numpy(dtype=np.float64)[bought]
                pairs[horizon_days] = (self._given_order(examples.features[bought], horizon_days), actual)
        return pairs


class PastSpendClv(_RuleClv):
    """Money of the window nearest to the headline horizon, carried on at the same rate."""

    name: ClassVar[str] = "past_spend"
    method: ClassVar[Method] = "baseline"

    def _learn(self, examples: Examples) -> dict[str, Any]:
        headline_days = examples.headline_days
        return {"window_days": min(SPEND_WINDOWS_DAYS, key=lambda days: abs(days - headline_days))}

    def _expected(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        window_days = self.learnt_["window_days"]
        rate = amounts(features[f"spend_{window_days}"]) / float(window_days)
        return horizon_days * rate


class FormulaClv(_RuleClv):
    """Average order value x order frequency x lifespan, the lifespan ending at the horizon if that is sooner.

    Orders are counted by the day: several at one instant say nothing of how often somebody comes. The
    frequency is (x + 1) / (T + 1/f): x repeat order days in T days, and f the repeat order days a day of the
    whole shop, so that a new customer starts at f.
    """

    name: ClassVar[str] = "formula"
    method: ClassVar[Method] = "formula"

    def __init__(self, *, lifespan_days: int = 1095) -> None:
        self.lifespan_days = lifespan_days

    def params(self) -> dict[str, Scalar]:
        """Return the lifespan."""
        return {"lifespan_days": self.lifespan_days}

    def _learn(self, examples: Examples) -> dict[str, Any]:
        repeats = (amounts(examples.current["order_day_count"]) - 1.0).clip(min=0.0).sum()
        tenure_days = max(float(amounts(examples.current["tenure_days"]).sum()), 1.0)
        return {"shop_orders_per_day": max(float(repeats), 0.5) / tenure_days}

    def _expected(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        start_days = 1.0 / self.learnt_["shop_orders_per_day"]
        order_days = amounts(features["order_day_count"]).clip(min=1.0)
        frequency = order_days / (amounts(features["tenure_days"]) + start_days)
        days = float(min(horizon_days, self.lifespan_days))
        spend = amounts(features["mean_order_value"]) * amounts(features["order_count"])
        return np.asarray(spend / order_days * frequency * days)


class BtydClv(_RuleClv):
    """Expected orders of BG/NBD (or MBG/NBD) x expected spend an order of Gamma-Gamma."""

    name: ClassVar[str] = "btyd"
    method: ClassVar[Method] = "btyd"

    def _learn(self, examples: Examples) -> dict[str, Any]:
        return {}

    def _expected(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        return self.btyd_.expected_spend(features, horizon_days)

    def _given_order(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        return self.btyd_.spend_given_order(features, horizon_days)
