"""The calculator of the value page: what was typed, what follows, and what was wrong with it."""

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from features.economics import GOOD_RATIO, Economics, economics
from serving.console.numbers_typed import number_typed
from serving.console.words import marked
from serving.schemas.economics_request import Channel
from serving.store.records import RunMeta

_TYPED: Final = ("clv", "cac", "spend", "new_customer_count", "conversion_rate")
MISTAKES: Final = {
    "clv": marked("CLV is a number, no larger than 1,000,000,000,000."),
    "cac": marked("The cost of a customer is a number from 0 to 1,000,000,000,000."),
    "spend": marked("Spend is a number from 0 to 1,000,000,000,000."),
    "new_customer_count": marked("New customers are counted in whole numbers, from 0 to 1,000,000,000."),
    "conversion_rate": marked("The conversion rate is a share: above 0, at most 1."),
    "cost": marked("Name the cost of a customer, or the spend and the new customers, not both and not half."),
}


class CalculatorAsked(BaseModel):
    """What was typed, as text: mistakes are told on the page, beside what was typed."""

    model_config = ConfigDict(extra="ignore")

    clv: str = Field("", max_length=32)
    cac: str = Field("", max_length=32)
    spend: str = Field("", max_length=32)
    new_customer_count: str = Field("", max_length=32)
    conversion_rate: str = Field("", max_length=32)


def calculate(asked: CalculatorAsked) -> tuple[Economics | None, list[str]]:
    """Return what follows from what was typed, or what is wrong with it as sentences to translate.

    Nothing follows from nothing: (None, []).
    """
    typed = {name: number_typed(getattr(asked, name)) for name in _TYPED}
    given: dict[str, Any] = {name: value for name, value in typed.items() if value is not None}
    if not given:
        return None, []
    try:
        channel = Channel.model_validate({"name": "typed", **given})
    except ValidationError as error:
        places = {str(found["loc"][0]) if found["loc"] else "cost" for found in error.errors()}
        return None, [MISTAKES[place] for place in MISTAKES if place in places]
    return channel.economics(target_ratio=GOOD_RATIO, clv_horizon_days=365), []


def channel_economics(channel: dict[str, Any], meta: RunMeta) -> Economics | None:
    """Return what follows for an acquisition channel of the shop; None where nothing is predicted."""
    if channel["predicted_clv"] is None:
        return None
    worth = channel["predicted_clv"] + (channel["historic_clv"] or 0.0)
    return economics(worth, cac=channel["acquisition_cost"], clv_horizon_days=meta.clv_horizon_days or 365)
