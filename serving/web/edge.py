"""The first thing that a request meets: its id, the check of its Host header, the headers of every answer.

It is also the last: here a call is counted and written down, and what nobody foresaw becomes a 500.
"""

import asyncio
import logging
import random
import re
import time
from collections.abc import Collection

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.web.calls import UNMATCHED, Call, Calls, method_label
from serving.web.problems import ProblemError, internal, problem_response

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
_GIVEN_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_PORT = re.compile(r":\d{1,5}$")
_LEFT = 499
_LOG = logging.getLogger(__name__)


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
        begun = time.perf_counter()
        answer = _Answer(_request_id(scope), send)
        scope["request_id"] = answer.request_id
        scope["extra_headers"] = answer.extra_headers
        context = scope["app"].state.context
        try:
            if context.guard.is_open and not self._is_ours(scope):
                await _wrong_host(scope)(scope, receive, answer.send)
            else:
                await self._app(scope, receive, answer.send)
        except asyncio.CancelledError:
            answer.status = answer.status or _LEFT
            raise
        except Exception as error:
            await _surprise(error, scope, receive, answer)
        finally:
            _note(context.calls, scope, answer, seconds=time.perf_counter() - begun)

    def _is_ours(self, scope: Scope) -> bool:
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1:
            return False
        return _PORT.sub("", hosts[0].decode("latin-1").lower()) in self._host_names


class _Answer:
    """What is sent, with the headers of every answer; `status` is 0 until it has begun.

    `extra_headers` are found out while a call is answered, such as the limit of its key.
    """

    __slots__ = ("_send", "extra_headers", "request_id", "status")

    def __init__(self, request_id: str, send: Send) -> None:
        self.request_id = request_id
        self.extra_headers: list[tuple[bytes, bytes]] = []
        self.status = 0
        self._send = send

    async def send(self, message: Message) -> None:
        """Pass a part of the answer on."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [
                *message.get("headers", ()),
                (b"x-request-id", self.request_id.encode()),
                (b"x-content-type-options", b"nosniff"),
                *self.extra_headers,
            ]
        await self._send(message)


def _note(calls: Calls, scope: Scope, answer: _Answer, *, seconds: float) -> None:
    calls.note(
        Call(
            answer.request_id,
            method_label(scope["method"]),
            scope.get("route_template", UNMATCHED),
            answer.status or _LEFT,
            seconds,
            scope.get("key_id"),
            scope.get("taken"),
        )
    )


async def _surprise(error: Exception, scope: Scope, receive: Receive, answer: _Answer) -> None:
    """Log an error that nobody foresaw, and answer 500; raise it again where the answer had begun."""
    _LOG.error("request %s failed", answer.request_id, exc_info=error)
    if answer.status:
        raise error
    await problem_response(internal(), Request(scope))(scope, receive, answer.send)


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
