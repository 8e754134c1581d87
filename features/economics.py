"""What a customer may cost: acquisition cost, CLV against it, return, pay-back, bids. Plain arithmetic.

The words are the trade's (Shopify 2021, "How to calculate customer lifetime value"; Jetpack CRM, "Customer
lifetime value"), the contradictions among them settled:

    CAC               marketing and sales spend of a period ÷ customers who were new in it
    LTV:CAC           CLV ÷ CAC; 3 to 1 and above counts as good
    ROI               CLV − CAC, money a customer; the ratio of it to CAC stands beside it under its own name
    break-even bid    CLV × conversion rate: what a click may cost until nothing is left
    target bid        CLV ÷ target ratio × conversion rate: what it may cost where LTV:CAC is to be the target
    pay-back          months until the margin of a customer has paid for winning them, at an even pace

All CLV must be on the margin basis for ROI and bids to mean profit; on another basis they mean money taken.
"""

from dataclasses import dataclass
from typing import Final

GOOD_RATIO: Final = 3.0
"""LTV:CAC from which a channel counts as good."""
_MONTHS_A_YEAR: Final = 12
_DAYS_A_YEAR: Final = 365


@dataclass(frozen=True, slots=True)
class Economics:
    """What follows from a CLV and what it costs to win a customer; money in major units a customer.

    Everything that needs a cost is None without one, everything that needs a conversion rate without that.
    `is_good` says whether LTV:CAC reaches the target; `payback_months` is None also where the money of
    `clv_horizon_days` never pays for it.
    """

    clv: float
    cac: float | None
    ltv_to_cac: float | None
    is_good: bool | None
    roi: float | None
    roi_ratio: float | None
    break_even_bid: float | None
    target_bid: float | None
    payback_months: float | None
    break_even_cac: float
    target_cac: float


def acquisition_cost(spend: float, new_customer_count: int) -> float | None:
    """Return spend ÷ new customers, None where nobody was won.

    >>> acquisition_cost(15_000, 100), acquisition_cost(15_000, 0)
    (150.0, None)
    """
    return spend / new_customer_count if new_customer_count else None


def economics(
    clv: float,
    *,
    cac: float | None = None,
    conversion_rate: float | None = None,
    target_ratio: float = GOOD_RATIO,
    clv_horizon_days: int = _DAYS_A_YEAR,
) -> Economics:
    """Return what a CLV allows; `conversion_rate` is customers won ÷ clicks, in (0, 1].

    >>> found = economics(100.0, conversion_rate=0.1)
    >>> found.break_even_bid, round(found.target_bid, 2)
    (10.0, 3.33)
    >>> economics(600.0, cac=100.0).ltv_to_cac
    6.0
    """
    bid = None if conversion_rate is None else clv * conversion_rate
    is_costed = cac is not None and cac > 0
    ratio = clv / cac if cac is not None and is_costed else None
    return Economics(
        clv=clv,
        cac=cac,
        ltv_to_cac=ratio,
        is_good=None if ratio is None else ratio >= target_ratio,
        roi=None if cac is None else clv - cac,
        roi_ratio=(clv - cac) / cac if cac is not None and is_costed else None,
        break_even_bid=bid,
        target_bid=None if bid is None else bid / target_ratio,
        payback_months=payback_months(clv, cac=cac, clv_horizon_days=clv_horizon_days),
        break_even_cac=clv,
        target_cac=clv / target_ratio,
    )


def payback_months(clv: float, *, cac: float | None, clv_horizon_days: int) -> float | None:
    """Return the months until CLV, coming in evenly over its horizon, equals the cost; None if never.

    >>> payback_months(120.0, cac=30.0, clv_horizon_days=365)
    3.0
    >>> payback_months(20.0, cac=30.0, clv_horizon_days=365) is None
    True
    """
    if cac is None or clv < cac:
        return None
    if cac <= 0:
        return 0.0
    return cac / clv * clv_horizon_days * _MONTHS_A_YEAR / _DAYS_A_YEAR
