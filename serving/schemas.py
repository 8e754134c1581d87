"""The shapes of answers, for `openapi.json`; the flat score row comes from `serving.rows`.

Answers are written from stored rows without passing through these classes; tests hold the two together.
"""

from datetime import date, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from serving.rows import COLUMNS, NULL_REASONS, Column


class Schema(BaseModel):
    """An answer; nothing has a default, so every field is always there."""

    model_config = ConfigDict(extra="forbid")


class ProblemField(Schema):
    """One thing wrong with a request; of a condition, `offset` and `length` say which characters."""

    pointer: str
    code: str
    message: str
    offset: int | None = None
    length: int | None = None


class Problem(Schema):
    """RFC 9457; `instance` is the request's id."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[ProblemField]


class Reason(Schema):
    """What moved the churn probability: `effect` in probability points; the text has true numbers."""

    code: str
    direction: str
    effect: float
    values: dict[str, float | int | str | None]
    text: str


class Quality(Schema):
    """How far to trust the churn scores."""

    grade: str | None = None
    beats_baseline: bool | None = None


class PlaceReason(Schema):
    """Why an item is in a list."""

    code: str
    values: dict[str, float]
    evidence_product_id: str | None
    text: str


class Product(Schema):
    """A product; money in major units of `currency`."""

    name: str | None
    category: str | None
    subcategory: str | None
    brand: str | None
    price: float | None
    url: str | None
    image_url: str | None
    currency: str


class Place(Schema):
    """One place in a list; `product` comes with `include=product`.

    `source` says what speaks: a customer's behaviour (personalised), a segment's, the shop's (popular, or
    fallback for somebody unknown), or an item.
    """

    rank: int
    product_id: str
    score: float
    source: str
    reason: PlaceReason
    product: Product | None = None


class ShortFill(Schema):
    """A list with fewer places than were asked for: `wanted`, `got`, and the code of the reason."""

    wanted: int
    got: int
    reason: str


class Recommendations(Schema):
    """A customer's lists by kind; `unavailable` says why a kind has none in this shop.

    Every kind that was asked for has `limit` places or an entry in `short_fill`. `objective` is what the
    lists are ranked by: `purchase` where no item of theirs has a price or a margin.
    """

    customer_id: str
    status: str
    as_of: date
    scored_at: datetime
    score_run_id: str
    recommender_model_version: int | None
    objective: str
    lists: dict[str, list[Place]]
    unavailable: dict[str, str]
    short_fill: dict[str, ShortFill]


class SharedList(Schema):
    """A list that is nobody's: `unavailable` says why it is empty, `short_fill` why it is short."""

    as_of: date
    scored_at: datetime
    score_run_id: str
    recommender_model_version: int | None
    places: list[Place]
    unavailable: str | None
    short_fill: ShortFill | None


class ItemList(SharedList):
    """A list of a product."""

    product_id: str
    kind: str


class Bundle(SharedList):
    """What goes with the products of a basket; those that the run does not hold are named."""

    product_ids: list[str]
    unknown_product_ids: list[str]


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


class ExportFile(Schema):
    """A file of a finished job; `sha256` of its bytes in hex."""

    name: str
    url: str
    bytes: int
    sha256: str


class JobShape(Schema):
    """A job: queued, running, done, failed (`error` says why), or expired once its files were deleted.

    `row_count` rows are in the files; `skipped_count` customers have an id that the platform does not take.
    """

    job_id: str
    kind: str
    status: str
    request: dict[str, Any]
    with_identity: bool
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    expires_at: datetime | None
    score_run_id: str | None
    as_of: date | None
    row_count: int | None
    skipped_count: int | None
    control_group_share: float | None
    files: list[ExportFile]
    error: str | None


class ChampionModel(Schema):
    """A champion as the live run used it; `scorecard` holds its figures beside the baseline's."""

    name: str
    version: int
    method: str
    candidate: str
    mlflow_run_id: str
    data_until: date | None
    beats_baseline: bool | None
    grade: str | None
    scorecard: dict[str, Any]


class RunWarningShape(Schema):
    """Something that a reader of the whole run should know before acting on it."""

    code: str
    values: dict[str, str | int]
    text: str


class CurrentModels(Schema):
    """What the live run was made with, and what to know before acting on it."""

    score_run_id: str
    as_of: date
    scored_at: datetime
    customer_count: int
    churn_horizon_days: int | None
    clv_horizon_days: int | None
    churn_supported_days: int | None
    first_season: bool
    warnings: list[RunWarningShape]
    usual_churn_probability: float | None
    medium_from_probability: float | None
    high_from_probability: float | None
    currency: str
    clv_basis: str
    clv_discount_rate: float
    models: dict[str, ChampionModel]


class Alive(Schema):
    """The process is there (`/healthz`)."""

    status: str


class Health(Schema):
    """The service can answer, and from which run (`/readyz`)."""

    status: str
    score_run_id: str
    as_of: date


_TYPES: dict[str, Any] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "date": date,
    "datetime": datetime,
    "reasons": list[Reason],
    "null_reasons": dict[str, str],
    "quality": Quality,
}


def _field(column: Column) -> tuple[Any, Any]:
    kind = _TYPES[column.kind]
    description = column.meaning + (f" ({column.unit})" if column.unit else "")
    if column.kind == "null_reasons":
        description += "; codes: " + ", ".join(sorted(NULL_REASONS))
    return (kind | None if column.nullable else kind, Field(description=description))


SCORE_FIELDS: Any = {column.name: _field(column) for column in COLUMNS}
Score: Any = create_model("Score", __base__=Schema, __doc__="One flat score row.", **SCORE_FIELDS)
Prediction: Any = create_model(
    "Prediction",
    __base__=Score,
    __doc__="One flat score row; `recommendations` comes with `include=recommendations`.",
    recommendations=(dict[str, list[Place]] | None, Field(default=None)),
)
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


class PredictionRequest(Schema):
    """Whose scores are wanted: `customer_ids`, or `emails` with a key that has the scope identity:read."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"minProperties": 1, "maxProperties": 1, "required": []}
    )

    customer_ids: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=256)]], Field(min_length=1, max_length=1000)
    ]
    emails: Annotated[
        list[Annotated[str, Field(min_length=3, max_length=320)]], Field(min_length=1, max_length=1000)
    ]


PredictionBatch: Any = create_model(
    "PredictionBatch",
    __base__=Schema,
    __doc__="The rows of the customers asked for, in that order, all of one run.",
    score_run_id=(str, ...),
    as_of=(date, ...),
    results=(list[Score], ...),
)


class EventBatch(Schema):
    """Track calls as Segment words them; other keys of a call are left alone."""

    batch: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=2500)]


class RejectedEvent(Schema):
    """A call that was not taken: its place in the batch, the cell that is wrong, and a code."""

    index: int
    pointer: str
    code: str


class EventReceipt(Schema):
    """What became of a batch; what is accepted is on the disk, what is `suppressed` was not kept."""

    accepted: int
    duplicates: int
    suppressed: int
    rejected: list[RejectedEvent]


class HookReceipt(Schema):
    """What became of a webhook; `ignored` says why it tells nothing, and is null otherwise."""

    accepted: int
    duplicates: int
    ignored: str | None
