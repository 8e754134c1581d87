"""Where lists that leave the service are written down, before their first row goes."""

import logging
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import Executor
from typing import Any

from serving.audiences.leaving import LeavingPeople, PlannedList
from serving.job_desk import Desk
from serving.state.database import State, StateError
from serving.state.list_exports import Ending, LeavingList, ListExport, ListExports

_LOG = logging.getLogger(__name__)


class ExportBook(Desk):
    """Writes down lists that leave, and looks them up; every failure is a problem: no list leaves unrecorded.

    Where there is no state (the server's own command makes one) nothing is kept.
    """

    def __init__(self, state: State, executor: Executor) -> None:
        super().__init__(executor)
        self._own_executor = executor
        self._lists = ListExports(state)

    async def begin(self, leaving: LeavingList) -> str | None:
        """Write down that a list leaves; raises a 503 problem."""
        return await self._in_thread(lambda: self._lists.begin(leaving))

    async def page(self, *, before: int | None, limit: int, key_id: str | None) -> list[ListExport]:
        """Return the newest lists of a key (None: of all); raises a 503 problem."""
        return await self._in_thread(lambda: self._lists.page(before=before, limit=limit, key_id=key_id))

    async def followed(
        self,
        parts: AsyncIterator[tuple[int, bytes]],
        export_id: str | None,
        people: LeavingPeople | None = None,
    ) -> AsyncIterator[tuple[int, bytes]]:
        """Yield the parts of a list, and write down at its end, or where it broke off, how much went.

        How many of `people` the control group holds may be known only then.
        """
        row_count, is_whole = 0, False
        try:
            async for count, lines in parts:
                row_count += count
                yield count, lines
            is_whole = True
        finally:
            if export_id is not None:
                # Not awaited: whoever broke off leaves nobody to wait.
                held = None if people is None else people.control_group_count
                end = Ending(row_count, is_whole, held)
                self._own_executor.submit(self._end, export_id, end)

    def _end(self, export_id: str, end: Ending) -> None:
        try:
            self._lists.end(export_id, end)
        except StateError as error:
            _LOG.warning("the end of export %s was not kept: %s", export_id, error)


def leaving_csv(people: LeavingPeople, *, key_id: str, request: Mapping[str, Any]) -> LeavingList:
    """Return what is written down of people who leave in an answer; `request` is the filter and the form."""
    meta = people.run.meta
    count = people.contact_count if isinstance(people, PlannedList) else None
    return LeavingList(
        key_id=key_id,
        job_id=None,
        audience=people.name,
        score_run_id=meta.score_run_id,
        as_of=meta.as_of.isoformat(),
        request=contacted({"profile": "generic", **request}, count),
        control_group_share=people.control_group_share,
        control_group_count=people.control_group_count,
        with_identity=False,
    )


def contacted(request: Mapping[str, Any], contact_count: int | None) -> dict[str, Any]:
    """Return what was asked with how many its plan contacts, where it has one: 0 says why no row left."""
    plan = request.get("plan")
    return {**request, "plan": {**plan, "contact_count": contact_count}} if plan else dict(request)
