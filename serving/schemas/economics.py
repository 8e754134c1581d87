"""The shapes of unit economics by channel."""

from serving.schemas.base import Schema


class ChannelEconomics(Schema):
    """One channel; money a customer, in the currency sent. What needs a figure that was not sent is null.

    `ltv_to_cac` is CLV ÷ CAC, and `is_good` says whether it reaches `target_ratio`. `roi` is CLV − CAC, and
    `roi_ratio` that over CAC. `break_even_bid` is CLV × conversion rate, `target_bid` that over the target.
    `payback_months` is null where the money never pays for the cost.
    """

    name: str
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


class EconomicsAnswer(Schema):
    """What follows for each channel, in the order sent."""

    target_ratio: float
    clv_horizon_days: int
    channels: list[ChannelEconomics]
