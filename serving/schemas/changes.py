"""The shapes of the feed of changes, for `openapi.json`."""

from datetime import date, datetime
from typing import Any, Literal

from pydantic import Field, create_model

from serving.changes.lifecycle import FEED_NAMES, FEED_RUN_NAMES
from serving.schemas.base import Schema
from serving.schemas.customers import SCORE_FIELDS

Kind = Literal["scores", "removed", "event"]
EventName = Literal[
    "band_changed",
    "first_order",
    "nth_order",
    "replenishment_due",
    "inactive_3m_click",
    "inactive_6m_purchase",
    "won_back",
]

_FEED_FIELDS: Any = {name: SCORE_FIELDS[name] for name in (*FEED_NAMES, *FEED_RUN_NAMES)}
FeedScores: Any = create_model(
    "FeedScores",
    __base__=Schema,
    __doc__="What the feed says of a customer: a part of the flat score row.",
    **_FEED_FIELDS,
)


class Change(Schema):
    """One change of one customer.

    `kind` is scores (`scores` as they are now, `changed` names what is new), removed (the customer is in no
    run any more) or event (`event` and its `values`).
    """

    sequence: int = Field(description="grows by the order in which things were said")
    kind: Kind
    customer_id: str
    event: EventName | None
    as_of: date
    score_run_id: str
    happened_at: datetime = Field(description="when it entered the log")
    changed: list[str]
    scores: FeedScores | None
    values: dict[str, str | int | float | None] | None


class Changes(Schema):
    """Changes in the order in which they were said; `next_cursor` is always given: keep it, ask again."""

    changes: list[Change]
    next_cursor: str
    has_more: bool
