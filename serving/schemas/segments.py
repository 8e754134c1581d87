"""The shapes of segments in calls and answers, and how a call's body is read."""

from datetime import date
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from features.audience_settings import Slug
from features.conditions import TEXT_LENGTH_MAX
from serving.schemas.base import Schema
from serving.schemas.customers import Score
from serving.web.problems import FieldError, malformed

Body = TypeVar("Body", bound=BaseModel)
Words = Annotated[str, Field(max_length=TEXT_LENGTH_MAX)]


class SegmentText(BaseModel):
    """A condition to be counted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: Words


class NewSegment(SegmentText):
    """A segment to be saved, or the next version of one that is."""

    slug: Slug
    title: Annotated[str, Field(min_length=1, max_length=100)]


class BegunText(SegmentText):
    """A condition that is being written, and how many characters (not bytes) stand before the cursor."""

    cursor: Annotated[int, Field(ge=0, le=TEXT_LENGTH_MAX)]


class CompletionShape(Schema):
    """What may stand instead of `length` characters from `offset` on.

    `kind` is attribute, function, word or value.
    """

    offset: int
    length: int
    text: str
    kind: str
    meaning: str


class Completions(Schema):
    """What may be written at the cursor, the likeliest first."""

    completions: list[CompletionShape]


class SegmentCount(Schema):
    """How many customers of a run pass; `share` is null in a shop without customers."""

    member_count: int
    customer_count: int
    share: float | None
    as_of: date
    score_run_id: str


class SegmentSizeShape(Schema):
    """How many were in a segment at a run; who came and went since the run before, null without one."""

    score_run_id: str
    as_of: date
    version: int
    customer_count: int
    member_count: int
    joined_count: int | None
    left_count: int | None


class SegmentSummary(Schema):
    """A segment: one that every shop has (`kind` preset, version 0), or one that was saved."""

    slug: str
    title: str
    text: str
    kind: str
    version: int
    created_at: str | None
    changed_at: str | None


class SegmentList(Schema):
    """All segments: the presets, then those saved, the oldest first."""

    segments: list[SegmentSummary]


class SegmentVersionShape(Schema):
    """One of the texts that a segment has had."""

    version: int
    title: str
    text: str
    created_at: str


class SegmentShape(SegmentSummary):
    """A segment with its versions and with its sizes at the runs since it was saved, the newest first."""

    versions: list[SegmentVersionShape]
    sizes: list[SegmentSizeShape]


class SegmentSizes(Schema):
    """How many, and the money expected of them within `horizon_days`, with its 80 % range.

    `order_share` is the mean probability of an order within these days; `level_error` how far the totals of
    all customers were off at the dates of the back-test, null where that is not known: then the range knows
    chance alone.
    """

    member_count: int
    expected_revenue: float | None
    expected_revenue_low: float | None
    expected_revenue_high: float | None
    order_share: float | None
    level_error: float | None


class ProfileTraitShape(Schema):
    """A trait that members have more often than others.

    `value` is a text, or null of a number whose values lie above `above` and up to `up_to`. `lift` is
    `member_share` over `other_share`, `low` to `high` its interval, wide enough that those of all traits that
    were looked at hold together with 95 %.
    """

    name: str
    value: str | None
    words: str
    above: float | None
    up_to: float | None
    member_share: float
    other_share: float
    lift: float
    low: float
    high: float


class ProfileShape(Schema):
    """The surest traits first, of `compared_count` compared among so many members and others."""

    traits: list[ProfileTraitShape]
    compared_count: int
    member_seen: int
    other_seen: int


class SuggestionShape(Schema):
    """A suggested segment; `reason` says why this shop cannot bear it, and then nothing else is known."""

    slug: str
    title: str
    text: str
    explanation: str
    reason: str | None
    size: SegmentSizes | None
    profile: ProfileShape | None


class SuggestionList(Schema):
    """All suggestions, as they are in a run; the sentences are in the reader's language."""

    score_run_id: str
    as_of: date
    currency: str
    horizon_days: int
    suggestions: list[SuggestionShape]


class SegmentProfile(Schema):
    """What a segment means in plain words, how many it holds, and what they have more often than others."""

    segment: str
    version: int
    text: str
    explanation: str
    score_run_id: str
    as_of: date
    currency: str
    horizon_days: int
    size: SegmentSizes
    profile: ProfileShape


class SegmentMembers(Schema):
    """A page of members; who belongs is told by the run, their scores may be newer."""

    segment: str
    version: int
    score_run_id: str
    as_of: date
    members: list[Score]
    next_cursor: str | None


def read_body(shape: type[Body], body: Any) -> Body:  # noqa: ANN401 - any JSON
    """Check a body; raises a 422 problem that names everything wrong and where, and repeats nothing."""
    try:
        return shape.model_validate(body)
    except ValidationError as error:
        known = set(shape.model_fields)
        raise malformed(
            *(
                FieldError(
                    "/".join(["/body", *(str(part) for part in found["loc"] if part in known)]),
                    str(found["type"]),
                    str(found["msg"]),
                )
                for found in error.errors(include_input=False)
            )
        ) from None
