"""The profit of contacting customers who may leave: whom, how many, and what is expected to come of it.

The formula is that of Neslin, Gupta, Kamakura, Lu and Mason, "Defection Detection: Measuring and
Understanding the Predictive Accuracy of Customer Churn Models", Journal of Marketing Research 43(2), 2006,
204-211, for one customer, and with a share of the loyal who redeem where the paper lets all of them. With

    p  churn probability within the horizon     m  gross margin share, of the spend
    s  spend within it, if they order           d  offer cost, paid for each offer that is redeemed
    g  response: share of would-be leavers      c  contact cost, paid for everybody who is contacted
       who stay because of the contact          r  share of the loyal who redeem the offer anyway

the expected profit of a contact, against leaving the customer alone, is

    profit = p g (m s - d) - (1 - p) r d - c

A would-be leaver who stays brings the margin and redeems the offer; one who leaves costs the contact alone; a
loyal customer would have come anyway, so the offer that they redeem is lost. It is above 0 for

    p > (r d + c) / (g (m s - d) + r d)        the break-even churn probability

where that is below 1; where m s <= d a contact never pays.

The interval is of the normal distribution with the mean and the variance of the total (law of total
variance): g is drawn once for all of them, around its mean, with the spread of its own interval to either
side; given g, customers leave, stay, redeem and spend
independently of each other. Nothing is simulated, so equal input gives equal digits. That the
probabilities or the expected spend are wrong for everybody at once is not in it.
"""

from collections.abc import Iterable, Sequence
from itertools import accumulate
from math import fsum, inf, sqrt
from operator import add, mul
from typing import Final, Literal, NamedTuple, Self

from features.campaign import TAIL_Z, Campaign, Prospect

POINTS_MAX: Final = 200

CostBand = Literal["high", "medium", "low"]


class Point(NamedTuple):
    """What is expected of contacting the first `contact_count`; profit with its 80 % interval.

    `hits` are would-be leavers, `false_alarms` who would have come anyway, `cost` contacts and offers. The
    last one has a churn probability of `churn_probability` (None of nobody).
    """

    contact_count: int
    profit: float
    profit_low: float
    profit_high: float
    hits: float
    false_alarms: float
    cost: float
    churn_probability: float | None


class Plan(NamedTuple):
    """Whom to contact: the first `best.contact_count` of `customer_ids`, which may be nobody.

    `curve` goes from nobody to everybody in at most `POINTS_MAX` points, `best` among them. `bands` counts
    customers by `cost_band`.
    """

    customer_ids: Sequence[str]
    best: Point
    curve: Sequence[Point]
    bands: dict[CostBand, int]


class Worth(NamedTuple):
    """The expected profit of contacting a customer, and what the plan goes by: more comes first."""

    profit: float
    rank: float


def contact_worths(prospects: Sequence[Prospect], campaign: Campaign) -> list[Worth]:
    """Return what each contact is worth: the rank is the profit, with a budget for each unit of money."""
    columns = _Columns.of(prospects, campaign)
    profits = columns.profits(campaign, campaign.response_share)
    ranks = profits if campaign.budget is None else _returns(profits, columns.costs(campaign))
    return list(map(Worth, profits, ranks))


def contact_profit(prospect: Prospect, campaign: Campaign) -> float:
    """Return the expected profit of contacting a customer, against leaving them alone.

    >>> campaign = Campaign(margin_share=0.5, offer_cost=10.0, contact_cost=1.0, response_share=0.1)
    >>> round(contact_profit(Prospect("c", 0.9, 200.0, 100.0, 300.0), campaign), 9)
    6.1
    """
    return _Columns.of([prospect], campaign).profits(campaign, campaign.response_share)[0]


def break_even_probability(spend: float, campaign: Campaign) -> float | None:
    """Return the churn probability from which a contact pays; None where it never does.

    >>> campaign = Campaign(margin_share=0.5, offer_cost=10.0, contact_cost=1.0, response_share=0.1)
    >>> round(break_even_probability(200.0, campaign), 9)  # (10 + 1) / (0.1 * (100 - 10) + 10)
    0.578947368
    """
    wasted = campaign.loyal_redeem_share * campaign.offer_cost
    won = campaign.response_share * (campaign.margin_share * spend - campaign.offer_cost)
    if won <= 0.0 or wasted + campaign.contact_cost >= won + wasted:
        return None
    return (wasted + campaign.contact_cost) / (won + wasted)


