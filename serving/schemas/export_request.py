"""What `POST /v1/exports` takes: a list, for whom it is, and in which form."""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from serving.audiences.control_group import Control
from serving.offers.slot_columns import ITEMS_MAX
from serving.routes.customers import ListKind
from serving.web.problems import FieldError, malformed

Form = Literal["csv", "excel", "ndjson", "parquet"]
ProfileName = Literal["generic", "braze", "klaviyo"]
_OF_FILES: Final = ("items", "kind", "gzip")


class ExportRequest(BaseModel):
    """A list as files of one form (`generic`), or as the bodies of an engagement platform's own calls.

    A platform gets what changed since the last finished export of the list to it, unless
    `changes_only` is false.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    audience: Annotated[str, Field(min_length=1, max_length=40, description="slug of a list")]
    profile: ProfileName = "generic"
    format: Annotated[
        Form | None, Field(description="generic: csv unless another is named; a platform: ndjson, always")
    ] = None
    control: Annotated[Control, Field(description="the control group, as for members")] = "exclude"
    min_clv: Annotated[
        float | None, Field(allow_inf_nan=False, description="only members with this predicted_clv")
    ] = None
    items: Annotated[int, Field(ge=0, le=ITEMS_MAX, description="generic: columns for so many items")] = 0
    kind: Annotated[ListKind, Field(description="generic: the list that items are taken from")] = "for_you"
    gzip: Annotated[bool, Field(description="generic: pack csv or ndjson")] = False
    changes_only: Annotated[
        bool | None, Field(description="a platform: only changed rows; true unless it is said")
    ] = None

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.is_generic:
            if self.changes_only:
                raise _contradiction("changes_only", "a generic export is always whole")
            if self.gzip and self.format == "parquet":
                raise _contradiction("gzip", "parquet is packed by itself")
            return self
        if self.format not in (None, "ndjson"):
            raise _contradiction("format", "a platform's export is ndjson: a body a line")
        for name in _OF_FILES:
            if getattr(self, name) != ExportRequest.model_fields[name].default:
                raise _contradiction(name, "this is for generic exports")
        return self

    @property
    def is_generic(self) -> bool:
        """Whether rows are wanted, not the bodies of a platform."""
        return self.profile == "generic"

    @property
    def form(self) -> Form:
        """The form of the files."""
        return self.format or ("csv" if self.is_generic else "ndjson")

    @property
    def is_whole(self) -> bool:
        """Whether every member goes, changed or not."""
        return self.is_generic or self.changes_only is False

    @property
    def destination(self) -> str:
        """Where rows go of which it is kept what was sent; "" for files."""
        return "" if self.is_generic else f"{self.profile}:{self.audience}"


def read_export_request(body: Any) -> ExportRequest:  # noqa: ANN401 - any JSON
    """Check a body; raises a 422 problem that names everything wrong and where, and repeats nothing."""
    try:
        return ExportRequest.model_validate(body)
    except ValidationError as error:
        raise malformed(*(_field_error(found) for found in error.errors(include_input=False))) from None


def _contradiction(name: str, message: str) -> PydanticCustomError:
    return PydanticCustomError("contradiction", "{message}", {"message": message, "name": name})


def _field_error(found: Any) -> FieldError:  # noqa: ANN401 - pydantic's own dictionary
    named = found.get("ctx", {}).get("name")
    known = set(ExportRequest.model_fields)
    # A name that is no field is the caller's own text, which no answer repeats.
    parts = [str(part) for part in found["loc"] if part in known] or ([named] if named else [])
    return FieldError("/".join(["/body", *parts]), str(found["type"]), str(found["msg"]))
