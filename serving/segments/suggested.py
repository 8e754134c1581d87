"""Segments that are suggested to every shop: on calibrated predictions, with cuts that are the shop's own.

No rule names a number of some shop: chances and money are cut where the shop's own fifths are, silence where
its own gaps say. Where a shop cannot bear a rule, the suggestion says why instead.

    ready-to-buy        the fifth most likely to order within 30 days
    long-shots          the fifth least likely to order within 90 days, fallen silent or not
    high-value          the fifth with the highest expected spend
    potential-vips      of these, whoever is not among the fifth that has brought the most so far
    dormant             silent longer than 95 % of the shop's gaps, and nine in ten of such customers order
                        nothing for a year: the rule of the list of that name
    slipping-regulars   three orders or more (two gaps are a habit), and late by their own rhythm or at risk
    second-order        ordered once, and of these the fifth most likely to order again
    worth-winning-back  silent that long, and of these the fifth most likely to come back

The first five are what marketers know from elsewhere (Twilio Segment's predictive audiences); the last three
are where most of a small shop's next orders are won or lost.
"""

from typing import Final, NamedTuple

from serving.store.records import RunMeta

# Positions among the 19 cuts: at most one customer in five lies above the one, at least one in five at or
# below the other, and half at or below the middle.
_LOW_FIFTH: Final = 3
_MIDDLE: Final = 9
_HABIT_ORDERS: Final = 3

NO_VALUES: Final = "no_values"
ALL_ALIKE: Final = "all_alike"
NO_REPEAT_ORDERS: Final = "no_repeat_orders"
REASONS: Final = {
    NO_VALUES: "nobody has the prediction that it stands on",
    ALL_ALIKE: "the prediction is the same for too many customers to tell a fifth from the others",
    NO_REPEAT_ORDERS: "nobody has ordered twice yet: what is usual in this shop is not known",
}
"""Why a shop cannot bear a suggestion."""


class Suggestion(NamedTuple):
    """A suggested segment.

    `highest` and `lowest` are the predictions of which it takes a fifth; `of_repeats` says that the rule
    makes sense only where somebody has ordered twice.
    """

    slug: str
    title: str
    text: str
    highest: tuple[str, ...] = ()
    lowest: tuple[str, ...] = ()
    of_repeats: bool = False

    def missing(self, meta: RunMeta) -> str | None:
        """Return why a run cannot bear it (`REASONS`), None where it can."""
        if self.of_repeats and meta.lapsed_after_days is None:
            return NO_REPEAT_ORDERS
        for name in (*self.highest, *self.lowest):
            cuts = meta.cuts.get(name)
            if not cuts:
                return NO_VALUES
            # Equal customers are never divided: where most are, "the lowest fifth" would be nearly everybody.
            ends_at, goes_on_at = (_LOW_FIFTH, _MIDDLE) if name in self.lowest else (0, -1)
            if cuts[ends_at] >= cuts[goes_on_at]:
                return ALL_ALIKE
        return None


SUGGESTED: Final = (
    Suggestion(
        "ready-to-buy",
        "Ready to buy",
        "churn_probability_30 is not null and not top(churn_probability_30, 80)",
        lowest=("churn_probability_30",),
    ),
    Suggestion(
        "long-shots", "Long shots", "top(churn_probability_90, 20)", highest=("churn_probability_90",)
    ),
    Suggestion("high-value", "High value", "is_in_top_share", highest=("predicted_clv",)),
    Suggestion(
        "potential-vips",
        "Potential VIPs",
        "is_in_top_share and not top(historic_clv, 20)",
        highest=("predicted_clv", "historic_clv"),
    ),
    Suggestion("dormant", "Dormant", "lapsed and churn_probability_365 >= 0.9", of_repeats=True),
    Suggestion(
        "slipping-regulars",
        "Slipping regulars",
        f'historic_number_of_orders >= {_HABIT_ORDERS} and lifecycle_stage in ["slipping", "at_risk"]',
        of_repeats=True,
    ),
    Suggestion(
        "second-order",
        "A second order is likely",
        "historic_number_of_orders == 1 and top(second_order_probability_60, 20)",
        highest=("second_order_probability_60",),
        of_repeats=True,
    ),
    Suggestion(
        "worth-winning-back",
        "Worth winning back",
        "lapsed and top(reactivation_probability, 20)",
        highest=("reactivation_probability",),
        of_repeats=True,
    ),
)
"""In the order in which they are shown."""

SUGGESTED_BY_SLUG: Final = {each.slug: each for each in SUGGESTED}
