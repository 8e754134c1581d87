"""What a key may do, and the routes that ask for it: a route that names no scope does not start."""

import inspect
from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.state.keys import Key
from serving.store.turns import ASKER
from serving.web.guard import Guard
from serving.web.limiter import Limiter, too_many_calls
from serving.web.scope_names import SCOPES

PUBLIC: Final = "public"
SIGNED: Final = "signed"
SECURITY_SCHEMES: Final = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "a key, as `make key` prints it"},
    "basic": {"type": "http", "scheme": "basic", "description": "the key as the user name; no password"},
}
SIGNATURE_SCHEME: Final = {
    "signature": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Shopify-Hmac-Sha256",
        "description": "base64 of HMAC-SHA256 over the raw body; WooCommerce's is X-WC-Webhook-Signature",
    }
}


def needs(scope: str) -> dict[str, Any]:
    """Return a route's `openapi_extra` that asks callers for a scope.

    `PUBLIC` asks for nothing; a `SIGNED` route checks the body's signature by itself.

    >>> needs("audiences:read")["security"]
    [{'bearer': ['audiences:read']}, {'basic': ['audiences:read']}]
    """
    if scope == PUBLIC:
        return {"security": []}
    if scope == SIGNED:
        return {"security": [{name: [] for name in SIGNATURE_SCHEME}]}
    if scope not in SCOPES:
        raise ValueError(f"there is no scope {scope!r}; known: {', '.join(SCOPES)}")
    return {"security": [{name: [scope]} for name in SECURITY_SCHEMES]}


class ScopedRoute(APIRoute):
    """A route that answers only callers with its scope, which `openapi_extra=needs(…)` names."""

    @property
    def scope(self) -> str:
        """The scope that a caller needs, `PUBLIC` or `SIGNED`; raises `ValueError` where none is named."""
        security = (self.openapi_extra or {}).get("security")
        if security is None:
            raise ValueError(f"the route {self.path} names no scope: openapi_extra=needs(…)")
        if not security:
            return PUBLIC
        return str(security[0]["bearer"][0]) if "bearer" in security[0] else SIGNED

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler behind the check of the caller's key."""
        handler, scope, template = super().get_route_handler(), self.scope, self.path_format
        endpoint = self.endpoint if self._has_defaults_alone() else None

        async def admit_and_handle(request: Request) -> Response:
            called = request.scope
            called["route_template"] = template
            if scope not in (PUBLIC, SIGNED):
                await _admit(called, scope)
            if endpoint is not None and not called["query_string"]:
                # Nothing was sent that could be wrong: the defaults hold, at half the processor time.
                response: Response = await endpoint(request=request, **called["path_params"])
                return response
            return await handler(request)

        return admit_and_handle

    def _has_defaults_alone(self) -> bool:
        """Say whether a call without a query leaves FastAPI nothing to read, check or write.

        So it is where the endpoint takes the request, parts of the path as they are, and values of the query
        that have defaults, and makes its response by itself.
        """
        asked, signature = self.dependant, inspect.signature(self.endpoint, eval_str=True)
        others = (asked.body_params, asked.header_params, asked.cookie_params, asked.dependencies)
        in_path = {field.name for field in asked.path_params}
        given = [
            parameter.annotation is str if name in in_path else parameter.default is not parameter.empty
            for name, parameter in signature.parameters.items()
            if name != "request"
        ]
        takes_request = asked.request_param_name == "request"
        return takes_request and signature.return_annotation is Response and all(given) and not any(others)


def caller_of(request: Request) -> Key | None:
    """Return the key of whoever calls a route with a scope; None through the open door."""
    key: Key | None = request.scope["caller"]
    return key


class Guarded:
    """An ASGI application that is mounted, behind the same check as routes."""

    def __init__(self, app: ASGIApp, scope: str) -> None:
        self._app = app
        self.scope = scope

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a caller who has the scope."""
        scope["route_template"] = scope["root_path"]
        await _admit(scope, self.scope)
        await self._app(scope, receive, send)


async def _admit(scope: Scope, needed: str) -> None:
    """Let a call through, or raise a 401, 403 or 429 problem; a call that a key may make is counted."""
    context = scope["app"].state.context
    guard: Guard = context.guard
    key = scope["caller"] = guard.admit(scope, needed)
    if key is None:
        return
    scope["key_id"] = key.key_id
    ASKER.set(key.key_id)
    limiter: Limiter = context.limiter
    allowance = await limiter.take(key)
    scope["extra_headers"] += allowance.headers
    if not allowance.is_allowed:
        raise too_many_calls(key)
