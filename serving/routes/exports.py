"""Exports as jobs: asked for, looked at, and their files fetched."""

import re
from dataclasses import asdict
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import FileResponse

from serving.audiences.named import find_audience
from serving.exports.book import leaving_job
from serving.openapi import BODY_PROBLEMS, PROBLEMS, body_of
from serving.schemas.export_request import (
    ExportRequest,
    read_export_request,
    read_stored,
    stored_request,
)
from serving.schemas.jobs import JobShape
from serving.schemas.outcomes import ListExports
from serving.schemas.plan_request import campaign_of
from serving.segments.desk import compiled
from serving.state.idempotency import Repeatable
from serving.state.jobs import Job, Order
from serving.state.list_exports import ListExport
from serving.web.answers import json_answer
from serving.web.bodies import read_json
from serving.web.calls import Taken
from serving.web.context import Context, context_of
from serving.web.problems import FieldError, ProblemError, malformed
from serving.web.scopes import ScopedRoute, caller_of, needs

router = APIRouter(route_class=ScopedRoute, prefix="/v1", tags=["exports"])

BODY_BYTES_MAX: Final = 10_000
_IDENTITY: Final = "identity:read"
_NAME: Final = re.compile(r"[\x21-\x7e]{1,255}")
_COUNTS: Final = (
    "score_run_id",
    "as_of",
    "row_count",
    "skipped_count",
    "control_group_share",
    "contact_count",
)
_TYPES: Final = {
    "csv": "text/csv; charset=utf-8",
    "ndjson": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
    "gz": "application/gzip",
}


@router.post(
    "/exports",
    status_code=202,
    responses={202: {"model": JobShape}, **PROBLEMS, **BODY_PROBLEMS},
    openapi_extra=needs("audiences:read") | body_of(ExportRequest, {"audience": "at-risk", "format": "csv"}),
)
async def post_export(
    request: Request,
    idempotency_key: str | None = Header(
        None, description="your own name of this call: within a day the same name and body make no second job"
    ),
) -> Response:
    """Leave a job that writes a list to files; `/v1/jobs/{job_id}` says when they are there.

    E-mail addresses are in them where the key has the scope `identity:read`.
    """
    if idempotency_key is not None and not _NAME.fullmatch(idempotency_key):
        raise malformed(FieldError("/header/idempotency-key", "syntax", "1 to 255 visible ASCII characters"))
    wanted = read_export_request(await read_json(request, bytes_max=BODY_BYTES_MAX))
    context, key = context_of(request), caller_of(request)
    stored = await _checked(context, wanted)
    key_id, may_see_people = (key.key_id, key.grants(_IDENTITY)) if key else ("", False)
    asked = wanted.model_dump_json(exclude=wanted.unsaid)
    call = Repeatable.of(key_id, "exports", idempotency_key, asked.encode()) if idempotency_key else None
    order = Order(key_id, stored, may_see_people, wanted.destination)
    job, is_repeated = await context.jobs.leave(order, call)
    answer = json_answer(shown(job))
    answer.status_code = 202
    answer.headers["location"] = f"/v1/jobs/{job.job_id}"
    if is_repeated:
        answer.headers["idempotency-replayed"] = "true"
    return answer


async def _checked(context: Context, wanted: ExportRequest) -> dict[str, Any]:
    """Return a request as it is kept; raises a problem where the live run cannot answer it."""
    run, campaign, segment = context.runs.current(), None, None
    if wanted.segment is not None:
        segment = await context.segments.find(wanted.segment, run, version=wanted.version)
        compiled(segment.text, run.meta)
    elif wanted.audience is not None:
        find_audience(run, wanted.audience, context.control_group, context.suppressed.people)
        if wanted.plan is not None:
            campaign, _ = campaign_of(wanted.plan, run.meta, context.settings, place="/body/plan")
    return stored_request(wanted, campaign=campaign, segment=segment)


@router.get(
    "/exports", responses={200: {"model": ListExports}, **PROBLEMS}, openapi_extra=needs("audiences:read")
)
async def list_exports(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    before: Annotated[
        int | None, Query(ge=1, le=2**53, description="`next_before` of the page before")
    ] = None,
) -> Response:
    """Return the lists that left the service, the newest first, with what came of each.

    Those that the key took; `admin` sees all.
    """
    key = caller_of(request)
    sees_all = key is not None and key.grants("admin")
    own = None if sees_all else key.key_id if key else ""
    found = await context_of(request).export_book.page(before=before, limit=limit + 1, key_id=own)
    following = found[limit - 1].export_number if len(found) > limit else None
    return json_answer({"exports": list(map(_shown_export, found[:limit])), "next_before": following})


def _shown_export(export: ListExport) -> dict[str, Any]:
    values = asdict(export)
    del values["export_number"]
    return values | {"outcome": export.outcome}


@router.get(
    "/jobs/{job_id}", responses={200: {"model": JobShape}, **PROBLEMS}, openapi_extra=needs("audiences:read")
)
async def get_job(request: Request, job_id: str) -> Response:
    """Return a job of the key that left it; `admin` sees all."""
    return json_answer(shown(await _find(request, job_id)))


@router.get(
    "/jobs/{job_id}/files/{name}",
    responses={200: {"content": {kind: {} for kind in _TYPES.values()}}, **PROBLEMS},
    openapi_extra=needs("audiences:read"),
)
async def get_file(request: Request, job_id: str, name: str) -> Response:
    """Return a file of a finished job; one with e-mail addresses needs the scope `identity:read` too."""
    job, key = await _find(request, job_id), caller_of(request)
    if job.with_identity and not (key and key.grants(_IDENTITY)):
        raise ProblemError(403, "scope-missing", f"The key lacks the scope {_IDENTITY}.", title="Not allowed")
    path = context_of(request).environment.layout.exports / job.job_id / str(job.attempt) / name
    if name not in {file["name"] for file in job.result.get("files", ())}:
        raise ProblemError(404, "unknown-file", "The job has no such file.", title="Unknown file")
    if job.status == "expired" or not path.is_file():
        raise ProblemError(410, "files-expired", "The files were deleted; export again.", title="Files gone")
    asked, row_count = read_stored(job.request), job.result.get("row_count") or 0
    await context_of(request).export_book.begin(leaving_job(job, key.key_id if key else ""))
    request.scope["taken"] = Taken(asked.name, asked.form, row_count, with_identity=job.with_identity)
    return FileResponse(
        path, filename=name, media_type=_TYPES[name.rpartition(".")[2]], headers={"cache-control": "no-store"}
    )


async def _find(request: Request, job_id: str) -> Job:
    context: Context = context_of(request)
    key = caller_of(request)
    sees_all = key is not None and key.grants("admin")
    return await context.jobs.find(job_id, key_id=None if sees_all else key.key_id if key else "")


def shown(job: Job) -> dict[str, Any]:
    """Return a job as an answer shows it; each file with its address."""
    files = [
        {**file, "url": f"/v1/jobs/{job.job_id}/files/{file['name']}"} for file in job.result.get("files", ())
    ]
    counts = {name: job.result.get(name) for name in _COUNTS}
    return {
        "job_id": job.job_id,
        "kind": "export",
        "status": job.status,
        "request": job.request,
        "with_identity": job.with_identity,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "expires_at": job.expires_at,
        **counts,
        "files": files,
        "error": job.error,
    }
