"""The shape of lists that left the service, and of what came of them."""

from datetime import date, datetime
from typing import Any, Literal

from serving.schemas.base import Schema


class HorizonOutcome(Schema):
    """How many of a list and of its control group ordered within so many days after it left.

    `difference` is the share of the list less that of the control group, with its 95 % interval (Newcombe
    1998, method 10); null while one of the groups is empty. The `verdict` is `cannot_tell_yet` where the
    interval holds 0 or the time is not over.
    """

    horizon_days: int
    is_over: bool
    listed_count: int
    listed_ordered_count: int
    control_group_count: int
    control_group_ordered_count: int
    difference: float | None
    difference_low: float | None
    difference_high: float | None
    verdict: Literal["more_ordered", "fewer_ordered", "cannot_tell_yet"]


class Outcome(Schema):
    """What came of a list by the orders before `known_until`."""

    known_until: datetime
    horizons: list[HorizonOutcome]


class ListExportShape(Schema):
    """A list that left: who took which, when, and how many rows.

    `row_count` and `is_whole` are null while it goes out. `members`: none (nothing to measure: no control
    group, or the very list was taken before), waiting (for the worker), kept, gone (its run went
    before it was kept), done (measured to the end), paged (read a page at a time: counted, not measured).
    """

    export_id: str
    key_id: str
    taken_at: datetime
    job_id: str | None
    audience: str
    score_run_id: str
    as_of: date
    request: dict[str, Any]
    control_group_share: float
    control_group_count: int | None
    with_identity: bool
    row_count: int | None
    is_whole: bool | None
    members: Literal["none", "waiting", "kept", "gone", "done", "paged"]
    outcome: Outcome | None


class ListExports(Schema):
    """A page of lists that left, the newest first; `next_before` leads to older ones."""

    exports: list[ListExportShape]
    next_before: int | None
