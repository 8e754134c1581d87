"""Run the jobs that calls have left, until none waits: `python -m serving.jobs [--var var]`.

`--list` shows them all instead.

A job that is killed half-way is run again; a file appears whole, with its job done, or not at all. Files are
deleted after `[exports] keep_days`; what was exported by whom stays on record.
"""

import asyncio
import logging
import shutil
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer

from features.console import run_command
from features.layout import Layout
from features.settings import Settings, load_settings
from serving.audiences.control_group import ControlGroup
from serving.audiences.leaving import Drawing, LeavingPeople, PlannedList, people_of
from serving.databases import open_state, open_store
from serving.environment import Environment
from serving.exports.files import describe_file
from serving.exports.lists import People, Task, Written, write_changes, write_rows
from serving.present import RunView
from serving.schemas.export_request import ExportRequest, read_stored, wanted_people
from serving.state.database import State
from serving.state.jobs import LEASE_SECONDS, Job, Jobs, LostJobError
from serving.state.last_sent import LastSent
from serving.state.migrate import make
from serving.state.overlays import Overlays
from serving.state.suppressions import Suppressions
from serving.store.contract import ScoreRun, ScoreStore
from serving.store.errors import NoRunError, StoreError
from serving.store.overlay_run import OverlaidRun
from serving.web.problems import ProblemError
from serving.wording import wording_in

_LOG = logging.getLogger(__name__)
_ENDINGS: Final = {"csv": "csv", "excel": "csv", "ndjson": "ndjson", "parquet": "parquet"}


@dataclass(frozen=True, slots=True)
class Bench:
    """What running a job takes."""

    layout: Layout
    state: State
    store: ScoreStore
    settings: Settings

    @classmethod
    def of(cls, environment: Environment) -> "Bench":
        """Return the bench of an environment, with the settings of this process."""
        return cls(environment.layout, open_state(environment), open_store(environment), load_settings())

    @property
    def jobs(self) -> Jobs:
        """The jobs of the state."""
        return Jobs(self.state)


def run_next_job(bench: Bench, *, lease_seconds: float = LEASE_SECONDS) -> Job | None:
    """Run the oldest job that waits and return it as it is afterwards; None where none waits.

    What stops the process (a signal, Ctrl-C) gives the job back. Files that have had their time are deleted.
    """
    remove_expired(bench)
    job = bench.jobs.claim(now=time.time(), lease_seconds=lease_seconds)
    if job is None:
        return None
    try:
        _run(bench, job, lease_seconds)
    except LostJobError:
        _LOG.warning("job %s was taken over by another runner", job.job_id)
    except Exception as error:
        _LOG.warning("job %s failed: %s", job.job_id, type(error).__name__)
        with suppress(LostJobError):
            _give_up(bench, job, _code_of(error))
    except BaseException:
        with suppress(LostJobError):
            bench.jobs.release(job)
        raise
    else:
        _tidy(bench, job)
    return bench.jobs.get(job.job_id)


def remove_expired(bench: Bench) -> None:
    """Delete the files of jobs that are older than files are kept."""
    for job_id in bench.jobs.past_keeping(datetime.now(UTC)):
        shutil.rmtree(bench.layout.exports / job_id, ignore_errors=True)
        bench.jobs.mark_expired(job_id)


def _run(bench: Bench, job: Job, lease_seconds: float) -> None:
    result = asyncio.run(_export_live(bench, job, _beat(bench.jobs, job, lease_seconds)))
    bench.jobs.finish(job, result, keep_days=bench.settings.exports.keep_days)


def _tidy(bench: Bench, job: Job) -> None:
    """Remove what a finished job replaced, and what attempts before it left."""
    if job.destination:
        LastSent(bench.state, job.destination).prune(job.job_number)
    for folder in (bench.layout.exports / job.job_id).iterdir():
        if folder.name != str(job.attempt):
            shutil.rmtree(folder, ignore_errors=True)


async def _export_live(bench: Bench, job: Job, beat: Callable[[], None]) -> dict[str, Any]:
    """Write the file of a job from the live run, with whoever was scored again since, as calls answer.

    The store keeps no connection of this event loop.
    """
    run = OverlaidRun(bench.store.open_run(bench.store.live_run_id()), Overlays(bench.state))
    try:
        await run.follow()
        result = await _export(bench, job, run, beat)
        return result | {"overlay_sequence": run.through}
    finally:
        run.close()
        await bench.store.aclose()


