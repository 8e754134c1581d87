"""Where customers stand: one lifecycle stage each, by their own clocks and the shop's own windows."""

from typing import Any, Final, Self

import polars as pl
from pydantic import BaseModel, ConfigDict

from features.settings import LifecycleSettings

STAGES: Final = {
    "prospect": "has never ordered",
    "lost": "silent beyond the point of having left for good, and no act since either",
    "lapsed": "silent longer than the 95th percentile of the shop's gaps",
    "new": "one order, no longer ago than the shop's median gap",
    "onboarding": "fewer than 3 orders, the first no longer ago than the 95th percentile of the shop's gaps",
    "at_risk": "risk band high",
    "slipping": "silent for twice the own mean gap; or for longer than it, and somebody who does act has not "
    "since the last order",
    "won_back": "the newest order ended a silence longer than the 95th percentile of the shop's gaps",
    "loyal": "as many orders as the upper quarter of the shop's repeat customers",
    "active": "everybody else",
}
"""Every stage with its rule, in the order in which they are tried: the first that fits counts."""

STAGE_CLOCKS: Final = ("tenure_days", "last_gap_days", "act_recency_days")
"""The features that stages are told by, beside what a score row holds."""

_LOYAL_SHARE: Final = 0.75


class StageCuts(BaseModel):
    """What the stages of a run's customers are told by, beside `lapsed_after_days`.

    `usual_gap_days`       the shop's median gap; None where nobody ever ordered twice
    `fully_churned_days`   silent so long, customers have left for good (`features.fully_churned`)
    `loyal_from_orders`    the orders of the upper quarter of those who ordered twice; None without such
    `rule`                 what the shop sets itself in the place of its own measures (`[lifecycle]`)
    """

    model_config = ConfigDict(frozen=True)

    usual_gap_days: float | None = None
    fully_churned_days: float | None = None
    loyal_from_orders: int | None = None
    rule: LifecycleSettings = LifecycleSettings()

    def with_orders(self, orders: pl.Series) -> Self:
        """Return the cuts with the orders from which a customer is loyal, measured on the customers given."""
        measured = self.rule.loyal_orders or loyal_from_orders(orders, habit_orders=self.rule.habit_orders)
        return self.model_copy(update={"loyal_from_orders": measured})


def loyal_from_orders(orders: pl.Series, *, habit_orders: int = 3) -> int | None:
    """Return the number of orders from which a customer is loyal, never below what makes a habit.

    By default that is 3: two gaps are the least that can be called one.

    >>> loyal_from_orders(pl.Series([1, 1, 1, 2, 2, 3, 8])), loyal_from_orders(pl.Series([1, 1]))
    (8, None)
    """
    found = orders.filter(orders >= 2).quantile(_LOYAL_SHARE, interpolation="higher")
    return None if found is None else max(habit_orders, int(found))


def lifecycle_stage(cuts: StageCuts, *, lapsed_after_days: float | None, headline_days: int) -> pl.Expr:
    """Say where a customer stands (`STAGES`).

    Reads `historic_number_of_orders`, `recency_days`, `tenure_days`, `last_gap_days`, `act_recency_days`,
    `average_days_between_orders`, `lapsed` and `risk_band`. Where nobody ever ordered twice, a customer is
    new for the headline horizon.
    """
    rules = _rules(cuts, lapsed_after_days, headline_days)
    names = [name for name in STAGES if name in rules]
    found = pl.lit("active")
    for name in reversed(names):
        found = pl.when(rules[name].fill_null(value=False)).then(pl.lit(name)).otherwise(found)
    return found.alias("lifecycle_stage")


def _rules(cuts: StageCuts, lapsed_after_days: float | None, headline_days: int) -> dict[str, pl.Expr]:
    silent, acted = pl.col("recency_days"), pl.col("act_recency_days")
    orders, own_gap = pl.col("historic_number_of_orders"), pl.col("average_days_between_orders")
    rule = cuts.rule
    usual = headline_days if cuts.usual_gap_days is None else cuts.usual_gap_days
    new, onboarding, won_back, gone, loyal = (
        _number(value)
        for value in (
            rule.new_days or usual,
            rule.onboarding_days or lapsed_after_days,
            rule.won_back_days or lapsed_after_days,
            rule.lost_days or cuts.fully_churned_days,
            cuts.loyal_from_orders,
        )
    )
    is_gone = silent > gone
    if not rule.lost_days:
        is_gone &= pl.col("lapsed").fill_null(value=cuts.usual_gap_days is None)
    # Whoever still clicks or looks is silent, but not lost.
    return {
        "prospect": orders.fill_null(0) == 0,
        "lost": is_gone & (acted > gone).fill_null(value=True),
        "lapsed": pl.col("lapsed"),
        "new": (orders == 1) & (pl.col("tenure_days") <= new),
        "onboarding": (orders < rule.habit_orders) & (pl.col("tenure_days") <= onboarding),
        "at_risk": pl.col("risk_band") == "high",
        "slipping": (silent > rule.slipping_times_own_gap * own_gap)
        | ((silent > own_gap) & (acted > silent)),
        "won_back": pl.col("last_gap_days") > won_back,
        "loyal": orders >= loyal,
    }


def _number(value: Any) -> pl.Expr:  # noqa: ANN401 - a number or nothing
    return pl.lit(value, dtype=pl.Float64)
