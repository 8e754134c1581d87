"""The people of a plan: whom it contacts, and who of a control group the same rule would have contacted.

What a campaign brings is told by comparing those contacted with people who were left alone by chance. Where
only the most profitable of a list are contacted, the control group has to be cut in the same way: all of it
holds many whom nobody would have written to, and who order at another rate.

The cut is that of the plan (`features.profit.plan_contacts`): an expected profit above 0; and where the
budget ends before that, whoever would stand no later than the last one contacted.
"""

from collections.abc import Sequence
from typing import NamedTuple

from features.campaign import Campaign, Prospect
from features.profit import Plan, Worth, contact_worths


class CutMember(NamedTuple):
    """A customer within the cut of a plan; one of the control group is left alone."""

    customer_id: str
    is_control: bool


def cut_members(
    prospects: Sequence[Prospect], control: Sequence[Prospect], plan: Plan, campaign: Campaign
) -> list[CutMember]:
    """Return whom a plan contacts, and the control group within the same cut, both in the plan's order.

    `plan` is that of `prospects`, in which the control group is not. A plan that contacts nobody has nobody
    to compare with either: nobody is within its cut.

    >>> listed = [Prospect("a", 0.9, 200.0, 200.0, 200.0), Prospect("b", 0.1, 200.0, 200.0, 200.0)]
    >>> held = [Prospect("c", 1.0, 200.0, 200.0, 200.0), Prospect("d", 0.1, 200.0, 200.0, 200.0)]
    >>> campaign = Campaign(margin_share=0.5, offer_cost=10.0, contact_cost=1.0)
    >>> from features.profit import plan_contacts
    >>> [tuple(each) for each in cut_members(listed, held, plan_contacts(listed, campaign), campaign)]
    [('c', True), ('a', False)]
    """
    count = plan.best.contact_count
    if not count:
        return []
    worths = {each.customer_id: worth for each, worth in _valued(prospects, campaign)}
    contacted, following = plan.customer_ids[:count], plan.customer_ids[count : count + 1]
    places = [(_place(customer_id, worths[customer_id]), False) for customer_id in contacted]
    # The budget ended the plan where the next one would have paid.
    is_short = any(worths[customer_id].profit > 0.0 for customer_id in following)
    last = places[-1][0]
    for each, worth in _valued(control, campaign):
        place = _place(each.customer_id, worth)
        if worth.profit > 0.0 and (place <= last or not is_short):
            places.append((place, True))
    return [CutMember(customer_id, is_control) for (_, customer_id), is_control in sorted(places)]


def _valued(prospects: Sequence[Prospect], campaign: Campaign) -> "zip[tuple[Prospect, Worth]]":
    return zip(prospects, contact_worths(prospects, campaign), strict=True)


def _place(customer_id: str, worth: Worth) -> tuple[float, str]:
    """Return what the plan sorts by: more worth first, ties by id."""
    return -worth.rank, customer_id
