"""The shapes of scores; the flat score row comes from `serving.rows`."""

from datetime import date, datetime
from typing import Annotated, Any

from pydantic import ConfigDict, Field, create_model

from serving.rows import COLUMNS, NULL_REASONS, Column
from serving.schemas.base import Schema
from serving.schemas.offers import Place


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
