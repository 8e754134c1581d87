"""The shapes of what is sent in, and of its receipts."""

from typing import Annotated, Any

from pydantic import Field

from serving.schemas.base import Schema


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
