"""The shapes of what made the scores, and of whether the service can answer."""

from datetime import date, datetime
from typing import Any

from serving.schemas.base import Schema


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
