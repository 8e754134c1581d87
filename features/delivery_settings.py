"""The sections of `regulars.toml` that say how scores are delivered, kept and acted on."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from features.section import Section


class LedgerSettings(Section):
    """The ledger of scores: predictions kept until they can be graded."""

    keep_days: Annotated[int, Field(ge=0, le=36_500)] = 0


class InboxSettings(Section):
    """What the API received."""

    keep_days: Annotated[int, Field(ge=1, le=3_650)] = 90


class ControlSettings(Section):
    """The control group of every named list: people kept out of it on purpose."""

    share: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    list_size_min: Annotated[int, Field(ge=1)] = 500


class SegmentSettings(Section):
    """The tree of micro-segments."""

    leaf_customers_min: Annotated[int, Field(ge=1)] = 50


class ExportSettings(Section):
    """Files made by jobs."""

    keep_days: Annotated[int, Field(ge=1, le=365)] = 7


class CampaignSettings(Section):
    """What a contact costs and brings unless a call says otherwise (`features.profit`)."""

    margin_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    offer_cost: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    contact_cost: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    response_share: Annotated[float, Field(ge=0, le=1)] = 0.1
    response_low: Annotated[float, Field(ge=0, le=1)] = 0.05
    response_high: Annotated[float, Field(ge=0, le=1)] = 0.15
    loyal_redeem_share: Annotated[float, Field(ge=0, le=1)] = 1.0

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.response_low <= self.response_share <= self.response_high:
            raise ValueError(
                f"response_share = {self.response_share} lies outside response_low = {self.response_low} to "
                f"response_high = {self.response_high}; set all three"
            )
        return self


class ChangeSettings(Section):
    """The feed of changes, lifecycle events, and the webhooks that carry them."""

    probability_step: Annotated[float, Field(gt=0, le=1)] = 0.05
    clv_step_share: Annotated[float, Field(gt=0)] = 0.10
    band_margin_share: Annotated[float, Field(ge=0, lt=1)] = 0.10
    nth_orders: Annotated[tuple[Annotated[int, Field(ge=2)], ...], Field(max_length=20)] = (2, 5, 10)
    due_within_days: Annotated[int, Field(ge=0, le=60)] = 3
    inactive_click_days: Annotated[int, Field(ge=1, le=3650)] = 91
    inactive_purchase_days: Annotated[int, Field(ge=1, le=3650)] = 182
    late_days_max: Annotated[int, Field(ge=1, le=3650)] = 30
    keep_days: Annotated[int, Field(ge=1, le=3650)] = 30
    webhook_timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 10.0
    webhook_ports: Annotated[tuple[Annotated[int, Field(ge=1, le=65535)], ...], Field(min_length=1)] = (
        443,
        8443,
    )
    webhook_private_addresses: bool = False
