"""The formula that every shop knows, customer by customer: average order value x purchase frequency."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from models.btyd_spend import amounts, weighted_sum
from models.horizon import Floats


@dataclass(frozen=True, slots=True)
class OrderFormula:
    """Order value and order frequency of a customer, the frequency leaning on the shop's.

    Orders are counted by the day: several at one instant say nothing of how often somebody comes. The
    frequency is (x + 1) / (T + 1/f): x repeat order days in T days, and f (`shop_orders_per_day`) the repeat
    order days a day of the whole shop, so that a new customer starts at f.
    """

    shop_orders_per_day: float

    @classmethod
    def of(cls, features: pd.DataFrame, *, weights: Floats | None = None) -> Self:
        """Learn the shop's frequency from a feature table, one row a customer, each counted by its weight."""
        repeats = weighted_sum((amounts(features["order_day_count"]) - 1.0).clip(min=0.0), weights)
        tenure_days = max(weighted_sum(amounts(features["tenure_days"]), weights), 1.0)
        return cls(max(repeats, 0.5) / tenure_days)

    def order_value(self, features: pd.DataFrame) -> Floats:
        """Return the mean money an order day."""
        spend = amounts(features["mean_order_value"]) * amounts(features["order_count"])
        return np.asarray(spend / amounts(features["order_day_count"]).clip(min=1.0))

    def daily_orders(self, features: pd.DataFrame) -> Floats:
        """Return the order days a day."""
        order_days = amounts(features["order_day_count"]).clip(min=1.0)
        return np.asarray(order_days / (amounts(features["tenure_days"]) + 1.0 / self.shop_orders_per_day))


def poisson_orders_given_one(expected: Floats) -> Floats:
    """Return the mean of a Poisson count that is not 0: lambda / (1 - exp(-lambda)).

    >>> poisson_orders_given_one(np.array([0.0, 1.0, 50.0])).round(4).tolist()
    [1.0, 1.582, 50.0]
    """
    held = expected.clip(min=1e-9)
    return np.asarray(np.where(expected > 1e-9, held / -np.expm1(-held), 1.0))
