"""The door: every route behind its scope, whoever comes with the wrong key or with none."""

import base64
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from fastapi.routing import APIRoute
from serving_runs import publish
from starlette.routing import BaseRoute, Mount
from starlette.testclient import TestClient

from serving.api import create_app
from serving.databases import open_state
from serving.environment import Environment
from serving.openapi import describe
from serving.schemas.base import Problem
from serving.state.database import State, StateBusyError
from serving.state.keys import KEY_PREFIX, Key, Keys
from serving.state.migrate import make
from serving.web.guard import Guard
from serving.web.scope_names import SCOPES
from serving.web.scopes import PUBLIC, SIGNED, Guarded, ScopedRoute, needs

IN_PATHS = {
    "customer_id": "c1",
    "product_id": "p1",
    "slug": "at-risk",
    "job_id": "j_0",
    "request_id": "pr_0",
    "name": "f",
    "code": "ko",
}
HOST = {"host": "127.0.0.1:8000"}


def every_route(routes: list[BaseRoute]) -> Iterator[BaseRoute]:
    """Yield the routes of an application, those of included routers too."""
    for route in routes:
        included = getattr(route, "original_router", None)
        if included is None:
            yield route
        else:
            yield from every_route(included.routes)


ROUTES = list(every_route(create_app(Environment()).routes))
CALLS = sorted(
    {
        (method, route.path, route.scope)
        for route in ROUTES
        if isinstance(route, ScopedRoute)
        for method in route.methods
    }
    | {("GET", f"{route.path}/console.css", route.app.scope) for route in ROUTES if isinstance(route, Mount)}  # type: ignore[attr-defined]
)
EXAMPLES = {
    path: operations["post"]["requestBody"]["content"]["application/json"]["example"]
    for path, operations in json.loads(describe(create_app(Environment())))["paths"].items()
    if "requestBody" in operations.get("post", {})
}
# Of the console, which is not described.
EXAMPLES["/segments/look"] = {"text": "lapsed", "cursor": 0}
SCOPED = [call for call in CALLS if call[2] not in (PUBLIC, SIGNED)]


def with_keys(var: Path) -> tuple[State, Keys]:
    """Publish a run and make a state that holds no key yet."""
    publish(var)
    state = open_state(Environment(var=var))
    make(state)
    return state, Keys(state)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return with_keys(tmp_path_factory.mktemp("var"))[1]


@pytest.fixture(scope="module")
def client(keys: Keys) -> Iterator[TestClient]:
    keys.add("first", ["predictions:read"])
    with open_client(keys) as opened:
        yield opened


def open_client(keys: Keys, **settings: object) -> TestClient:
    var = keys._state._mark.parent.parent
    app = create_app(Environment(var=var, poll_seconds=0.05, **settings))  # type: ignore[arg-type]
    return TestClient(app, base_url="http://127.0.0.1:8000", raise_server_exceptions=False)


def refresh(client: TestClient) -> None:
    client.app.state.context.guard.refresh()  # type: ignore[attr-defined]


def call(client: TestClient, method: str, path: str, **headers: str) -> tuple[int, Problem | None]:
    """Call a route with ids that fit it; return the status, and the problem if it is one."""
    filled = path
    for name, value in IN_PATHS.items():
        filled = filled.replace(f"{{{name}:{name}}}", value).replace(f"{{{name}}}", value)
    assert "{" not in filled
    if path == "/v1/predictions":
        filled += "?customer_id=c1"
    if path == "/v1/bundle":
        filled += "?product_id=p1"
    body = EXAMPLES.get(path) if method == "POST" else None
    answer = client.request(method, filled, headers=headers, json=body, follow_redirects=False)
    is_problem = answer.headers.get("content-type") == "application/problem+json"
    return answer.status_code, Problem.model_validate(answer.json()) if is_problem else None


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


def test_every_route_names_its_scope() -> None:
    assert all(isinstance(route, ScopedRoute | Mount) for route in ROUTES)
    assert all(isinstance(route.app, Guarded) for route in ROUTES if isinstance(route, Mount))
    assert {call[1] for call in CALLS if call[2] == PUBLIC} == {"/healthz", "/readyz"}
    assert {call[1] for call in CALLS if call[2] == SIGNED} == {
        "/v1/hooks/shopify/{source}",
        "/v1/hooks/woocommerce/{source}",
    }
    assert len(SCOPED) >= 14


