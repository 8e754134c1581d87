"""What the shapes of answers share, for `openapi.json`.

Answers are written from stored rows without passing through these classes; tests hold the two together.
"""

from pydantic import BaseModel, ConfigDict


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
