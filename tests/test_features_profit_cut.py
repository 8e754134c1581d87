"""The people of a plan, and its control group cut by the same rule, by hand."""

from features.campaign import Campaign, Prospect
from features.profit import contact_worths, plan_contacts
from features.profit_cut import cut_members

# Profit of a contact: 0.1 p (0.5 s - 10) - (1 - p) 10 - 1. Its cost: 1 + 10 (0.1 p + 1 - p).
CAMPAIGN = Campaign(margin_share=0.5, offer_cost=10.0, contact_cost=1.0, response_share=0.1)


def sure(customer_id: str, spend: float) -> Prospect:
    """Return somebody who is sure to leave: profit 0.05 s - 2, cost 2."""
    return Prospect(customer_id, 1.0, spend, spend, spend)


LISTED = [sure("a", 420.0), sure("b", 220.0), sure("c", 120.0), sure("d", 20.0)]  # 19, 9, 4, -1
HELD = [sure("v", 320.0), sure("w", 220.0), sure("x", 100.0), sure("y", 40.0)]  # 14, 9, 3, 0


def cut(listed: list[Prospect], held: list[Prospect], campaign: Campaign) -> list[tuple[str, bool]]:
    return [tuple(each) for each in cut_members(listed, held, plan_contacts(listed, campaign), campaign)]


def test_everybody_who_pays_is_within_the_cut() -> None:
    # x pays 3 and stands behind c, the last one contacted: it would have been contacted, too. y pays nothing.
    assert cut(LISTED, HELD, CAMPAIGN) == [
        ("a", False),
        ("v", True),
        ("b", False),
        ("w", True),
        ("c", False),
        ("x", True),
    ]


def test_where_the_budget_ends_the_control_group_ends_with_the_last_contact() -> None:
    # 4.0 pays for two contacts of 2.0: after b, whose return w has as well, and b comes first by id.
    short = Campaign(margin_share=0.5, offer_cost=10.0, contact_cost=1.0, response_share=0.1, budget=4.0)
    assert cut(LISTED, HELD, short) == [("a", False), ("v", True), ("b", False)]
    assert cut(LISTED, [sure("aa", 220.0)], short) == [("a", False), ("aa", True), ("b", False)]


def test_a_budget_that_is_not_spent_cuts_nobody() -> None:
    ample = Campaign(margin_share=0.5, offer_cost=10.0, contact_cost=1.0, response_share=0.1, budget=100.0)
    assert cut(LISTED, HELD, ample) == cut(LISTED, HELD, CAMPAIGN)


def test_nobody_is_compared_with_nobody() -> None:
    dear = Campaign(margin_share=0.5, offer_cost=500.0, contact_cost=1.0, response_share=0.1)
    assert cut(LISTED, HELD, dear) == []
    assert cut([], HELD, CAMPAIGN) == []
    assert cut(LISTED, [], CAMPAIGN) == [("a", False), ("b", False), ("c", False)]


def test_what_a_contact_is_worth_is_profit_and_with_a_budget_profit_for_each_unit() -> None:
    (worth,) = contact_worths([LISTED[0]], CAMPAIGN)
    assert (round(worth.profit, 9), round(worth.rank, 9)) == (19.0, 19.0)
    budget = Campaign(margin_share=0.5, offer_cost=10.0, contact_cost=1.0, response_share=0.1, budget=4.0)
    (worth,) = contact_worths([LISTED[0]], budget)
    assert (round(worth.profit, 9), round(worth.rank, 9)) == (19.0, 9.5)
