"""Who was on the lists that left: files of ids, kept until all is known of what came of each.

A run is dropped when newer ones are published, and with it goes who was on its lists. So the worker keeps
them soon after a list left, and a run that is about to be published does before anything is dropped: also
where there is no worker nothing is lost. Files of jobs may be fetched for days; who is in one that was not
fetched yet is kept under the job's id, and found there when it leaves.
"""

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import polars as pl

from features.delivery_settings import ControlSettings
from features.layout import Layout
from features.loading import IngestError, only_one
from serving.audiences.control_group import ControlGroup
from serving.audiences.leaving import Drawing, people_of
from serving.audiences.picked_rows import ONLY_IDS
from serving.exports.book import leaving_job
from serving.schemas.export_request import wanted_people
from serving.state.database import State, StateError
from serving.state.jobs import Job, Jobs
from serving.state.list_exports import ListExports
from serving.state.overlays import Overlays
from serving.state.suppressions import Suppressions
from serving.store.contract import ScoreRun, ScoreStore
from serving.store.errors import OldRunError, RunGoneError, StoreError
from serving.store.overlay_run import OverlaidRun
from serving.web.problems import ProblemError

_ROWS_AT_ONCE: Final = 5_000
_WAIT_SECONDS: Final = 30.0
_PAUSE_SECONDS: Final = 0.1


class _Left(NamedTuple):
    """A list that left, or lies ready to: its file of ids, and of whom it is."""

    file_id: str
    score_run_id: str
    name: str
    request: dict[str, Any]
    control_group_share: float


def keep_members(layout: Layout, state: State, store: ScoreStore, *, until: float = 0.0) -> int:
    """Keep who was on the lists that left since the last time; return of how many it was kept.

    Whoever loads data meanwhile is waited for until an instant of `time.monotonic`; what is not kept then is
    tried again the next time.
    """
    exports, kept = ListExports(state), 0
    for each in exports.standing(["waiting"]):
        left = _Left(each.export_id, each.score_run_id, each.audience, each.request, each.control_group_share)
        found = _alone(layout, until, partial(_keep, layout, state, store, left, job_id=each.job_id))
        if found is None:
            return kept
        exports.note_members(each.export_id, "kept" if found else "gone")
        kept += found
    return kept


def keep_before_publishing(
    layout: Layout, state: State, store: ScoreStore, *, wait_seconds: float = _WAIT_SECONDS
) -> str | None:
    """Keep who is on all that left or may leave yet, before runs are dropped; returns what failed."""
    if not state.exists():
        return None
    try:
        until = time.monotonic() + wait_seconds
        keep_members(layout, state, store, until=until)
        lost = [job for job in _unfetched(state) if not _keep_job(layout, state, store, job, until)]
        count = len(ListExports(state).standing(["waiting"])) + len(lost)
    except (StateError, StoreError, OSError) as error:
        return f"warning: who was on lists that left was not kept: {error}"
    if count:
        return f"warning: who was on lists that left was not kept ({count}): somebody loads data just now"
    return None


def members_path(layout: Layout, file_id: str) -> Path:
    """Return the file of who was on a list, by its export's id, or by that of a job not fetched yet."""
    return layout.outcomes / f"{file_id}.parquet"


def remove_others(layout: Layout, state: State) -> None:
    """Remove the files of which nothing more is to be measured, also those that a stopped process left.

    Those of lists that wait or are measured stay, and of jobs that may leave yet.
    """
    # Looked for first: what somebody keeps meanwhile is not among them.
    found = list(layout.outcomes.glob("*.parquet"))
    if not found or not state.exists():
        return
    exports = [export.export_id for export in ListExports(state).standing(["waiting", "kept"])]
    jobs = [job.job_id for job in Jobs(state).list_done()]
    needed = {members_path(layout, each) for each in (*exports, *jobs)}
    for path in found:
        if path not in needed:
            path.unlink(missing_ok=True)


def _unfetched(state: State) -> list[Job]:
    """Return the finished jobs whose file was not fetched yet, and would be measured once it is."""
    done = [job for job in Jobs(state).list_done() if leaving_job(job, "").is_measured]
    fetched = ListExports(state).of_jobs([job.job_id for job in done])
    return [job for job in done if job.job_id not in fetched]


def _keep_job(layout: Layout, state: State, store: ScoreStore, job: Job, until: float) -> bool:
    """Say whether who is in the file of a job is kept; where its run is gone already, nothing can be."""
    of = leaving_job(job, "")
    left = _Left(job.job_id, of.score_run_id, of.audience, of.request, of.control_group_share)
    return _alone(layout, until, partial(_keep, layout, state, store, left)) is not None


def _alone(layout: Layout, until: float, work: Callable[[], bool]) -> bool | None:
    """Do something while nobody is at the data; None where somebody still is at some time.

    Whoever is erased meanwhile is either suppressed when the list is read, or erased from its file.
    """
    while True:
        try:
            with only_one(layout):
                return work()
        except IngestError:
            if time.monotonic() >= until:
                return None
            time.sleep(_PAUSE_SECONDS)


def _keep(layout: Layout, state: State, store: ScoreStore, left: _Left, *, job_id: str | None = None) -> bool:
    """Keep who is on a list; of a job's file they may be kept already.

    False where its run is gone, or made by another release: nobody can read any more who was on it.
    """
    path = members_path(layout, left.file_id)
    of_job = members_path(layout, job_id) if job_id else path
    if of_job.exists():
        of_job.replace(path)
        return True
    try:
        members = asyncio.run(_members(layout, state, store, left))
    except (RunGoneError, OldRunError, ProblemError):
        return False
    _write(path, members)
    return True


async def _members(layout: Layout, state: State, store: ScoreStore, left: _Left) -> pl.DataFrame:
    """Return `customer_id`, `is_control` of a list as its run has it; raises `RunGoneError`."""
    suppressed = Suppressions(state, layout.root).read()
    drawing = Drawing(ControlGroup.of(layout.private), suppressed, ControlSettings())
    wanted = wanted_people(left.name, left.request)._replace(control="include")
    run = store.open_run(left.score_run_id)
    try:
        taken = await _as_taken(run, state, left.request)
        people = await people_of(taken, wanted, drawing, share=left.control_group_share)
        rows = [
            (member.row[0], member.control_group)
            async for members in people.chunks(size=_ROWS_AT_ONCE, names=ONLY_IDS)
            for member in members
        ]
    finally:
        run.close()
        await store.aclose()
    return pl.DataFrame(rows, schema={"customer_id": pl.String, "is_control": pl.Boolean}, orient="row")


async def _as_taken(run: ScoreRun, state: State, request: Mapping[str, Any]) -> ScoreRun:
    """Return a run with the newer scores that had a say in whom a plan cut; else as it was made."""
    through = request.get("overlay_sequence")
    return await OverlaidRun(run, Overlays(state)).as_of(through) if through else run


def _write(path: Path, members: pl.DataFrame) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        members.write_parquet(stream)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)
