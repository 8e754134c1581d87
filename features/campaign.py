"""A campaign: what a contact costs and may bring, and the customers who may be contacted."""

from dataclasses import dataclass
from math import inf
from typing import Final, NamedTuple

from features.errors import UserError

TAIL_Z: Final = 1.2815515655446004
"""The 90th percentile of the standard normal distribution: an 80 % interval reaches so far to each side."""


class CampaignError(UserError):
    """A figure of a campaign is out of its range."""


@dataclass(frozen=True, slots=True)
class Campaign:
    """What a contact costs and may bring; money in the currency of the spend, shares in [0, 1].

    `response_low`, `response_high` are the 80 % interval of `response_share`. `budget` bounds what is
    expected to be spent: contacts, and the offers redeemed; None is no bound. Raises `CampaignError`.
    """

    margin_share: float
    offer_cost: float = 0.0
    contact_cost: float = 0.0
    response_share: float = 0.1
    response_low: float = 0.05
    response_high: float = 0.15
    loyal_redeem_share: float = 1.0
    budget: float | None = None

    def __post_init__(self) -> None:
        for name in ("margin_share", "response_share", "response_low", "response_high", "loyal_redeem_share"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise CampaignError(f"{name} lies outside 0 to 1; write a share, such as 0.1 for 10 %")
        for name in ("offer_cost", "contact_cost", "budget"):
            if not 0.0 <= (getattr(self, name) or 0.0) < inf:
                raise CampaignError(f"{name} is no amount of money from 0 up")
        if not self.response_low <= self.response_share <= self.response_high:
            raise CampaignError("response_share lies outside response_low to response_high")

    @property
    def response_spreads(self) -> tuple[float, float]:
        """The standard deviation of the response share to each side, of the half of its 80 % interval there.

        The interval may lie unevenly around the share: nobody keeps more than all who would leave.
        """
        down, up = self.response_share - self.response_low, self.response_high - self.response_share
        return down / TAIL_Z, up / TAIL_Z


class Prospect(NamedTuple):
    """A customer: churn probability, and spend within its horizon if they order, with its 80 % interval."""

    customer_id: str
    churn_probability: float
    spend: float
    spend_low: float
    spend_high: float
