"""The shapes of jobs and their files."""

from datetime import date, datetime
from typing import Any

from serving.schemas.base import Schema


class ExportFile(Schema):
    """A file of a finished job; `sha256` of its bytes in hex."""

    name: str
    url: str
    bytes: int
    sha256: str


class JobShape(Schema):
    """A job: queued, running, done, failed (`error` says why), or expired once its files were deleted.

    `row_count` rows are in the files; `skipped_count` customers have an id that the platform does not take.
    `contact_count` is how many the plan contacts, where the export is of one: 0 is nobody, and an empty file.
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
    contact_count: int | None
    files: list[ExportFile]
    error: str | None