def test_a_route_without_a_scope_does_not_start() -> None:
    async def forgotten() -> None: ...

    with pytest.raises(ValueError, match="/forgotten names no scope"):
        ScopedRoute("/forgotten", forgotten)
    with pytest.raises(ValueError, match="there is no scope 'everything'"):
        needs("everything")
    assert issubclass(ScopedRoute, APIRoute)


@pytest.mark.parametrize(("method", "path", "scope"), SCOPED)
def test_the_matrix_of_routes_and_keys(
    client: TestClient, keys: Keys, method: str, path: str, scope: str
) -> None:
    _, right = keys.add("right", [scope])
    _, wrong = keys.add("wrong", sorted(SCOPES.keys() - {scope, "admin"}))
    _, admin = keys.add("admin", ["admin"])
    old, revoked = keys.add("revoked", [scope])
    keys.revoke(old.key_id)
    _, expired = keys.add("expired", [scope], expires_at=datetime.now(UTC) - timedelta(seconds=1))
    refresh(client)
    for headers in ({}, bearer(revoked), bearer(expired), bearer(KEY_PREFIX + "x" * 43), bearer("")):
        status, problem = call(client, method, path, **headers)
        assert (status, problem and problem.type) == (401, "urn:regulars:problem:key-refused")
    status, problem = call(client, method, path, **bearer(wrong))
    assert (status, problem and problem.type) == (403, "urn:regulars:problem:scope-missing")
    assert problem is not None
    assert scope in problem.detail
    for secret in (right, admin):
        assert call(client, method, path, **bearer(secret))[0] in (200, 202, 303, 404)


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_the_checks_of_a_load_balancer_need_no_key(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 200


def test_a_browser_sends_the_key_as_user_name(client: TestClient, keys: Keys) -> None:
    refused = client.get("/")
    assert refused.status_code == 401
    # A browser looks at the first challenge of a header and no further.
    assert refused.headers["www-authenticate"].startswith('Basic realm="regulars"')
    _, secret = keys.add("marketer", ["audiences:read"])
    refresh(client)
    assert client.get("/", auth=(secret, "")).status_code == 200
    assert client.get("/", auth=(secret, "any:thing")).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Basic",
        "Basic !!!",
        "Basic " + base64.b64encode(b"\xff\xfe:").decode(),
        "Basic " + "A" * 100_000,
        "Bearer " + "A" * 100_000,
        "Digest username=x",
        "regulars_",
        "Bearer Bearer regulars_x",
        "\t",
    ],
)
def test_odd_headers_are_refused_and_repeated_nowhere(client: TestClient, header: str) -> None:
    answer = client.get("/v1/customers/c1/predictions", headers={"authorization": header})
    assert answer.status_code == 401
    assert header[7:20].strip() == "" or header[7:] not in answer.text


def test_two_authorization_headers_are_refused(client: TestClient, keys: Keys) -> None:
    _, secret = keys.add("twice", ["predictions:read"])
    refresh(client)
    headers = [("authorization", f"Bearer {secret}"), ("authorization", f"Bearer {secret}")]
    assert client.get("/v1/models/current", headers=headers).status_code == 401


def test_with_keys_the_name_of_the_host_is_anybodys(client: TestClient, keys: Keys) -> None:
    _, secret = keys.add("host", ["predictions:read"])
    refresh(client)
    given = bearer(secret) | {"host": "shop.example.org"}
    assert client.get("/v1/models/current", headers=given).status_code == 200
    assert client.get("/v1/models/current", headers={"host": "shop.example.org"}).status_code == 401


@pytest.mark.usefixtures("database")
def test_the_door_closes_with_the_first_key_and_opens_no_more(tmp_path: Path) -> None:
    publish(tmp_path)
    state = open_state(Environment(var=tmp_path))
    keys = Keys(state)
    with open_client(keys) as client:
        assert client.get("/v1/models/current").status_code == 200
        assert client.get("/v1/models/current", headers={"host": "evil.example"}).status_code == 421
        make(state)
        key, secret = keys.add("first", ["predictions:read"])
        wait_for(client, 401)
        wait_for(client, 200, **bearer(secret))
        keys.revoke(key.key_id)
        wait_for(client, 401, **bearer(secret))
        assert client.get("/v1/models/current").status_code == 401
        assert client.get("/readyz").status_code == 200


def lose(state: State, database: str, damage: str) -> None:
    """Take the database away, or leave something there that is none of ours."""
    if database == "postgresql":
        with state.writing() as connection:
            connection.execute(sa.text("DROP SCHEMA regulars CASCADE"))
            if damage == "noise":
                connection.execute(sa.text("CREATE SCHEMA regulars"))
                connection.execute(sa.text("CREATE TABLE regulars.alembic_version (n integer)"))
        return
    for path in state.path.parent.iterdir():
        path.unlink()
    if damage == "noise":
        state.path.write_bytes(b"no database" * 1_000)


