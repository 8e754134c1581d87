"""How a shop's sales are spread over its customers: the top 20 %, the Lorenz curve, the Gini coefficient.

Sales are the money so far of each customer, on the shop's basis. **Whoever gave back more than they bought
counts as a customer who brought nothing**, as in `features.high_value`: a share of a sum with negative parts
is none. How many they are and how much they took stands beside it, so that the sum can be told from the
shop's own.

    Lorenz curve   L(p): the share of the sales that the p of the customers with the least sales make
    Gini           1 − 2 × the area under it (Gini 1914): 0 where all bring the same, near 1 where one does
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from features.customer_totals import read_customer_totals
from features.history import MONEY_SCALE, History
from features.settings import Settings
from features.snapshot import Snapshot

TOP_SHARES: Final = (0.01, 0.05, 0.10, 0.20, 0.50)
POINTS_MAX: Final = 101
_DIGITS = 9

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TopShare:
    """The customers with the most sales: `customer_share` of all, rounded up to whole ones.

    `revenue_share` is None where there are no sales, or fewer than one customer in so small a share.
    """

    customer_share: float
    customer_count: int
    revenue_share: float | None


@dataclass(frozen=True, slots=True)
class Concentration:
    """How sales are spread, in major units; `dataclasses.asdict` gives plain values.

    `revenue`    sum over the customers who brought more than they took; the whole of every share
    `negative_count`, `negative_revenue`   those who took more, and how much (0 or less)
    `lorenz`     at most 101 points (share of the customers from the least up, share of the sales) from (0, 0)
                 to (1, 1); empty where there are no sales, as `gini` is None there
    """

    customer_count: int
    revenue: float
    negative_count: int
    negative_revenue: float
    tops: tuple[TopShare, ...]
    lorenz: tuple[tuple[float, float], ...]
    gini: float | None


def read_concentration(history: History, snapshot: Snapshot, *, settings: Settings) -> Concentration:
    """Measure how a shop's sales so far are spread over everybody who had ordered before a snapshot."""
    totals = read_customer_totals(history, snapshot, settings=settings)
    return measure_concentration(totals.customers["spend_total"])


def measure_concentration(revenues: pl.Series, *, tops: Sequence[float] = TOP_SHARES) -> Concentration:
    """Measure how the revenues of customers (major units, one each) are spread.

    >>> measure_concentration(pl.Series([50.0, 30.0, 10.0, 10.0, 0.0])).tops[3].revenue_share
    0.5
    """
    minor = np.sort(np.round(revenues.cast(pl.Float64).to_numpy() * MONEY_SCALE)).astype(np.int64)
    brought = np.maximum(minor, 0)
    sums = np.concatenate([np.zeros(1, np.int64), np.cumsum(brought)])
    return Concentration(
        customer_count=len(minor),
        revenue=int(sums[-1]) / MONEY_SCALE,
        negative_count=int((minor < 0).sum()),
        negative_revenue=int(np.minimum(minor, 0).sum()) / MONEY_SCALE,
        tops=tuple(_top(sums, share) for share in tops),
        lorenz=_lorenz(sums),
        gini=_gini(sums),
    )


def _top(sums: Ints, share: float) -> TopShare:
    """Read a top share off the running sums from the least customer up (the first is 0)."""
    customers, revenue = len(sums) - 1, int(sums[-1])
    wanted = share * customers
    if wanted < 1:
        return TopShare(share, 0, None)
    # A rounding error of the product is no customer.
    count = ceil(wanted - 1e-9)
    brought = revenue - int(sums[customers - count])
    return TopShare(share, count, round(brought / revenue, _DIGITS) if revenue else None)


def _lorenz(sums: Ints) -> tuple[tuple[float, float], ...]:
    """Return the curve itself at up to 101 points; between customers it is a straight line."""
    customers, revenue = len(sums) - 1, int(sums[-1])
    if not revenue:
        return ()
    places = np.linspace(0.0, customers, min(customers + 1, POINTS_MAX))
    shares = np.interp(places, np.arange(customers + 1), sums / revenue)
    return tuple(
        (round(float(place), _DIGITS), round(float(share), _DIGITS))
        for place, share in zip(places / customers, shares, strict=True)
    )


def _gini(sums: Ints) -> float | None:
    customers, revenue = len(sums) - 1, int(sums[-1])
    if not revenue:
        return None
    # The area under a line through every customer, by trapezes.
    area = (float(sums.sum(dtype=np.float64)) - revenue / 2) / (customers * revenue)
    return round(1.0 - 2.0 * area, _DIGITS)
