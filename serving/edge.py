"""The first thing that a request meets: its id, the check of its Host header, the headers of every answer."""

import random
import re
from collections.abc import Collection

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.problems import ProblemError, problem_response

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
_GIVEN_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_PORT = re.compile(r":\d{1,5}$")


class Edge:
    """ASGI middleware.

    Without keys the service answers only to names that are its own: a web page that makes a browser ask for
    127.0.0.1 under another name (DNS rebinding) gets 421. With keys such a page has none to send.
    """

    def __init__(self, app: ASGIApp, *, host_names: Collection[str]) -> None:
        self._app = app
        self._host_names = LOOPBACK_NAMES | frozenset(host_names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope["request_id"] = request_id
        # What is found out of a call while it is answered, such as the limit of its key.
        extra: list[tuple[bytes, bytes]] = []
        scope["extra_headers"] = extra

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"x-request-id", request_id.encode()),
                    (b"x-content-type-options", b"nosniff"),
                    *extra,
                ]
            await send(message)

        if scope["app"].state.context.guard.is_open and not self._is_ours(scope):
            await _wrong_host(scope)(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)

    def _is_ours(self, scope: Scope) -> bool:
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1:
            return False
        return _PORT.sub("", hosts[0].decode("latin-1").lower()) in self._host_names


def _request_id(scope: Scope) -> str:
    """Take the caller's id where it gives a harmless one, else make one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _GIVEN_ID.fullmatch(value):
            return str(value.decode())
    # It tells calls apart and guards nothing; the system's own random bytes cost a twentieth of a call.
    return f"{random.getrandbits(64):016x}"


def _wrong_host(scope: Scope) -> ASGIApp:
    problem = ProblemError(421, "wrong-host", "This service does not go by that name; call it by 127.0.0.1.")
    return problem_response(problem, Request(scope))