def cost_band(prospect: Prospect, campaign: Campaign) -> CostBand:
    """Return the band of a customer by what a contact costs and brings, not by fixed probabilities.

    high: it pays even at `response_low`; medium: at `response_share`; low: it does not pay.
    """
    columns = _Columns.of([prospect], campaign)
    (profit,) = columns.profits(campaign, campaign.response_share)
    (at_least,) = columns.profits(campaign, campaign.response_low)
    return _band(profit, at_least)


def plan_contacts(prospects: Iterable[Prospect], campaign: Campaign) -> Plan:
    """Return whom to contact, with the curve over how many.

    Customers come by expected profit, the highest first; with a budget by expected profit for each unit of
    money (Dantzig 1957: the best filling of a budget, but for the last customer). Ties go by id. The plan
    takes all whose profit is above 0, as far as the budget reaches.
    """
    known = sorted(prospects)
    columns = _Columns.of(known, campaign)
    profits = columns.profits(campaign, campaign.response_share)
    at_least = columns.profits(campaign, campaign.response_low)
    costs = None if campaign.budget is None else columns.costs(campaign)
    ranks = profits if costs is None else _returns(profits, costs)
    order = sorted(range(len(known)), key=ranks.__getitem__, reverse=True)
    best_count = _affordable(profits, costs, order, campaign.budget)
    curve = _curve(columns.picked(order), campaign, _counts(len(known), best_count))
    best = next(point for point in curve if point.contact_count == best_count)
    return Plan([known[i][0] for i in order], best, curve, _bands(profits, at_least))


class _Columns(NamedTuple):
    """What the sums are made of, a value a customer.

    `brought` is m s - d, `won` p brought, `lost` (1 - p) r d, and `ranges` how wide the spend's interval is.
    """

    churn: Sequence[float]
    brought: Sequence[float]
    won: Sequence[float]
    lost: Sequence[float]
    ranges: Sequence[float]

    @classmethod
    def of(cls, prospects: Sequence[Prospect], campaign: Campaign) -> Self:
        margin, offer = campaign.margin_share, campaign.offer_cost
        redeemed = campaign.loyal_redeem_share * offer
        churn = [prospect[1] for prospect in prospects]
        brought = [margin * prospect[2] - offer for prospect in prospects]
        return cls(
            churn,
            brought,
            list(map(mul, churn, brought)),
            [(1.0 - p) * redeemed for p in churn],
            [high - low for _, _, _, low, high in prospects],
        )

    def profits(self, campaign: Campaign, response: float) -> list[float]:
        contact = campaign.contact_cost
        return [response * won - lost - contact for won, lost in zip(self.won, self.lost, strict=True)]

    def costs(self, campaign: Campaign) -> list[float]:
        contact, redeemed = campaign.contact_cost, campaign.response_share * campaign.offer_cost
        return [contact + p * redeemed + lost for p, lost in zip(self.churn, self.lost, strict=True)]

    def picked(self, order: Sequence[int]) -> "_Columns":
        return _Columns(*(list(map(column.__getitem__, order)) for column in self))

    def part(self, start: int, end: int) -> "_Columns":
        return _Columns(*(column[start:end] for column in self))


def _returns(profits: Sequence[float], costs: Sequence[float]) -> list[float]:
    # What costs nothing comes first where it brings anything, and last where it does not.
    return [
        profit / cost if cost else (inf if profit > 0.0 else -inf)
        for profit, cost in zip(profits, costs, strict=True)
    ]


def _band(profit: float, profit_at_least: float) -> CostBand:
    if profit <= 0.0:
        return "low"
    return "high" if profit_at_least > 0.0 else "medium"