@pytest.mark.parametrize("damage", ["gone", "noise"])
def test_where_the_keys_cannot_be_read_the_known_ones_stay(
    tmp_path: Path, database: str, damage: str
) -> None:
    state, keys = with_keys(tmp_path)
    _, secret = keys.add("first", ["predictions:read"])
    with open_client(keys) as client:
        assert client.get("/v1/models/current", headers=bearer(secret)).status_code == 200
        lose(state, database, damage)
        # Noticed by the watch, which may be in the middle of reading what was there before.
        wait_for(client, 503, path="/readyz")
        assert client.get("/v1/models/current").status_code == 401
        assert client.get("/v1/models/current", headers=bearer(secret)).status_code == 200
        # Suppressions lie in the same file, and may be missed first.
        end = time.monotonic() + 60
        while client.get("/readyz").json()["type"] != "urn:regulars:problem:no-keys":
            assert time.monotonic() < end, "the keys are not missed"
    with open_client(keys) as another:  # as a worker that was killed and started again
        assert another.get("/v1/models/current").status_code == 401
        assert another.get("/readyz").status_code == 503


def test_the_door_is_open_on_a_socket_of_this_machine_only(tmp_path: Path) -> None:
    """Whatever the settings say: another server may have been told another address."""
    publish(tmp_path)
    app = create_app(Environment(var=tmp_path))
    with TestClient(app, base_url="http://10.0.0.5:8000", raise_server_exceptions=False) as client:
        answer = client.get("/v1/models/current", headers=HOST)
        assert answer.status_code == 401


def test_a_fault_in_the_keys_does_not_end_the_watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, keys = with_keys(tmp_path)
    key, secret = keys.add("first", ["predictions:read"])
    with open_client(keys) as client:
        with monkeypatch.context() as patched:
            patched.setattr(Keys, "list_all", lambda _: 1 / 0)
            wait_for(client, 503, path="/readyz")
            assert client.get("/v1/models/current", headers=bearer(secret)).status_code == 200
        keys.revoke(key.key_id)
        wait_for(client, 401, **bearer(secret))
        assert client.get("/readyz").status_code == 200


def test_assets_count_as_calls_of_a_key(tmp_path: Path) -> None:
    _, keys = with_keys(tmp_path)
    _, secret = keys.add("slow", ["audiences:read"], calls_per_minute=12)
    with open_client(keys) as client:
        found = [client.get("/assets/console.css", headers=bearer(secret)).status_code for _ in range(3)]
    assert found == [200, 200, 429]


def test_a_process_that_starts_while_keys_are_written_is_closed(tmp_path: Path) -> None:
    _, keys = with_keys(tmp_path)
    keys.add("first", ["predictions:read"])

    class Busy(Keys):
        def list_all(self) -> list[Key]:
            raise StateBusyError("busy")

    guard = Guard(Busy(keys._state), may_be_open=True)
    guard.refresh()
    assert not guard.is_open
    assert guard.problem
    opened = Guard(Keys(open_state(Environment(var=tmp_path / "never"))), may_be_open=True)
    assert not opened.is_open
    opened.refresh()
    assert opened.is_open


def test_on_a_network_the_door_is_never_open(tmp_path: Path) -> None:
    publish(tmp_path)
    with open_client(Keys(open_state(Environment(var=tmp_path))), host="0.0.0.0") as client:  # noqa: S104
        assert client.get("/v1/models/current").status_code == 401


@pytest.mark.usefixtures("database")
def test_the_use_of_a_key_is_kept_when_the_process_ends(tmp_path: Path) -> None:
    _, keys = with_keys(tmp_path)
    _, secret = keys.add("used", ["predictions:read"])
    with open_client(keys) as client:
        client.get("/v1/models/current", headers=bearer(secret))
    (key,) = keys.list_all()
    assert key.last_used_at is not None
    assert datetime.now(UTC) - key.last_used_at < timedelta(minutes=1)


def wait_for(client: TestClient, status: int, *, path: str = "/v1/models/current", **headers: str) -> None:
    """Wait until the running service has noticed a change of the keys."""
    end = time.monotonic() + 60
    while client.get(path, headers=headers).status_code != status:
        assert time.monotonic() < end, f"no answer {status} within a minute"
        time.sleep(0.02)
