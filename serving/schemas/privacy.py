"""The shapes of privacy requests, for `openapi.json`."""

from datetime import datetime

from serving.schemas.base import Schema


class StoreReceipt(Schema):
    """What was done to one store; `status` is done, waiting or out_of_reach, where `note` says what to do."""

    store: str
    status: str
    row_count: int
    file_count: int
    at: datetime
    note: str | None


class PrivacyRequestShape(Schema):
    """A privacy request; `status` is queued, running, done or incomplete (see the receipts).

    Whom it is about is not told: it is kept as a keyed hash. `serving_suppressed` says that nobody is shown
    the scores any more, which holds from the moment of the request.
    """

    request_id: str
    type: str
    status: str
    serving_suppressed: bool
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    expires_at: datetime | None
    file: str | None
    stores: list[StoreReceipt]
