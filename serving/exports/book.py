"""Where lists that leave the service are written down, before their first row goes."""

import asyncio
import logging
import math
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final, NamedTuple, Self

from serving.audiences.leaving import LeavingPeople, PlannedList
from serving.audiences.segment_list import name_of
from serving.job_desk import Desk
from serving.state.database import State, StateError
from serving.state.jobs import Job
from serving.state.list_exports import Ending, LeavingList, ListExport, ListExports, new_export_id
from serving.store.records import RunMeta

_LOG = logging.getLogger(__name__)
_PAGE_SECONDS: Final = 0.25
_SAME_SECONDS: Final = 60.0
_BEGUN_MAX: Final = 1_000


class Chain(NamedTuple):
    """The pages of a list that one reader has had: how many rows, and what they are written down as."""

    export_id: str = ""
    row_count: int = 0
    key_id: str = ""

    @classmethod
    def of(cls, values: Sequence[Any]) -> Self:
        """Return the chain that a cursor holds; those of earlier releases hold none."""
        return cls(*values)


class _Begun:
    """The lists that keys began to read by page a moment ago, by what they asked for."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def find(self, leaving: LeavingList) -> str:
        """Return what the same reading is written down as, "" where there is none as late."""
        export_id, begun = self._known.get(repr(leaving), ("", -math.inf))
        return export_id if time.monotonic() - begun < _SAME_SECONDS else ""

    def keep(self, leaving: LeavingList, export_id: str) -> None:
        """Keep what a reading is written down as."""
        self._known[repr(leaving)] = export_id, time.monotonic()
        self._known.move_to_end(repr(leaving))
        while len(self._known) > _BEGUN_MAX:
            self._known.popitem(last=False)


class ExportBook(Desk):
    """Writes down lists that leave, and looks them up; every failure is a problem: no list leaves unrecorded.

    Where there is no state (the server's own command makes one) nothing is kept.
    """

    def __init__(self, state: State, executor: Executor) -> None:
        super().__init__(executor)
        self._own_executor = executor
        self._lists = ListExports(state)
        self._noting = threading.Lock()
        self._noted: dict[str, Ending] = {}
        self._begun = _Begun()

    async def begin(self, leaving: LeavingList) -> str | None:
        """Write down that a list leaves; raises a 503 problem."""
        return await self._in_thread(lambda: self._lists.begin(leaving))

    async def turn_page(self, leaving: LeavingList, chain: Chain, *, row_count: int, has_more: bool) -> Chain:
        """Write down a page of a list that is read by page, all pages of one reader as one list.

        The first page waits a moment until it is written down; how many rows the others have is noted, and
        nobody waits for it. Reading goes on where nothing can be written: the log says who read what. A key
        that begins the same list again within a minute is the same entry: who asks without end fills no disk.
        """
        if chain.key_id != leaving.key_id or not chain.export_id:
            known = self._begun.find(leaving)
            chain = Chain(known, 0, leaving.key_id)
        total = chain.row_count + row_count
        if chain.export_id:
            self._note(chain.export_id, Ending(total, is_whole=not has_more))
            return chain._replace(row_count=total)
        export_id = await self._begin_page(replace(leaving, row_count=total, is_whole=not has_more))
        self._begun.keep(leaving, export_id)
        return Chain(export_id, total, leaving.key_id)

    async def _begin_page(self, leaving: LeavingList) -> str:
        """Return what a first page is written down as, "" where it could not be."""
        export_id = new_export_id()
        written = asyncio.get_running_loop().run_in_executor(
            self._own_executor, self._write_page, leaving, export_id
        )
        await asyncio.wait([written], timeout=_PAGE_SECONDS)
        return "" if written.done() and not written.result() else export_id

    def _write_page(self, leaving: LeavingList, export_id: str) -> bool:
        try:
            return self._lists.begin(leaving, export_id) is not None
        except StateError as error:
            who = leaving.key_id or "(open door)"
            _LOG.warning("%s read pages of %s, which was not written down: %s", who, leaving.audience, error)
            return False

    def _note(self, export_id: str, ending: Ending) -> None:
        """Note how far pages came; one writing at a time takes along all that was noted meanwhile."""
        with self._noting:
            is_first = not self._noted
            self._noted[export_id] = max(ending, self._noted.get(export_id, ending))
        if is_first:
            with suppress(RuntimeError):  # The process ends: what it wrote down so far stays.
                self._own_executor.submit(self._grow)

    def _grow(self) -> None:
        with self._noting:
            noted, self._noted = self._noted, {}
        try:
            self._lists.grow(noted)
        except StateError as error:
            _LOG.warning("pages of %d exports were not counted: %s", len(noted), error)

    async def page(
        self, *, before: int | None, limit: int, key_id: str | None, with_pages: bool = True
    ) -> list[ListExport]:
        """Return the newest lists of a key (None: of all); raises a 503 problem."""
        return await self._in_thread(
            lambda: self._lists.page(before=before, limit=limit, key_id=key_id, with_pages=with_pages)
        )

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


def leaving_people(people: LeavingPeople, *, key_id: str, request: Mapping[str, Any]) -> LeavingList:
    """Return what is written down of people who leave in an answer; `request` is the filter and the form."""
    count = people.contact_count if isinstance(people, PlannedList) else None
    leaving = leaving_rows(people.run.meta, people.name, key_id=key_id, request=contacted(request, count))
    share, held = people.control_group_share, people.control_group_count
    return replace(leaving, control_group_share=share, control_group_count=held)


def leaving_rows(meta: RunMeta, name: str, *, key_id: str, request: Mapping[str, Any]) -> LeavingList:
    """Return what is written down of rows of a run that have no control group."""
    return LeavingList(
        key_id=key_id,
        job_id=None,
        audience=name,
        score_run_id=meta.score_run_id,
        as_of=meta.as_of.isoformat(),
        request={"profile": "generic", **request},
        control_group_share=0.0,
        control_group_count=0,
        with_identity=False,
    )


def leaving_job(job: Job, key_id: str) -> LeavingList:
    """Return what is written down of a job's file that is fetched: all of it counts as taken."""
    return LeavingList(
        key_id=key_id,
        job_id=job.job_id,
        audience=name_of(job.request),
        score_run_id=job.result["score_run_id"],
        as_of=job.result["as_of"],
        request=contacted(job.request, job.result.get("contact_count")) | _laid_over(job),
        control_group_share=job.result["control_group_share"],
        control_group_count=job.result.get("control_group_count"),
        with_identity=job.with_identity,
        row_count=job.result["row_count"],
        is_whole=True,
    )


def _laid_over(job: Job) -> dict[str, Any]:
    """Return up to where newer scores had a say in whom a job's plan contacts, where it has one."""
    return {"overlay_sequence": job.result.get("overlay_sequence", 0)} if job.request.get("plan") else {}


def contacted(request: Mapping[str, Any], contact_count: int | None) -> dict[str, Any]:
    """Return what was asked with how many its plan contacts, where it has one: 0 says why no row left."""
    plan = request.get("plan")
    return {**request, "plan": {**plan, "contact_count": contact_count}} if plan else dict(request)
