"""What `POST /v1/privacy/requests` takes: what is wanted, and about whom."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from features.person_keys import normal_email
from serving.state.privacy import Kind
from serving.web.ids import ID_LENGTH_MAX, check_id
from serving.web.problems import FieldError, malformed


class PrivacyAsked(BaseModel):
    """A request of one person, named by customer id or by e-mail address; the address is not kept."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    type: Annotated[
        Kind, Field(description="erasure (and nothing more is stored), access (a file), suppress (no scores)")
    ]
    customer_id: Annotated[str | None, Field(description=f"1–{ID_LENGTH_MAX} characters")] = None
    email: Annotated[
        str | None,
        Field(max_length=320, description="every customer id that is known with it, and its own key"),
    ] = None

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if (self.customer_id is None) == (self.email is None):
            raise PydanticCustomError("subject", "name one of customer_id and email")
        if self.email is not None and normal_email(self.email) is None:
            raise PydanticCustomError("email", "this is no e-mail address")
        return self


def read_privacy_request(body: Any) -> PrivacyAsked:  # noqa: ANN401 - any JSON
    """Check a body; raises a 422 problem that names everything wrong and where, and repeats nothing."""
    try:
        asked = PrivacyAsked.model_validate(body)
    except ValidationError as error:
        raise malformed(*(_field_error(found) for found in error.errors(include_input=False))) from None
    if asked.customer_id is not None:
        check_id(asked.customer_id, pointer="/body/customer_id")
    return asked


def _field_error(found: Any) -> FieldError:  # noqa: ANN401 - pydantic's own dictionary
    # A name that is no field is the caller's own text, which no answer repeats.
    parts = [str(part) for part in found["loc"] if part in PrivacyAsked.model_fields]
    return FieldError("/".join(["/body", *parts]), str(found["type"]), str(found["msg"]))