async def _export(bench: Bench, job: Job, run: ScoreRun, beat: Callable[[], None]) -> dict[str, Any]:
    """Write the file of a job and return what came of it."""
    request = read_stored(job.request)
    group = ControlGroup.of(bench.layout.private)
    suppressed = Suppressions(bench.state, bench.layout.root).read()
    drawing = Drawing(group, suppressed, bench.settings.control)
    people = await people_of(run, wanted_people(request.name, job.request), drawing)
    addresses = People(bench.layout.private, may_see=job.with_identity)
    folder, name = _make_folder(bench.layout.exports, job), _file_name(request, run)
    task = Task(request, people, addresses, folder, name, beat)
    if job.destination:
        last = LastSent(bench.state, job.destination)
        last.forget_job(job.job_number)
        written = await write_changes(task, last, job.job_number)
    else:
        written = await write_rows(task, RunView(run.meta, wording_in(task.request.language)))
    return _result(people, written, folder / name)


def _result(people: LeavingPeople, written: Written, path: Path) -> dict[str, Any]:
    return {
        "score_run_id": people.run.meta.score_run_id,
        "as_of": people.run.meta.as_of.isoformat(),
        **written._asdict(),
        "control_group_share": people.control_group_share,
        "control_group_count": people.control_group_count,
        "contact_count": people.contact_count if isinstance(people, PlannedList) else None,
        "files": [describe_file(path)],
    }


def _file_name(request: ExportRequest, run: ScoreRun) -> str:
    profile = "" if request.is_generic else f"{request.profile}-"
    packed = ".gz" if request.gzip else ""
    day = run.meta.as_of.isoformat()
    return f"{profile}{request.audience or request.segment}-{day}.{_ENDINGS[request.form]}{packed}"


def _make_folder(exports: Path, job: Job) -> Path:
    """Return a folder of this attempt: two runners of one job never write into the same."""
    folder = exports / job.job_id / str(job.attempt)
    for path in (exports, folder.parent, folder):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _beat(jobs: Jobs, job: Job, lease_seconds: float) -> Callable[[], None]:
    """Return what renews the lease when a quarter of it has passed."""
    renewed = time.monotonic()

    def beat() -> None:
        nonlocal renewed
        if time.monotonic() - renewed >= lease_seconds / 4:
            renewed = time.monotonic()
            jobs.renew(job, now=time.time(), lease_seconds=lease_seconds)

    return beat


def _give_up(bench: Bench, job: Job, code: str) -> None:
    bench.jobs.fail(job, code)
    if job.destination:
        LastSent(bench.state, job.destination).forget_job(job.job_number)
    shutil.rmtree(bench.layout.exports / job.job_id, ignore_errors=True)


def _code_of(error: Exception) -> str:
    if isinstance(error, ProblemError):
        return error.slug.replace("-", "_")
    if isinstance(error, NoRunError):
        return "no_scores"
    if isinstance(error, StoreError):
        return "scores_unreadable"
    return "disk" if isinstance(error, OSError) else "internal"


def _told(job: Job) -> str:
    request = job.request
    what = f"{read_stored(request).name} for {request['profile']}"
    rows = job.result.get("row_count")
    outcome = f"{job.status}, {rows} rows" if rows is not None else f"{job.status} {job.error or ''}".strip()
    people = ", with e-mail addresses" if job.with_identity else ""
    return f"{job.created_at}  {job.job_id}  {job.key_id or '(open door)'}  {what}{people}: {outcome}\n"


def _stop(*_: object) -> NoReturn:
    raise SystemExit(128 + signal.SIGTERM)


def _command(
    *,
    only_list: Annotated[bool, typer.Option("--list", help="show all jobs there ever were instead")] = False,
    var: Annotated[Path, typer.Option(envvar="VAR", help="where everything that is written lies")] = Path(
        "var"
    ),
) -> None:
    """Run the export jobs that wait, one after another, until none is left."""
    bench = Bench.of(Environment(var=var))
    make(bench.state)
    if only_list:
        sys.stdout.write("".join(map(_told, bench.jobs.list_all())))
        return
    signal.signal(signal.SIGTERM, _stop)
    while job := run_next_job(bench):
        sys.stdout.write(_told(job))


if __name__ == "__main__":
    run_command(_command)
