"""The worked example of docs/profit.md: four customers and a campaign.

python -m features.profit_example
"""

import sys
from typing import Final

from features.campaign import Campaign, Prospect
from features.profit import break_even_probability, contact_profit, cost_band, plan_contacts

EXAMPLE_CAMPAIGN: Final = Campaign(margin_share=0.5, offer_cost=10.0, contact_cost=1.0)
EXAMPLE_PROSPECTS: Final = tuple(
    Prospect(name, churn, spend, spend, spend)
    for name, churn, spend in (("1", 0.9, 200.0), ("2", 0.5, 200.0), ("3", 0.9, 10.0), ("4", 1.0, 420.0))
)


def example_text() -> str:
    """Return the plan of the example as two tables and a sentence."""
    plan = plan_contacts(EXAMPLE_PROSPECTS, EXAMPLE_CAMPAIGN)
    known = {prospect.customer_id: prospect for prospect in EXAMPLE_PROSPECTS}
    lines = ["customer  churn  spend  expected profit  band"]
    for prospect in (known[customer_id] for customer_id in plan.customer_ids):
        name, churn, spend, _, _ = prospect
        profit = contact_profit(prospect, EXAMPLE_CAMPAIGN)
        band = cost_band(prospect, EXAMPLE_CAMPAIGN)
        lines.append(f"{name:<8}  {churn:5.2f}  {spend:5.0f}  {profit:15.2f}  {band}")
    lines += ["", "contacts   profit  (80 % interval)  would leave  come anyway"]
    for point in plan.curve:
        interval = f"{point.profit_low:6.2f} … {point.profit_high:6.2f}"
        lines.append(
            f"{point.contact_count:<8}  {point.profit:7.2f}  {interval}  {point.hits:11.2f}  "
            f"{point.false_alarms:11.2f}"
        )
    even = break_even_probability(200.0, EXAMPLE_CAMPAIGN) or 0.0
    best = (
        f"contact {plan.best.contact_count}; with a spend of 200 a contact pays from a churn probability of"
    )
    return "\n".join([*lines, "", f"{best} {100 * even:.1f} %"])


if __name__ == "__main__":
    sys.stdout.write(example_text() + "\n")
