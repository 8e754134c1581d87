"""What a key may do, and the routes that ask for it: a route that names no scope does not start."""

from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.guard import Guard
from serving.limiter import Limiter, too_many_calls
from serving.scope_names import SCOPES

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
        handler, scope = super().get_route_handler(), self.scope
        if scope in (PUBLIC, SIGNED):
            return handler

        async def admit_and_handle(request: Request) -> Response:
            await _admit(request.scope, scope)
            return await handler(request)

        return admit_and_handle


class Guarded:
    """An ASGI application that is mounted, behind the same check as routes."""

    def __init__(self, app: ASGIApp, scope: str) -> None:
        self._app = app
        self.scope = scope

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a caller who has the scope."""
        await _admit(scope, self.scope)
        await self._app(scope, receive, send)


async def _admit(scope: Scope, needed: str) -> None:
    """Let a call through, or raise a 401, 403 or 429 problem; a call that a key may make is counted."""
    context = scope["app"].state.context
    guard: Guard = context.guard
    key = guard.admit(scope, needed)
    if key is None:
        return
    limiter: Limiter = context.limiter
    allowance = await limiter.take(key)
    scope["extra_headers"] += allowance.headers
    if not allowance.is_allowed:
        raise too_many_calls(key)
