"""The formula CLV of a group of customers: average order value × purchase frequency × lifespan.

All within one window (a year by default) before the snapshot, as a shop would do it in a spreadsheet
(Shopify 2021, "How to calculate customer lifetime value"):

    average order value   revenue ÷ orders
    purchase frequency    orders ÷ customers who ordered in the window
    customer value        average order value × purchase frequency
    CLV                   customer value × lifespan, the lifespan counted in windows

**Lifespan.** Of those who ordered in one window, the share r ordered again in the next. Where that share
stays the same, a customer lasts 1 + r + r² + … = 1 ÷ (1 − r) windows. r is counted over all pairs of whole
windows that the history holds, so it needs two of them and two years; a younger shop gets the default of 3
years, and says so. The lifespan is the shop's, not the group's: whoever stands in a group because of a recent
order has come back by definition, and the share that did would say nothing.

It supposes that everybody goes on as the window was: it knows no trend, no season and no habit of one's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import narwhals as nw

from features.customer_totals import PeriodReturns
from features.history import MONEY_SCALE

Frame = nw.LazyFrame[Any]

YEAR_DAYS: Final = 365
TOTAL: Final = "all customers"
# Fewer customers say too little of a share, and nobody has watched customers for longer than this.
_BUYER_COUNT_MIN = 30
_YEARS_MIN = 2
_LIFESPAN_YEARS_MAX = 10.0


@dataclass(frozen=True, slots=True)
class Lifespan:
    """How long a customer lasts, in years of 365 days, where that comes from, and the grounds in words."""

    years: float
    source: Literal["default", "estimated"]
    grounds: str


@dataclass(frozen=True, slots=True)
class FormulaClv:
    """One group's numbers; every ratio is None where nobody ordered within the window.

    `customer_count` are all members of the group, `buyer_count` those with an order within the window;
    `revenue` is on the shop's basis, in major units.
    """

    segment: str
    customer_count: int
    buyer_count: int
    order_count: int
    revenue: float
    lifespan: Lifespan
    window_days: int

    @property
    def average_order_value(self) -> float | None:
        """Revenue ÷ orders."""
        return self.revenue / self.order_count if self.order_count else None

    @property
    def purchase_frequency(self) -> float | None:
        """Orders ÷ customers who ordered."""
        return self.order_count / self.buyer_count if self.buyer_count else None

    @property
    def customer_value(self) -> float | None:
        """Average order value × purchase frequency: the money of a customer in a window."""
        value, frequency = self.average_order_value, self.purchase_frequency
        return None if value is None or frequency is None else value * frequency

    @property
    def clv(self) -> float | None:
        """Customer value × lifespan in windows."""
        value = self.customer_value
        return None if value is None else value * self.lifespan.years * YEAR_DAYS / self.window_days


def estimate_lifespan(returns: PeriodReturns, *, default_days: int) -> Lifespan:
    """Estimate how long customers last from who came back, or return the default where too little is known.

    >>> estimate_lifespan(PeriodReturns(365, buyer_count=400, returned_count=300, history_days=800),
    ...                   default_days=1095).years
    4.0
    """
    default_years = default_days / YEAR_DAYS
    if returns.history_days < _YEARS_MIN * YEAR_DAYS:
        grounds = f"{returns.history_days} days of orders are less than {_YEARS_MIN} years"
        return Lifespan(default_years, "default", grounds)
    if returns.buyer_count < _BUYER_COUNT_MIN:
        grounds = f"only {returns.buyer_count} customers were seen from one period to the next"
        return Lifespan(default_years, "default", grounds)
    share = returns.returned_count / returns.buyer_count
    period_years = returns.period_days / YEAR_DAYS
    gone_count = returns.buyer_count - returns.returned_count
    years = period_years * returns.buyer_count / gone_count if gone_count else _LIFESPAN_YEARS_MAX
    grounds = (
        f"{returns.returned_count:,} of {returns.buyer_count:,} who ordered within {returns.period_days} "
        f"days ordered again within the next {returns.period_days}, so 1 ÷ (1 − {share:.3f}) such periods"
    )
    if years >= _LIFESPAN_YEARS_MAX:
        grounds += f", held at {_LIFESPAN_YEARS_MAX:g} years"
    return Lifespan(min(years, _LIFESPAN_YEARS_MAX), "estimated", grounds)


def formula_clv(
    customers: Frame, *, segments: Sequence[str], lifespan: Lifespan, window_days: int
) -> list[FormulaClv]:
    """Return the formula's numbers of every segment in the order given, and of all customers at the end.

    `customers` has `rfm_segment`, `order_count_in_window` and `spend_in_window` (`features.rfm`,
    `features.customer_totals`). A segment without customers has zeros.
    """
    orders = nw.col("order_count_in_window")
    money = (nw.col("spend_in_window") * MONEY_SCALE + 0.5).floor().cast(nw.Int64)
    totals = customers.group_by("rfm_segment").agg(
        nw.len().alias("customer_count"),
        nw.when(orders > 0).then(nw.lit(1)).otherwise(nw.lit(0)).sum().alias("buyer_count"),
        orders.sum().alias("order_count"),
        money.sum().alias("money"),
    )
    rows = totals.collect("polars").to_native().iter_rows()
    found = {name: tuple(int(count) for count in counts) for name, *counts in rows}
    table = [(name, found.get(name, (0, 0, 0, 0))) for name in segments]
    everybody = tuple(map(sum, zip(*(counts for _, counts in table), strict=True)))
    return [
        FormulaClv(name, counts[0], counts[1], counts[2], counts[3] / MONEY_SCALE, lifespan, window_days)
        for name, counts in [*table, (TOTAL, everybody)]
    ]
