"""What the API's description shares, and how it is written.

python -m serving.openapi > docs/openapi.json
"""

import json
import sys
from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Request, Response
from pydantic import BaseModel

from serving.schemas.base import Problem
from serving.web.problems import MEDIA_TYPE
from serving.web.scopes import SECURITY_SCHEMES, SIGNATURE_SCHEME, ScopedRoute, needs

_WHEN: Final = {
    401: "no key, or none that counts",
    403: "the key lacks the scope",
    404: "unknown",
    410: "the cursor's run is gone",
    422: "malformed",
    429: "too many calls of the key",
    503: "no score run",
}


def _problems(when: Mapping[int, str]) -> dict[int | str, dict[str, Any]]:
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        status: {"description": f"Problem: {words}", "content": content} for status, words in when.items()
    }


PROBLEMS: Final = _problems(_WHEN)


_BODY_WHEN: Final = {408: "the body is too slow", 413: "the body is too large", 415: "no plain JSON"}
BODY_PROBLEMS: Final = _problems(_BODY_WHEN)

router = APIRouter(route_class=ScopedRoute, include_in_schema=False)


@router.get("/v1/openapi.json", openapi_extra=needs("predictions:read"))
async def get_description(request: Request) -> Response:
    """Return the API's own description."""
    return Response(describe(request.app), 200, {"cache-control": "no-store"}, "application/json")


def body_of(schema: type[BaseModel], example: object) -> dict[str, Any]:
    """Return a route's `openapi_extra` that describes the JSON body which the route reads by itself."""
    content = {"application/json": {"schema": schema.model_json_schema(), "example": example}}
    return {"requestBody": {"required": True, "content": content}}


def describe(app: FastAPI) -> str:
    """Return the API's description as it is committed: sorted keys, two spaces, a newline at the end."""
    description = app.openapi()
    _restore_nulls(app, description)
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    description["components"]["schemas"] |= problem.pop("$defs") | {"Problem": problem}
    description["components"]["securitySchemes"] = SECURITY_SCHEMES | SIGNATURE_SCHEME
    return json.dumps(description, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _restore_nulls(app: FastAPI, description: dict[str, Any]) -> None:
    """Put examples in again as they were written: FastAPI leaves out their nulls, which answers have."""
    included = (getattr(router, "original_router", None) for router in app.routes)
    for route in (route for router in included if router is not None for route in router.routes):
        if isinstance(route, ScopedRoute) and route.include_in_schema:
            content = route.responses.get(200, {}).get("content", {}).get("application/json", {})
            for method in (route.methods or ()) if "example" in content else ():
                answer = description["paths"][route.path_format][method.lower()]["responses"]["200"]
                answer["content"]["application/json"]["example"] = content["example"]


if __name__ == "__main__":
    from serving.api import create_app
    from serving.environment import Environment

    sys.stdout.write(describe(create_app(Environment())))
