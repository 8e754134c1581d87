"""Calls of an application in its own process, with every byte of the address as a test wants it."""

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from starlette.testclient import TestClient

from serving.api import create_app
from serving.environment import Environment

PARTS_MAX = 20_000


class Answer(NamedTuple):
    """What came back; `taken_bytes` is how much of the body was read for it."""

    status: int
    headers: dict[str, str]
    body: bytes
    taken_bytes: int


class Caller:
    """Calls one application, which lives in the event loop of a test client."""

    def __init__(self, client: TestClient) -> None:
        self._client = client

    def call(
        self,
        method: str,
        target: str,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes | Iterable[bytes] = b"",
    ) -> Answer:
        """Call; the target is sent as it is, a body that is no bytes in its parts."""
        return self._client.portal.call(self._call, method, target, headers, body)  # type: ignore[union-attr]

    async def _call(
        self, method: str, target: str, headers: Iterable[tuple[str, str]], body: bytes | Iterable[bytes]
    ) -> Answer:
        sent: list[dict[str, Any]] = []
        taken = 0
        parts = _parts([body] if isinstance(body, bytes) else body)

        async def receive() -> dict[str, Any]:
            nonlocal taken
            part = await anext(parts, {"type": "http.disconnect"})
            taken += len(part.get("body", b""))
            return part

        async def send(message: Any) -> None:
            sent.append(message)

        await self._client.app(_scope(method, target, headers, self._client.app), receive, send)
        first = sent[0]
        names = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in first["headers"]}
        return Answer(first["status"], names, b"".join(m.get("body", b"") for m in sent[1:]), taken)


async def _parts(parts: Iterable[bytes]) -> AsyncIterator[dict[str, Any]]:
    for part in parts:
        yield {"type": "http.request", "body": part, "more_body": True}
    yield {"type": "http.request", "body": b"", "more_body": False}


def _scope(method: str, target: str, headers: Iterable[tuple[str, str]], app: Any) -> dict[str, Any]:
    raw_path, _, query = target.encode("latin-1").partition(b"?")
    own = [(b"host", b"127.0.0.1:8000")]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 40_000),
        "scheme": "http",
        "method": method,
        "root_path": "",
        "path": unquote_to_bytes(raw_path).decode("utf-8", "replace"),
        "raw_path": raw_path,
        "query_string": query,
        "headers": [*own, *((n.encode("latin-1"), v.encode("latin-1")) for n, v in headers)],
        "state": {},
        "app": app,
    }


@contextmanager
def calling(var: Path) -> Iterator[Caller]:
    """Start an application on a folder and end it again."""
    app = create_app(Environment(var=var))
    with TestClient(app, base_url="http://127.0.0.1:8000", raise_server_exceptions=False) as client:
        yield Caller(client)
