"""The profit of contacting, against sums made by hand, and what must hold for every shop."""

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.campaign import Campaign, CampaignError, Prospect
from features.profit import POINTS_MAX, break_even_probability, contact_profit, cost_band, plan_contacts
from features.profit_example import example_text

CAMPAIGN = Campaign(margin_share=0.5, offer_cost=10.0, contact_cost=1.0, response_share=0.1)


def prospect(name: str, churn: float, spend: float, spread: float = 0.0) -> Prospect:
    return Prospect(name, churn, spend, spend - spread, spend + spread)


# 1  0.9 · 0.1 · (0.5 · 200 − 10) − 0.1 · 10 − 1 =  8.1 − 1 − 1 =  6.1
# 2  0.5 · 0.1 · (0.5 · 200 − 10) − 0.5 · 10 − 1 =  4.5 − 5 − 1 = −1.5
# 3  0.9 · 0.1 · (0.5 ·  10 − 10) − 0.1 · 10 − 1 = −0.45 − 1 − 1 = −2.45
# 4  1.0 · 0.1 · (0.5 · 420 − 10) − 0.0 · 10 − 1 = 20 − 0 − 1    = 19
FOUR = [
    prospect("1", 0.9, 200.0),
    prospect("2", 0.5, 200.0),
    prospect("3", 0.9, 10.0),
    prospect("4", 1.0, 420.0),
]


def test_profits_and_the_order_as_by_hand() -> None:
    assert [round(contact_profit(each, CAMPAIGN), 9) for each in FOUR] == [6.1, -1.5, -2.45, 19.0]
    plan = plan_contacts(FOUR, CAMPAIGN)
    assert plan.customer_ids == ["4", "1", "2", "3"]
    assert [point.contact_count for point in plan.curve] == [0, 1, 2, 3, 4]
    assert [round(point.profit, 9) for point in plan.curve] == [0.0, 19.0, 25.1, 23.6, 21.15]
    best = plan.best
    assert (best.contact_count, best.churn_probability) == (2, 0.9)
    # Reached: one sure leaver and nine tenths of one. Offers: 0.1 · 1.9 and 0.1 of a loyal one; two contacts.
    assert [round(each, 9) for each in (best.hits, best.false_alarms, best.cost)] == [1.9, 0.1, 4.9]


def test_the_break_even_probability_is_where_the_profit_is_nought() -> None:
    # (10 + 1) / (0.1 · (100 − 10) + 10) = 11 / 19
    at = break_even_probability(200.0, CAMPAIGN)
    assert at == pytest.approx(11 / 19)
    assert contact_profit(prospect("c", 11 / 19, 200.0), CAMPAIGN) == pytest.approx(0.0, abs=1e-12)
    # Nobody loyal redeems: (0 + 1) / (0.1 · 90).
    own = Campaign(margin_share=0.5, offer_cost=10.0, contact_cost=1.0, loyal_redeem_share=0.0)
    assert break_even_probability(200.0, own) == pytest.approx(1 / 9)


def test_some_never_pay_whoever_leaves() -> None:
    assert break_even_probability(20.0, CAMPAIGN) is None  # the margin is the offer
    assert break_even_probability(38.0, CAMPAIGN) is None  # 0.1 · (19 − 10) < the contact's 1
    assert break_even_probability(0.0, Campaign(margin_share=0.0)) is None
    assert break_even_probability(50.0, Campaign(margin_share=0.5)) == 0.0


def test_the_interval_of_one_sure_leaver_is_that_of_one_draw() -> None:
    # Known response g = 0.1, margin 100 − 0: 100 with probability 0.1. Variance 0.1 · 100² − 10² = 900.
    known = Campaign(margin_share=0.5, response_share=0.1, response_low=0.1, response_high=0.1)
    best = plan_contacts([prospect("c", 1.0, 200.0)], known).best
    assert best.profit == pytest.approx(10.0)
    assert best.profit_high - best.profit == pytest.approx(1.2815515655 * 30.0)
    # The spend is spread too, by a standard deviation of 0.5 · 10: 0.1 · (100² + 25) − 10² = 902.5.
    wide = plan_contacts([prospect("c", 1.0, 200.0, spread=12.815515655)], known).best
    assert best.profit - wide.profit_low == pytest.approx(1.2815515655 * 902.5**0.5)


