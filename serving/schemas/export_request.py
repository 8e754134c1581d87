"""What `POST /v1/exports` takes: a list or a segment, for whom it is, and in which form."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from features.audience_settings import Slug
from features.campaign import Campaign
from serving.audiences.control_group import Control
from serving.audiences.leaving import Wanted
from serving.audiences.segment_list import name_of
from serving.offers.slot_columns import ITEMS_MAX
from serving.routes.customers import ListKind
from serving.schemas.plan_request import CampaignRequest
from serving.segments.desk import Segment
from serving.web.problems import FieldError, malformed
from serving.wording import LanguageCode

Form = Literal["csv", "excel", "ndjson", "parquet"]
ProfileName = Literal["generic", "braze", "klaviyo"]
_OF_FILES: Final = ("items", "kind", "gzip", "language")
_OF_PEOPLE: Final = ("audience", "segment", "version", "plan")
"""Fields that are kept with a job where they are given: most exports have none of them but `audience`."""


class ExportRequest(BaseModel):
    """A list or a segment as files of one form (`generic`), or as bodies of an engagement platform's calls.

    A platform gets what changed since the last finished export of the list to it, unless
    `changes_only` is false.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    audience: Annotated[str | None, Field(min_length=1, max_length=40, description="slug of a list")] = None
    segment: Annotated[Slug | None, Field(description="slug of a segment, instead of a list")] = None
    version: Annotated[
        int | None, Field(ge=0, description="of a segment: its version, the newest unless it is said")
    ] = None
    plan: Annotated[
        CampaignRequest | None,
        Field(description="of a list: only whom a plan of this campaign says to contact, in its order"),
    ] = None
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
    language: Annotated[
        LanguageCode, Field(description="generic: the language of reasons and suggested actions")
    ] = "en"
    gzip: Annotated[bool, Field(description="generic: pack csv or ndjson")] = False
    changes_only: Annotated[
        bool | None, Field(description="a platform: only changed rows; true unless it is said")
    ] = None

    @model_validator(mode="after")
    def _names_people(self) -> Self:
        if (self.audience is None) == (self.segment is None):
            raise _contradiction("audience", "name a list or a segment, one of the two")
        if self.segment is None and self.version is not None:
            raise _contradiction("version", "a list has no versions; a segment has")
        if self.segment is not None and self.plan is not None:
            raise _contradiction("plan", "a plan is of a list; name one in audience")
        if self.min_clv is not None and (self.segment or self.plan):
            raise _contradiction("min_clv", "this is for whole lists; a plan or a segment says who by itself")
        return self

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
    def name(self) -> str:
        """The list's name; that of a segment stands behind `segment:`."""
        return name_of({"audience": self.audience, "segment": self.segment})

    @property
    def unsaid(self) -> set[str]:
        """Which people are not said: a request without these is written as before there were such fields."""
        return {name for name in _OF_PEOPLE if getattr(self, name) is None}

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
        return "" if self.is_generic else f"{self.profile}:{self.name}"


def stored_request(
    asked: ExportRequest, *, campaign: Campaign | None, segment: Segment | None
) -> dict[str, Any]:
    """Return a request as a job keeps it: with every figure of its plan, and with the words of its segment.

    So the settings and the segment may change before the job is run, or its outcome is counted.
    """
    values = asked.model_dump(exclude=asked.unsaid)
    if campaign is not None:
        values["plan"] = asdict(campaign)
    if segment is not None:
        values |= {"version": segment.version, "text": segment.text}
    return values


def read_stored(request: Mapping[str, Any]) -> ExportRequest:
    """Read what a job keeps."""
    return ExportRequest.model_validate({name: request[name] for name in request if name != "text"})


def wanted_people(name: str, request: Mapping[str, Any]) -> Wanted:
    """Return which people an export is of, by its name and by what is kept of its request."""
    plan = request.get("plan")
    figures = plan and {each: plan[each] for each in Campaign.__dataclass_fields__}
    return Wanted(
        name,
        request.get("control", "exclude"),
        request.get("min_clv"),
        Campaign(**figures) if figures else None,
        request.get("text"),
    )


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
    known = {*ExportRequest.model_fields, *CampaignRequest.model_fields}
    # A name that is no field is the caller's own text, which no answer repeats.
    parts = [str(part) for part in found["loc"] if part in known] or ([named] if named else [])
    return FieldError("/".join(["/body", *parts]), str(found["type"]), str(found["msg"]))
