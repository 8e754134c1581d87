"""What `POST /v1/economics` takes: what customers are worth and what it costs to win them, by channel."""

from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from features.economics import GOOD_RATIO, Economics, acquisition_cost, economics
from serving.web.problems import FieldError, malformed

CHANNELS_MAX: Final = 200
_MONEY_MAX: Final = 1e12
_Money = Annotated[float, Field(ge=-_MONEY_MAX, le=_MONEY_MAX, allow_inf_nan=False)]
_Cost = Annotated[float, Field(ge=0, le=_MONEY_MAX, allow_inf_nan=False)]


class Channel(BaseModel):
    """One way of winning customers; its cost is `cac`, or `spend` and `new_customer_count`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=256, description="repeated in the answer")]
    clv: Annotated[_Money, Field(description="money a customer brings within clv_horizon_days")]
    cac: Annotated[_Cost | None, Field(description="cost of winning a customer")] = None
    spend: Annotated[_Cost | None, Field(description="marketing and sales cost of a period")] = None
    new_customer_count: Annotated[
        int | None, Field(ge=0, le=10**9, strict=True, description="customers who were new in it")
    ] = None
    conversion_rate: Annotated[
        float | None, Field(gt=0, le=1, allow_inf_nan=False, description="customers won ÷ clicks")
    ] = None

    @model_validator(mode="after")
    def _has_one_cost(self) -> Self:
        if (self.spend is None) != (self.new_customer_count is None):
            raise PydanticCustomError("cost", "spend and new_customer_count come together")
        if self.cac is not None and self.spend is not None:
            raise PydanticCustomError("cost", "name cac, or spend and new_customer_count, not both")
        return self

    @property
    def acquisition_cost(self) -> float | None:
        """Cost of winning a customer; None where it is not known, or nobody was won."""
        if self.spend is not None and self.new_customer_count is not None:
            return acquisition_cost(self.spend, self.new_customer_count)
        return self.cac

    def economics(self, *, target_ratio: float, clv_horizon_days: int) -> Economics:
        """Return what follows for this channel."""
        return economics(
            self.clv,
            cac=self.acquisition_cost,
            conversion_rate=self.conversion_rate,
            target_ratio=target_ratio,
            clv_horizon_days=clv_horizon_days,
        )


class EconomicsAsked(BaseModel):
    """Channels, and what counts as good."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: Annotated[list[Channel], Field(min_length=1, max_length=CHANNELS_MAX)]
    target_ratio: Annotated[
        float, Field(gt=0, le=1_000, allow_inf_nan=False, description="LTV:CAC that is aimed at")
    ] = GOOD_RATIO
    clv_horizon_days: Annotated[
        int, Field(ge=1, le=36_500, strict=True, description="within how many days clv comes in")
    ] = 365


def read_economics_request(body: Any) -> EconomicsAsked:  # noqa: ANN401 - any JSON
    """Check a body; raises a 422 problem that names everything wrong and where, and repeats nothing."""
    try:
        return EconomicsAsked.model_validate(body)
    except ValidationError as error:
        raise malformed(*(_field_error(found) for found in error.errors(include_input=False))) from None


def _field_error(found: Any) -> FieldError:  # noqa: ANN401 - pydantic's own dictionary
    # A name that is no field is the caller's own text, which no answer repeats.
    known = EconomicsAsked.model_fields.keys() | Channel.model_fields.keys()
    parts = [str(part) for part in found["loc"] if isinstance(part, int) or part in known]
    return FieldError("/".join(["/body", *parts]), str(found["type"]), str(found["msg"]))