def _bands(profits: Sequence[float], at_least: Sequence[float]) -> dict[CostBand, int]:
    """Count customers by band; a contact that pays at the low response pays at the usual one."""
    sure, paying = (sum(map((0.0).__lt__, values)) for values in (at_least, profits))
    return {"high": sure, "medium": paying - sure, "low": len(profits) - paying}


def _affordable(
    profits: Sequence[float], costs: Sequence[float] | None, order: Sequence[int], budget: float | None
) -> int:
    """Return how many of the first customers pay, and fit into the budget together."""
    if costs is None or budget is None:
        return sum(map((0.0).__lt__, profits))
    count = 0
    for i, spent in zip(order, accumulate(costs[i] for i in order), strict=True):
        if profits[i] <= 0.0 or spent > budget:
            break
        count += 1
    return count


def _counts(total: int, best_count: int) -> list[int]:
    steps = min(total, POINTS_MAX - 2)
    return sorted({0, best_count, *(round(total * step / steps) for step in range(1, steps + 1))})


class _Sums(NamedTuple):
    """Sums over contacted customers; `won` is p (m s - d), `lost` (1 - p) r d, and so on (see `_point`)."""

    churners: float
    won: float
    lost: float
    won_squares: float
    lost_squares: float
    won_of_each: float
    both_of_each: float
    lost_of_each: float


def _curve(ranked: _Columns, campaign: Campaign, counts: Sequence[int]) -> list[Point]:
    """Return the points at some counts, from sums over the customers between them."""
    points, totals, start = list[Point](), _Sums(*([0.0] * len(_Sums._fields))), 0
    for count in counts:
        added = _sums(ranked.part(start, count), campaign)
        totals = _Sums(*map(add, totals, added))
        points.append(_point(totals, campaign, count, ranked.churn[count - 1] if count else None))
        start = count
    return points


def _sums(part: _Columns, campaign: Campaign) -> _Sums:
    churn, brought, won, lost, ranges = part
    # Turns the square of an interval's width into the variance of the margin on the spend.
    scale = (campaign.margin_share / (2.0 * TAIL_Z)) ** 2
    lost_sum = fsum(lost)
    return _Sums(
        fsum(churn),
        fsum(won),
        lost_sum,
        fsum(map(mul, won, brought)) + scale * fsum(p * r * r for p, r in zip(churn, ranges, strict=True)),
        lost_sum * campaign.offer_cost,
        fsum(map(mul, won, won)),
        fsum(map(mul, won, lost)),
        fsum(map(mul, lost, lost)),
    )


def _point(sums: _Sums, campaign: Campaign, count: int, last: float | None) -> Point:
    """Return the mean and the interval of the profit of `count` contacts.

    Given g, one customer's profit but for c is X with E[X] = g won - lost and E[X^2] = g won_squares +
    lost_squares, so their variances add up to the first line, in which E[g^2] = g^2 + spread^2. All of them
    share g: that adds (spread x won)^2. Each end has the spread of g on its own side.
    """
    g, offer = campaign.response_share, campaign.offer_cost
    down, up = campaign.response_spreads
    # Where an offer costs more than it brings, it is the higher response that loses money.
    worse, better = (down, up) if sums.won >= 0.0 else (up, down)
    profit = g * sums.won - sums.lost - campaign.contact_cost * count
    low, high = profit - _reach(sums, g, worse), profit + _reach(sums, g, better)
    cost = campaign.contact_cost * count + offer * g * sums.churners + sums.lost
    hits = sums.churners
    # 0.0 - 0.0 and not -0.0, which would be shown.
    return Point(count, profit + 0.0, low + 0.0, high + 0.0, hits, count - hits, cost, last)


def _reach(sums: _Sums, g: float, spread: float) -> float:
    """Return how far the interval reaches from the mean to the side where g has that spread."""
    means = (g * g + spread * spread) * sums.won_of_each - 2.0 * g * sums.both_of_each + sums.lost_of_each
    variance = max(g * sums.won_squares + sums.lost_squares - means, 0.0) + (spread * sums.won) ** 2
    return TAIL_Z * sqrt(variance)
