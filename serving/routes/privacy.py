"""Erasure, access and suppression: asked for, looked at, and the file of an access request fetched."""

import re
from dataclasses import asdict
from typing import Any, Final

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import FileResponse

from serving.openapi import BODY_PROBLEMS, PROBLEMS, body_of
from serving.people.desk import Caller
from serving.schemas.privacy import PrivacyRequestShape
from serving.schemas.privacy_request import PrivacyAsked, read_privacy_request
from serving.state.privacy import PrivacyRequest
from serving.web.answers import json_answer
from serving.web.bodies import read_json
from serving.web.context import context_of
from serving.web.problems import FieldError, ProblemError, malformed
from serving.web.scopes import ScopedRoute, caller_of, needs

router = APIRouter(route_class=ScopedRoute, prefix="/v1/privacy/requests", tags=["privacy"])

BODY_BYTES_MAX: Final = 10_000
ACCESS_FILE: Final = "access.json"
_IDENTITY: Final = "identity:read"
_NAME: Final = re.compile(r"[\x21-\x7e]{1,255}")
_EXAMPLE: Final = {
    "request_id": "pr_9f1c2a7e4b5d6c7f8091a2b3c4d5e6f7",
    "type": "erasure",
    "status": "done",
    "serving_suppressed": True,
    "created_at": "2026-11-22T15:05:00Z",
    "started_at": "2026-11-22T15:05:02Z",
    "finished_at": "2026-11-22T15:05:09Z",
    "expires_at": None,
    "file": None,
    "stores": [
        {
            "store": "history",
            "status": "done",
            "row_count": 31,
            "file_count": 2,
            "at": "2026-11-22T15:05:05Z",
            "note": None,
        }
    ],
}
_ANSWER: Final[dict[str, Any]] = {
    "model": PrivacyRequestShape,
    "content": {"application/json": {"example": _EXAMPLE}},
}


@router.post(
    "",
    status_code=202,
    responses={202: _ANSWER, **PROBLEMS, **BODY_PROBLEMS},
    openapi_extra=needs("privacy:write") | body_of(PrivacyAsked, {"type": "erasure", "customer_id": "1063"}),
)
async def post_privacy_request(
    request: Request,
    idempotency_key: str | None = Header(
        None, description="your own name of this call: within a day the same name and body ask once"
    ),
) -> Response:
    """Ask for erasure, access or suppression of one person; somebody unknown is no error.

    Whoever is to be erased or suppressed is in no answer any more when this one comes. The stores follow; the
    request says which are done.
    """
    if idempotency_key is not None and not _NAME.fullmatch(idempotency_key):
        raise malformed(FieldError("/header/idempotency-key", "syntax", "1 to 255 visible ASCII characters"))
    asked = read_privacy_request(await read_json(request, bytes_max=BODY_BYTES_MAX))
    key, desk = caller_of(request), context_of(request).privacy
    key_id, may_see_people = (key.key_id, key.grants(_IDENTITY)) if key else ("", False)
    subject = await desk.find_subject(asked.customer_id, email=asked.email)
    caller = Caller(key_id, "privacy", idempotency_key, may_see_people)
    left, is_repeated = await desk.leave(asked.type, subject, caller)
    answer = json_answer(shown(left), status=202)
    answer.headers["location"] = f"/v1/privacy/requests/{left.request_id}"
    if is_repeated:
        answer.headers["idempotency-replayed"] = "true"
    return answer


@router.get("/{request_id}", responses={200: _ANSWER, **PROBLEMS}, openapi_extra=needs("privacy:write"))
async def get_privacy_request(request: Request, request_id: str) -> Response:
    """Return a request of the key that left it, with a receipt for each store; `admin` sees all."""
    return json_answer(shown(await _find(request, request_id)))


@router.get(
    "/{request_id}/file",
    responses={200: {"content": {"application/json": {}}}, **PROBLEMS},
    openapi_extra=needs("privacy:write"),
)
async def get_access_file(request: Request, request_id: str) -> Response:
    """Return everything that is held on the person of an access request.

    It has e-mail and phone where the key that asked had `identity:read`; then this one needs it too.
    """
    found, key = await _find(request, request_id), caller_of(request)
    if found.with_identity and not (key and key.grants(_IDENTITY)):
        raise ProblemError(403, "scope-missing", f"The key lacks the scope {_IDENTITY}.", title="Not allowed")
    path = context_of(request).environment.layout.exports / found.request_id / ACCESS_FILE
    if found.kind != "access" or found.status in ("queued", "running"):
        raise ProblemError(404, "unknown-file", "The request has no file, or not yet.", title="Unknown file")
    if not path.is_file():
        raise ProblemError(410, "files-expired", "The file was deleted; ask again.", title="Files gone")
    return FileResponse(
        path, filename=ACCESS_FILE, media_type="application/json", headers={"cache-control": "no-store"}
    )


async def _find(request: Request, request_id: str) -> PrivacyRequest:
    key = caller_of(request)
    sees_all = key is not None and key.grants("admin")
    desk = context_of(request).privacy
    return await desk.find(request_id, key_id=None if sees_all else key.key_id if key else "")


def shown(found: PrivacyRequest) -> dict[str, Any]:
    """Return a request as an answer shows it."""
    is_over = found.status not in ("queued", "running")
    has_file = found.kind == "access" and is_over
    return {
        "request_id": found.request_id,
        "type": found.kind,
        "status": found.status,
        "serving_suppressed": found.kind != "access",
        "created_at": found.created_at,
        "started_at": found.started_at,
        "finished_at": found.finished_at,
        "expires_at": found.expires_at,
        "file": f"/v1/privacy/requests/{found.request_id}/file" if has_file else None,
        "stores": [asdict(receipt) for receipt in found.receipts],
    }
