"""What made the scores, and whether the service can answer."""

from fastapi import APIRouter, Request, Response

from serving.openapi import PROBLEMS
from serving.schemas.system import Alive, CurrentModels, Health
from serving.web.answers import json_answer
from serving.web.context import context_of
from serving.web.readiness import ready_run
from serving.web.scopes import PUBLIC, ScopedRoute, needs

router = APIRouter(route_class=ScopedRoute)
_SHOWN = set(CurrentModels.model_fields)


@router.get(
    "/v1/models/current",
    tags=["models"],
    responses={200: {"model": CurrentModels}, **PROBLEMS},
    openapi_extra=needs("predictions:read"),
)
async def get_current_models(request: Request) -> Response:
    """Return the champions of the live run, each with its figures beside the baseline's."""
    meta = context_of(request).runs.current().meta
    return json_answer(meta.model_dump(include=_SHOWN))


@router.get("/healthz", tags=["health"], responses={200: {"model": Alive}}, openapi_extra=needs(PUBLIC))
async def get_health() -> Response:
    """Return 200 as long as the process answers."""
    return json_answer({"status": "ok"})


@router.get(
    "/readyz",
    tags=["health"],
    responses={200: {"model": Health}, 503: PROBLEMS[503]},
    openapi_extra=needs(PUBLIC),
)
async def get_readiness(request: Request) -> Response:
    """Return 200 if a score run is loaded, readable and the one that is live, and the keys are; else 503.

    A run that is older than it may be is `stale`, and still 200: an old answer is better than none.
    """
    context = context_of(request)
    run = await ready_run(context)
    status = "stale" if context.view(run).is_stale else "ok"
    return json_answer({"status": status, "score_run_id": run.meta.score_run_id, "as_of": run.meta.as_of})
