"""What `POST /v1/audiences/{slug}/plan` takes and answers."""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from features.basis import BasisName
from features.campaign import Campaign, CampaignError
from features.profit import CostBand
from features.settings import Settings
from serving.audiences.campaigns import MarginSource, usual_margin
from serving.schemas.base import Schema
from serving.store.records import RunMeta
from serving.web.problems import FieldError, malformed

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Money = Annotated[float, Field(ge=0, le=1e15, allow_inf_nan=False)]


class CampaignRequest(BaseModel):
    """A campaign; what is left out comes from `[campaign]` (and `[shop]`) of regulars.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    margin_share: Annotated[Share | None, Field(description="what is left of the money after the goods")] = (
        None
    )
    offer_cost: Annotated[Money | None, Field(description="cost of a redeemed offer")] = None
    contact_cost: Annotated[Money | None, Field(description="cost of a contact")] = None
    response_share: Annotated[
        Share | None, Field(description="share of would-be leavers who stay because of it")
    ] = None
    response_low: Annotated[Share | None, Field(description="10th percentile of that share")] = None
    response_high: Annotated[Share | None, Field(description="90th percentile of that share")] = None
    loyal_redeem_share: Annotated[
        Share | None, Field(description="share of the others who redeem the offer too")
    ] = None
    budget: Annotated[Money | None, Field(description="at most so much is expected to be spent")] = None


class PlanRequest(CampaignRequest):
    """A campaign whose plan is shown."""

    limit: Annotated[int, Field(ge=0, le=1000, description="so many of the first customers are named")] = 100


class Assumptions(Schema):
    """What the plan reckons with; `margin_source` says whose word the margin is."""

    margin_share: float
    margin_source: MarginSource
    offer_cost: float
    contact_cost: float
    response_share: float
    response_low: float
    response_high: float
    loyal_redeem_share: float
    budget: float | None


class PlanPoint(Schema):
    """What is expected of contacting the first `contact_count` customers; profit with its 80 % interval.

    `hits` are would-be leavers, `false_alarms` who would have come anyway; the last one contacted has a
    churn probability of `churn_probability`, null of nobody.
    """

    contact_count: int
    profit: float
    profit_low: float
    profit_high: float
    hits: float
    false_alarms: float
    cost: float
    churn_probability: float | None


class Contact(Schema):
    """A customer in the order of the plan, with the expected profit of contacting them alone."""

    customer_id: str
    churn_probability: float
    expected_profit: float
    cost_band: CostBand


class PlanShape(Schema):
    """Whom of a list it pays to contact: the first `best.contact_count` of its order, maybe nobody.

    `member_count` customers were looked at: the control group, who refused contact and whoever has no score
    (`unscored_count`) are left out; the first two are counted beside it. `break_even_probability` is that of
    a customer with the list's middle spend (`median_spend_if_order`); null where a contact never pays.
    """

    audience: str
    score_run_id: str
    as_of: date
    currency: str
    clv_basis: BasisName
    churn_horizon_days: int | None
    assumptions: Assumptions
    warnings: list[Literal["margin_assumed", "nothing_costs"]]
    member_count: int
    control_group_share: float
    control_group_count: int
    refused_count: int
    unknown_consent_count: int
    unscored_count: int
    median_spend_if_order: float | None
    break_even_probability: float | None
    bands: dict[CostBand, int]
    best: PlanPoint
    curve: list[PlanPoint]
    contacts: list[Contact]


def read_plan_request(body: Any) -> PlanRequest:  # noqa: ANN401 - any JSON
    """Check a body; raises a 422 problem that names everything wrong and where, and repeats nothing."""
    try:
        return PlanRequest.model_validate(body)
    except ValidationError as error:
        raise malformed(*(_field_error(found) for found in error.errors(include_input=False))) from None


def campaign_of(
    asked: CampaignRequest, meta: RunMeta, settings: Settings, *, place: str = "/body"
) -> tuple[Campaign, MarginSource]:
    """Return the campaign of a call, which stood at a place, with the settings' word on what it leaves out.

    Without an interval of its own, a response share of the call's has that of the settings, stretched where
    it lies outside. Raises a 422 problem where the two contradict each other.
    """
    margin, source = usual_margin(meta, settings)
    usual = settings.campaign
    given = asked.model_dump(exclude={"limit"}, exclude_none=True)
    if "margin_share" in given:
        margin, source = given["margin_share"], "call"
    response = given.get("response_share", usual.response_share)
    low = given.get("response_low", min(usual.response_low, response))
    high = given.get("response_high", max(usual.response_high, response))
    named = {"margin_share": margin, "response_low": low, "response_high": high}
    try:
        return Campaign(**(usual.model_dump() | given | named)), source
    except CampaignError as error:
        raise malformed(FieldError(f"{place}/response_share", "range", str(error))) from None


def _field_error(found: Any) -> FieldError:  # noqa: ANN401 - pydantic's own dictionary
    # A name that is no field is the caller's own text, which no answer repeats.
    parts = [str(part) for part in found["loc"] if part in PlanRequest.model_fields]
    return FieldError("/".join(["/body", *parts]), str(found["type"]), str(found["msg"]))
