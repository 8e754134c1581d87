"""A Braze that accepts what Braze accepts: `/users/track` within its limits, attributes typed for ever."""

import json
import re
from typing import Any

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

ATTRIBUTES_MAX, BYTES_MAX, TEXT_MAX = 75, 4_000_000, 255
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_OWN = {"external_id", "_update_existing_only", "email"}


class FakeBraze:
    """Keeps users as Braze would; the first call is told to come again."""

    def __init__(self, server: HTTPServer, *, key: str) -> None:
        self.users: dict[str, dict[str, Any]] = {}
        self.sizes: list[int] = []
        self.data_points = 0
        self.refused: list[str] = []
        self._types: dict[str, str] = {}
        self._key = key
        self._is_busy = True
        server.expect_request("/users/track", method="POST").respond_with_handler(self._track)

    def _track(self, request: Request) -> Response:
        if self._is_busy:
            self._is_busy = False
            return Response("", 429, {"retry-after": "1"})
        problem = self._problem(request)
        if problem:
            self.refused.append(problem)
            return Response(json.dumps({"message": problem}), 400)
        users = json.loads(request.get_data())["attributes"]
        self.sizes.append(len(users))
        for user in users:
            self._keep(user)
        return Response(json.dumps({"message": "success", "attributes_processed": len(users)}), 201)

    def _problem(self, request: Request) -> str | None:
        if request.headers.get("authorization") != f"Bearer {self._key}":
            return "Invalid API key"
        if request.headers.get("content-type") != "application/json":
            return "no JSON"
        if len(request.get_data()) > BYTES_MAX:
            return "too many bytes"
        body = json.loads(request.get_data())
        if set(body) != {"attributes"} or not 1 <= len(body["attributes"]) <= ATTRIBUTES_MAX:
            return "1 to 75 attributes"
        return next((found for user in body["attributes"] if (found := self._user_problem(user))), None)

    def _user_problem(self, user: dict[str, Any]) -> str | None:
        if not isinstance(user.get("external_id"), str) or len(user["external_id"].encode()) > 997:
            return "no external_id"
        if user.get("_update_existing_only") is not True:
            return "would make new profiles"
        for name, value in user.items():
            if name in _OWN or value is None:
                continue
            kind = _kind(value)
            if kind is None or self._types.setdefault(name, kind) != kind:
                return f"{name} is of another type"
        return None

    def _keep(self, user: dict[str, Any]) -> None:
        profile = self.users.setdefault(user["external_id"], {})
        for name, value in user.items():
            if name in _OWN:
                continue
            self.data_points += 1
            if value is None:
                profile.pop(name, None)
            else:
                profile[name] = value


def _kind(value: Any) -> str | None:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str) and len(value) <= TEXT_MAX:
        return "date" if _DATE.fullmatch(value) else "text"
    return None
