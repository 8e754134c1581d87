"""The shapes of named lists and their members."""

from datetime import date
from typing import Any

from pydantic import Field, create_model

from serving.schemas.base import Schema
from serving.schemas.customers import Score


class AudienceSummary(Schema):
    """A named list: its rule and order, how many it holds, and whom consent left out.

    `control_group_count` of the `member_count` are in its control group: each was drawn for it with the
    probability `control_group_share`, 0 where the list is too small to have one.
    """

    slug: str
    title: str
    rule: str
    order: str
    as_of: date
    score_run_id: str
    member_count: int
    refused_count: int
    unknown_consent_count: int
    value_at_risk_total: float | None
    control_group_share: float
    control_group_count: int


class Audiences(Schema):
    """The named lists."""

    audiences: list[AudienceSummary]


ListedScore: Any = create_model(
    "ListedScore",
    __base__=Score,
    __doc__="One flat score row of a list's member.",
    control_group=(bool, Field(description="kept out of this list on purpose, as a control")),
)
Members: Any = create_model(
    "Members",
    __base__=Schema,
    __doc__="A page of a list, in its order; `next_cursor` is null on the last page.",
    audience=(str, ...),
    score_run_id=(str, ...),
    as_of=(date, ...),
    control_group_share=(float, Field(description="probability with which a member was drawn for it")),
    members=(list[ListedScore], ...),
    next_cursor=(str | None, ...),
)