def test_an_uncertain_response_is_shared_by_all() -> None:
    # g = 0.1 with a standard deviation of 0.05, two sure leavers of 100: won 200, all squares 20,000.
    # 0.1 · 20,000 − (0.01 + 0.0025) · 20,000 + (0.05 · 200)² = 2,000 − 250 + 100 = 1,850
    reach = 0.05 * 1.2815515655446
    unsure = Campaign(
        margin_share=0.5, response_share=0.1, response_low=0.1 - reach, response_high=0.1 + reach
    )
    best = plan_contacts([prospect("a", 1.0, 200.0), prospect("b", 1.0, 200.0)], unsure).best
    assert best.profit_high - best.profit == pytest.approx(1.2815515655 * 1850.0**0.5)


def test_a_response_of_all_reaches_no_further_than_all() -> None:
    # One sure leaver of 100, kept for sure or, at the low end, every second time: never more than 100.
    sure = Campaign(margin_share=0.5, response_share=1.0, response_low=0.5, response_high=1.0)
    best = plan_contacts([prospect("c", 1.0, 200.0)], sure).best
    assert (best.profit, best.profit_high) == pytest.approx((100.0, 100.0))
    assert best.profit_low == pytest.approx(50.0)


def test_where_the_offer_costs_more_than_it_brings_a_higher_response_is_the_lower_end() -> None:
    # m s - d = 50 - 80: at g = 0 nothing is lost, at the high end of 0.5 half of 30.
    dear = Campaign(
        margin_share=0.5, offer_cost=80.0, response_share=0.0, response_low=0.0, response_high=0.5
    )
    everybody = plan_contacts([prospect("c", 1.0, 100.0)], dear).curve[-1]
    assert (everybody.profit, everybody.profit_high) == pytest.approx((0.0, 0.0))
    assert everybody.profit_low == pytest.approx(-15.0)


def test_the_interval_covers_what_a_simulation_of_the_stated_process_brings() -> None:
    draw = random.Random(6)
    shop = [prospect(str(n), draw.random(), draw.uniform(50, 400), spread=30.0) for n in range(300)]
    best = plan_contacts(shop, CAMPAIGN).best
    chosen = {each.customer_id: each for each in shop}
    ids = plan_contacts(shop, CAMPAIGN).customer_ids[: best.contact_count]
    totals = [_simulated([chosen[each] for each in ids], CAMPAIGN, draw) for _ in range(2_000)]
    inside = sum(best.profit_low <= total <= best.profit_high for total in totals) / len(totals)
    assert 0.77 < inside < 0.83
    assert sum(totals) / len(totals) == pytest.approx(best.profit, rel=0.05)


def _simulated(shop: list[Prospect], campaign: Campaign, draw: random.Random) -> float:
    response, total = draw.gauss(campaign.response_share, campaign.response_spreads[0]), 0.0
    for each in shop:
        total -= campaign.contact_cost
        if draw.random() < each.churn_probability:
            if draw.random() < response:
                spend = draw.gauss(each.spend, 30.0 / 1.2815515655)
                total += campaign.margin_share * spend - campaign.offer_cost
        elif draw.random() < campaign.loyal_redeem_share:
            total -= campaign.offer_cost
    return total


def test_nobody_is_an_answer() -> None:
    plan = plan_contacts([prospect("2", 0.5, 200.0)], CAMPAIGN)
    assert (plan.best.contact_count, plan.best.profit, plan.best.churn_probability) == (0, 0.0, None)
    empty = plan_contacts([], CAMPAIGN)
    assert (empty.customer_ids, len(empty.curve), empty.best.cost) == ([], 1, 0.0)


def test_bands_are_by_cost() -> None:
    # At the low response of 0.05, number 1 brings 0.9 · 0.05 · 90 − 1 − 1 = 2.05, number 4 brings 9.
    between = prospect("5", 0.7, 200.0)  # 0.7 · 0.1 · 90 − 3 − 1 = 2.3, and 3.15 − 4 = −0.85 at 0.05
    assert [cost_band(each, CAMPAIGN) for each in (*FOUR, between)] == [
        "high",
        "low",
        "low",
        "high",
        "medium",
    ]
    assert plan_contacts([*FOUR, between], CAMPAIGN).bands == {"high": 2, "medium": 1, "low": 2}


