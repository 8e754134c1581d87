"""BG/NBD x Gamma-Gamma on a feature table: orders, spend, and spend given an order."""

from typing import Any, Self

import numpy as np
import pandas as pd

from features.examples import Examples
from models.btyd import BgNbd, PurchaseHistories, fit_btyd
from models.gamma_gamma import GammaGamma, repeat_spend
from models.horizon import Floats, orders_given_one

_KEPT_SHARE_MIN = 1e-3
"""What a shop that keeps nothing, or loses, is taken to keep of its money: answers stay above 0."""


class BtydSpend:
    """Both models fitted to the customers of one day, with weak priors, so that any number of them will do.

    Gamma-Gamma sees gross money an order day; answers are lowered to the part that the shop keeps of it on
    its basis, after returns or the cost of goods.
    """

    orders_: BgNbd
    spend_: GammaGamma
    kept_share_: float
    order_value_: float
    """The shop's money an order on its basis; 1 where it kept nothing."""

    def __init__(self, *, penalty: float = 0.05) -> None:
        self.penalty = penalty

    def fit(
        self, features: pd.DataFrame, *, orders: BgNbd | None = None, weights: Floats | None = None
    ) -> Self:
        """Fit to a feature table, one row a customer; `orders` where that half is fitted to them already.

        `weights` say what each customer counts; None: all the same.
        """
        gross = weighted_sum(amounts(features["line_count"]) * amounts(features["line_value_mean"]), weights)
        count = weighted_sum(amounts(features["order_count"]), weights)
        # Customers below 0 take from the total.
        kept = weighted_sum(np.nan_to_num(np.asarray(features["spend_total"], dtype=np.float64)), weights)
        self.kept_share_ = min(max(kept / gross, _KEPT_SHARE_MIN), 1.0) if gross > 0 else 1.0
        self.order_value_ = kept / count if count > 0 and kept > 0 else 1.0
        purchases = PurchaseHistories.from_features(features, weights=weights)
        self.orders_ = orders or fit_btyd(purchases, penalty=self.penalty)
        spend = GammaGamma(penalty=self.penalty)
        usual = gross / count if count > 0 and gross > 0 else 1.0
        self.spend_ = spend.fit(*repeat_spend(features), fallback_mean=usual, weights=weights)
        return self

    def order_value(self, features: pd.DataFrame) -> Floats:
        """Return the expected spend an order, on the shop's basis."""
        return self.kept_share_ * self.spend_.expected_spend(*repeat_spend(features))

    def expected_spend(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        """Return the expected spend within the horizon."""
        purchases = PurchaseHistories.from_features(features)
        orders = self.orders_.expected_orders(purchases, horizon_days, unit="days")
        return np.asarray(orders * self.order_value(features))

    def spend_given_order(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        """Return the expected spend within the horizon, given an order; it never falls with the horizon."""
        orders = orders_given_one(self.orders_, PurchaseHistories.from_features(features), horizon_days)
        return np.asarray(orders * self.order_value(features))

    def state(self) -> dict[str, Any]:
        """Return what `from_state` needs, as plain values."""
        return {
            "penalty": self.penalty,
            "orders": self.orders_.state(),
            "spend": self.spend_.state(),
            "kept_share": self.kept_share_,
            "order_value": self.order_value_,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Rebuild from `state()`."""
        model = cls(penalty=state["penalty"])
        model.orders_ = BgNbd.from_state(state["orders"])
        model.spend_ = GammaGamma.from_state(state["spend"])
        model.kept_share_, model.order_value_ = state["kept_share"], state["order_value"]
        return model


def shop_orders(examples: Examples) -> BgNbd:
    """Return BTYD fitted to the customers at an origin; every recipe of that origin shares it."""

    def fitted() -> BgNbd:
        weights = examples.weights_of(examples.current)
        return fit_btyd(PurchaseHistories.from_features(examples.current, weights=weights))

    return examples.once("btyd", fitted)


def shop_spend(examples: Examples) -> BtydSpend:
    """Return orders and spend fitted to the customers at an origin; every recipe of that origin shares it."""
    orders = shop_orders(examples)

    def fitted() -> BtydSpend:
        weights = examples.weights_of(examples.current)
        return BtydSpend().fit(examples.current, orders=orders, weights=weights)

    return examples.once("btyd spend", fitted)


def amounts(values: "pd.Series[float]") -> Floats:
    """Return a column with missing and negative values as 0."""
    return np.nan_to_num(np.asarray(values, dtype=np.float64), nan=0.0).clip(min=0.0)


def weighted_sum(values: Floats, weights: Floats | None) -> float:
    """Return the sum of values, each counted by its weight where there are weights."""
    return float(values.sum() if weights is None else values @ weights)
