"""What is true of a made-up shop's customers at a date: the answers that models can only estimate.

Everything is given the customer's own rates, taste, offers and whether they are still there: no model that
sees orders alone can do better than these answers.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from features.synthetic.assortment import NO_PARTNER, Assortment
from features.synthetic.people import QUANTITY_EXTRA_MEAN, Bools, Ints, People
from features.synthetic.simulate import OFFER_DISCOUNT_SHARE
from features.synthetic.spec import Floats, Season, ShopSpec

_BLOCK_CUSTOMERS = 2_000
Answer = Callable[[Floats, Floats], Floats]


@dataclass(frozen=True, slots=True)
class Oracle:
    """Answers questions about some people of a shop; `season` must reach as far as the questions do."""

    spec: ShopSpec
    season: Season
    assortment: Assortment
    people: People

    def is_alive(self, day: float) -> Bools:
        """Say who has ordered before a day (since the shop's first) and has not died by then."""
        return (self.people.born < day) & (self.people.died > day)

    def order_probability(self, day: float, horizon_days: int) -> Floats:
        """Return P(at least one order in [day, day + horizon)); 0 for the dead, NaN before the first order.

        With L(u) the expected orders within u of a customer who stays, and death at rate m, P(none) is the
        sum over days of P(death on it) exp(-L) plus exp(-m h) exp(-L(h)).
        """
        return self._by_block(day, horizon_days, _probability)

    def expected_orders(self, day: float, horizon_days: int) -> Floats:
        """Return the expected number of orders in [day, day + horizon)."""
        return self._by_block(day, horizon_days, _expected)

    def expected_spend(self, day: float, horizon_days: int) -> Floats:
        """Return the expected gross spend in [day, day + horizon); orders with an offer are at discount."""
        return self._by_block(day, horizon_days, _expected, in_money=True) * self.order_values()

    def order_values(self) -> Floats:
        """Return each customer's expected value of an order without an offer, before returns."""
        spec, assortment, people = self.spec, self.assortment, self.people
        partner = assortment.partners
        joined = np.where(partner == NO_PARTNER, 0.0, assortment.prices[partner])
        worth = assortment.prices + spec.complement_share * joined
        table = worth.reshape(spec.category_count, spec.items_per_category)
        any_item = (assortment.shares * table).sum(axis=1)
        a_line = spec.loyalty_share * worth[people.usual] + (1 - spec.loyalty_share) * any_item
        per_line = (people.tastes * a_line).sum(axis=1) * (1 + QUANTITY_EXTRA_MEAN)
        return np.asarray(people.lines_mean * per_line, dtype=np.float64)

    def table(self) -> pl.DataFrame:
        """Return one row a customer: what lies behind the orders."""
        people = self.people
        return pl.DataFrame(
            {
                "customer_id": people.ids,
                "orders_per_day": people.rates,
                "mean_lifetime_days": 1.0 / people.death_rates,
                "born_days": people.born,
                "died_days": people.died,
                "order_value": self.order_values(),
                "returned_share": people.returns,
                "offer_lift": people.lifts,
            }
        )

    def _by_block(self, day: float, horizon_days: int, answer: Answer, *, in_money: bool = False) -> Floats:
        answers = np.where(self.people.born < day, 0.0, np.nan)
        alive = np.flatnonzero(self.is_alive(day))
        for start in range(0, len(alive), _BLOCK_CUSTOMERS):
            rows = alive[start : start + _BLOCK_CUSTOMERS]
            daily = self._daily_orders(rows, day, horizon_days, in_money=in_money)
            answers[rows] = answer(daily, self.people.death_rates[rows])
        return answers

    def _daily_orders(self, rows: Ints, day: float, horizon_days: int, *, in_money: bool) -> Floats:
        """Return expected orders a day of those who stay, customers × days; discounted if in money."""
        days = day + np.arange(horizon_days + 1, dtype=np.float64)
        daily = self.people.rates[rows][:, None] * np.diff(self.season.until(days))
        paid = 1.0 - OFFER_DISCOUNT_SHARE if in_money else 1.0
        for campaign, begin in enumerate(self.spec.campaign_starts_days()):
            running = (days[:-1] >= begin) & (days[:-1] < begin + self.spec.campaign_days)
            offered = self.people.offered[rows, campaign]
            during = np.where(offered, (1.0 + self.people.lifts[rows]) * paid, 1.0)
            daily[:, running] *= during[:, None]
        return np.asarray(daily)


def _probability(daily_orders: Floats, death_rates: Floats) -> Floats:
    horizon_days = daily_orders.shape[1]
    edges = np.exp(-death_rates[:, None] * np.arange(horizon_days + 1))
    so_far = np.cumsum(daily_orders, axis=1)
    middle = so_far - daily_orders / 2
    silent = ((edges[:, :-1] - edges[:, 1:]) * np.exp(-middle)).sum(axis=1)
    return np.asarray(1.0 - silent - edges[:, -1] * np.exp(-so_far[:, -1]))


def _expected(daily_orders: Floats, death_rates: Floats) -> Floats:
    middle = np.arange(daily_orders.shape[1]) + 0.5
    return np.asarray((daily_orders * np.exp(-death_rates[:, None] * middle)).sum(axis=1))