def test_a_budget_goes_to_whoever_brings_most_for_it() -> None:
    # Each costs 1 + 10 · (0.1 p + 1 − p): 2 for number 4; 2.9 for number 1. Per unit 9.5 and 2.1.
    tight = Campaign(margin_share=0.5, offer_cost=10.0, contact_cost=1.0, budget=4.0)
    plan = plan_contacts(FOUR, tight)
    assert (plan.customer_ids[0], plan.best.contact_count, plan.best.cost) == ("4", 1, 2.0)
    none = Campaign(margin_share=0.5, offer_cost=10.0, contact_cost=1.0, budget=0.0)
    assert plan_contacts(FOUR, none).best.contact_count == 0


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"margin_share": 1.1}, "margin_share"),
        ({"response_share": float("nan")}, "response_share"),
        ({"offer_cost": -1.0}, "offer_cost"),
        ({"contact_cost": float("inf")}, "contact_cost"),
        ({"response_share": 0.3}, "response_low to response_high"),
    ],
)
def test_a_figure_out_of_range_is_named(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(CampaignError, match=named):
        Campaign(**({"margin_share": 0.5} | wrong))


SHARES = st.floats(0.0, 1.0)
MONEY = st.floats(0.0, 1e5)
PROSPECTS = st.lists(
    st.builds(prospect, st.uuids().map(str), SHARES, st.floats(-1e5, 1e6), MONEY),
    max_size=30,
    unique_by=lambda each: each.customer_id,
)
CAMPAIGNS = st.builds(
    Campaign,
    margin_share=SHARES,
    offer_cost=MONEY,
    contact_cost=MONEY,
    response_low=st.just(0.0),
    response_share=SHARES,
    response_high=st.just(1.0),
    loyal_redeem_share=SHARES,
    budget=st.none() | MONEY,
)


@given(PROSPECTS, CAMPAIGNS, st.randoms())
def test_what_holds_for_every_shop(shop: list[Prospect], campaign: Campaign, mix: random.Random) -> None:
    plan = plan_contacts(shop, campaign)
    assert plan.curve[0][:7] == (0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    assert plan.best.profit >= 0.0
    assert plan.curve[-1].contact_count == len(shop) == sum(plan.bands.values())
    if campaign.budget is not None:
        assert plan.best.cost <= campaign.budget * (1 + 1e-9)
    else:
        most = max(point.profit for point in plan.curve)
        assert plan.best.profit >= most - 1e-9 * max(1.0, abs(most))
    assert all(point.profit_low <= point.profit <= point.profit_high for point in plan.curve)
    again = shop.copy()
    mix.shuffle(again)
    assert plan_contacts(again, campaign) == plan


@given(PROSPECTS.filter(lambda shop: all(each.spend >= 0 for each in shop)), MONEY, MONEY, SHARES, SHARES)
def test_more_margin_never_lowers_profit(
    shop: list[Prospect], offer: float, contact: float, one: float, other: float
) -> None:
    less, more = (
        plan_contacts(shop, Campaign(margin_share=margin, offer_cost=offer, contact_cost=contact)).best.profit
        for margin in sorted((one, other))
    )
    assert more >= less - 1e-9 * max(1.0, less)


def test_the_curve_of_many_has_few_points_and_the_best_among_them() -> None:
    shop = [prospect(f"{n:05}", n / 5_000, 150.0 + n % 7) for n in range(5_000)]
    plan = plan_contacts(shop, CAMPAIGN)
    assert len(plan.curve) <= POINTS_MAX
    assert plan.best in plan.curve
    assert 0 < plan.best.contact_count < 5_000


def test_a_plan_takes_nearly_what_an_oracle_of_leavers_and_responders_lets_a_mail_earn() -> None:
    """Where probabilities are true, no other list of the same knowledge earns more."""
    draw = random.Random(4)
    shop = [prospect(str(n), draw.random(), draw.expovariate(1 / 300)) for n in range(2_000)]
    plan = plan_contacts(shop, CAMPAIGN)
    oracle = sum(max(contact_profit(each, CAMPAIGN), 0.0) for each in shop)
    assert plan.best.profit == pytest.approx(oracle)
    by_risk = sorted(shop, key=lambda each: -each.churn_probability)[: plan.best.contact_count]
    assert plan.best.profit > 1.1 * sum(contact_profit(each, CAMPAIGN) for each in by_risk)


def test_the_page_shows_what_the_program_prints() -> None:
    page = (Path(__file__).parents[1] / "docs/profit.md").read_text(encoding="utf-8")
    assert f"```\n{example_text()}\n```" in page
