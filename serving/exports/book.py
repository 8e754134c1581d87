"""Where lists that leave the service are written down, before their first row goes."""

import logging
from collections.abc import AsyncIterator
from concurrent.futures import Executor

from serving.audiences.named import Audience
from serving.job_desk import Desk
from serving.state.database import State, StateError
from serving.state.list_exports import LeavingList, ListExport, ListExports

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
        self, parts: AsyncIterator[tuple[int, bytes]], export_id: str | None
    ) -> AsyncIterator[tuple[int, bytes]]:
        """Yield the parts of a list, and write down at its end, or where it broke off, how much went."""
        row_count, is_whole = 0, False
        try:
            async for count, lines in parts:
                row_count += count
                yield count, lines
            is_whole = True
        finally:
            if export_id is not None:
                # Not awaited: whoever broke off leaves nobody to wait.
                self._own_executor.submit(self._end, export_id, row_count, is_whole)

    def _end(self, export_id: str, row_count: int, is_whole: bool) -> None:
        try:
            self._lists.end(export_id, row_count=row_count, is_whole=is_whole)
        except StateError as error:
            _LOG.warning("the end of export %s was not kept: %s", export_id, error)


def leaving_csv(audience: Audience, *, key_id: str, form: str, items: int) -> LeavingList:
    """Return what is written down of a list that streams as CSV."""
    meta = audience.run.meta
    return LeavingList(
        key_id=key_id,
        job_id=None,
        audience=audience.slug,
        score_run_id=meta.score_run_id,
        as_of=meta.as_of.isoformat(),
        request={
            "profile": "generic",
            "format": form,
            "control": audience.control,
            "min_clv": audience.clv_min,
            "items": items,
        },
        control_group_share=audience.counts.control_group_share,
        control_group_count=audience.counts.control_group_count,
        with_identity=False,
    )
