"""A Klaviyo that accepts what Klaviyo accepts: bulk imports of profiles, as JSON:API, within its limits."""

import json
import re
from typing import Any

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

PROFILES_MAX, BYTES_MAX, PROFILE_BYTES_MAX, ID_MAX = 10_000, 5_000_000, 100_000, 255
_MEDIA_TYPE = "application/vnd.api+json"
_REVISION = re.compile(r"20\d\d-\d\d-\d\d")


class FakeKlaviyo:
    """Keeps the properties of profiles; the first call is told to come again."""

    def __init__(self, server: HTTPServer, *, key: str) -> None:
        self.profiles: dict[str, dict[str, Any]] = {}
        self.emails: dict[str, str] = {}
        self.sizes: list[int] = []
        self.refused: list[str] = []
        self._key = key
        self._is_busy = True
        path = "/api/profile-bulk-import-jobs"
        server.expect_request(path, method="POST").respond_with_handler(self._import)

    def _import(self, request: Request) -> Response:
        if self._is_busy:
            self._is_busy = False
            return Response("", 429, {"retry-after": "1"})
        problem = self._problem(request)
        if problem:
            self.refused.append(problem)
            return Response(json.dumps({"errors": [{"detail": problem}]}), 400, content_type=_MEDIA_TYPE)
        profiles = _profiles(request)
        self.sizes.append(len(profiles))
        for profile in profiles:
            found = profile["attributes"]
            kept = self.profiles.setdefault(found["external_id"], {})
            kept |= found["properties"]
            self.profiles[found["external_id"]] = {n: v for n, v in kept.items() if v is not None}
            if "email" in found:
                self.emails[found["external_id"]] = found["email"]
        return Response("{}", 202, content_type=_MEDIA_TYPE)

    def _problem(self, request: Request) -> str | None:
        return self._header_problem(request) or _body_problem(request)

    def _header_problem(self, request: Request) -> str | None:
        headers = request.headers
        if headers.get("authorization") != f"Klaviyo-API-Key {self._key}":
            return "not authenticated"
        if not _REVISION.fullmatch(headers.get("revision", "")):
            return "no revision"
        if headers.get("content-type") != _MEDIA_TYPE:
            return "no JSON:API"
        return None


def _body_problem(request: Request) -> str | None:
    if len(request.get_data()) > BYTES_MAX:
        return "too many bytes"
    data = json.loads(request.get_data())["data"]
    if data["type"] != "profile-bulk-import-job" or set(data["attributes"]) != {"profiles"}:
        return "no import job"
    profiles = _profiles(request)
    if not 1 <= len(profiles) <= PROFILES_MAX:
        return "1 to 10,000 profiles"
    return next((found for profile in profiles if (found := _profile_problem(profile))), None)


def _profiles(request: Request) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(request.get_data())["data"]["attributes"]["profiles"]["data"]
    return found


def _profile_problem(profile: dict[str, Any]) -> str | None:
    found = profile["attributes"]
    if profile["type"] != "profile" or not set(found) <= {"external_id", "email", "properties"}:
        return "no profile"
    if not 1 <= len(found["external_id"]) <= ID_MAX:
        return "no external_id"
    if len(json.dumps(profile).encode()) > PROFILE_BYTES_MAX:
        return "too large a profile"
    if any(isinstance(value, dict | list) for value in found["properties"].values()):
        return "not flat"
    return None
