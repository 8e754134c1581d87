"""What only PostgreSQL can do to the score store: go away, come back, refuse, and be left half written."""

import asyncio
import gc
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from pg_server import PgServer
from serving_runs import meta, publish, stored_row
from starlette.testclient import TestClient
from test_serving_api import open_client
from test_serving_main import free_port, read, status

from serving.api import create_app
from serving.databases import open_state, open_store
from serving.environment import Environment
from serving.state.keys import Keys
from serving.state.migrate import make
from serving.store.errors import PublishError, RunGoneError, StoreError
from serving.store.pg_address import PgAddress
from serving.store.pg_engine import open_engine
from serving.store.pg_store import PgStore
from serving.store.records import Item

ROOT = Path(__file__).parents[1]


@pytest.fixture
def store(pg_url: str) -> Iterator[PgStore]:
    made = PgStore(PgAddress.of(pg_url))
    yield made
    asyncio.run(made.aclose())


@pytest.fixture
def stopping(own_pg_server: PgServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[PgServer]:
    """A server that the test may stop, with an empty database in the environment."""
    monkeypatch.setenv("REGULARS_DATABASE_URL", own_pg_server.new_database())
    yield own_pg_server
    own_pg_server.start()


def schemas(url: str) -> list[str]:
    query = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'regulars%' ORDER BY 1"
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute(query)]


def wait_until(is_done: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not is_done():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def make_key(var: Path, *scopes: str) -> str:
    state = open_state(Environment(var=var))
    make(state)
    return Keys(state).add("first", scopes)[1]


def is_ready(client: TestClient) -> bool:
    return bool(client.get("/readyz").status_code == 200)


@pytest.mark.slow
def test_a_database_that_goes_away_is_503_and_comes_back_by_itself(
    stopping: PgServer, tmp_path: Path
) -> None:
    publish(tmp_path)
    secret = make_key(tmp_path, "predictions:read", "audiences:read")
    with open_client(tmp_path) as client:
        client.headers["authorization"] = f"Bearer {secret}"
        assert is_ready(client)
        before = client.get("/v1/customers/c1/predictions").json()
        stopping.stop()
        for path in (
            "/v1/customers/c1/predictions",
            "/v1/audiences/at-risk/members",
            "/v1/customers/c1/recommendations?filter=price+%3C+7",
            "/readyz",
        ):
            answer = client.get(path)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
            assert "hunter2" not in answer.text
        assert client.get("/healthz").status_code == 200
        assert client.get("/v1/models/current").status_code == 200
        stopping.start()
        wait_until(lambda: is_ready(client))
        assert client.get("/v1/customers/c1/predictions").json() == before
        publish(tmp_path, ["c9"])
        wait_until(lambda: client.get("/v1/customers/c9/predictions").status_code == 200)


def test_a_restart_between_two_calls_costs_no_answer(stopping: PgServer, tmp_path: Path) -> None:
    publish(tmp_path)
    secret = make_key(tmp_path, "predictions:read")
    with open_client(tmp_path) as client:
        client.headers["authorization"] = f"Bearer {secret}"
        for _ in range(3):
            assert client.get("/v1/customers/c1/predictions").status_code == 200
        stopping.stop()
        stopping.start()
        assert client.get("/v1/customers/c1/predictions").status_code == 200


@pytest.mark.slow
def test_known_keys_count_while_the_database_is_away(stopping: PgServer, tmp_path: Path) -> None:
    publish(tmp_path)
    secret = make_key(tmp_path, "predictions:read")
    given = {"authorization": f"Bearer {secret}"}
    with open_client(tmp_path) as client:
        assert client.get("/v1/models/current", headers=given).status_code == 200
        stopping.stop()
        assert client.get("/v1/models/current", headers=given).status_code == 200
        assert client.get("/v1/customers/c1/predictions", headers=given).status_code == 503
        assert client.get("/v1/models/current").status_code == 401
        stopping.start()
        wait_until(lambda: is_ready(client))


def test_while_a_slow_poll_waits_others_are_answered(store: PgStore, tmp_path: Path, pg_url: str) -> None:
    """The pointer's table is locked, so that the poll waits; scores are read on."""
    publish(tmp_path)
    with open_client(tmp_path) as client, psycopg.connect(pg_url) as blocker:
        blocker.execute("LOCK TABLE regulars_scores.live IN ACCESS EXCLUSIVE MODE")
        poll = threading.Thread(target=client.get, args=("/readyz",))
        poll.start()
        for _ in range(20):
            assert client.get("/v1/customers/c1/predictions").status_code == 200
        assert poll.is_alive()
        blocker.rollback()
        poll.join()
        assert is_ready(client)


def test_a_run_that_is_removed_while_it_is_read_is_gone(store: PgStore, tmp_path: Path) -> None:
    async def read() -> None:
        for _ in range(7):  # until the statement is a prepared one
            assert await run.get_score("c1")
        for _ in range(3):
            publish(tmp_path, ["c1"])
        with pytest.raises(RunGoneError):
            await run.get_score("c1")
        with pytest.raises(RunGoneError):
            await run.match_items(None)

    publish(tmp_path, ["c1"])
    run = store.open_run("s_0001")
    asyncio.run(read())


def test_a_process_that_missed_many_runs_says_503_and_finds_the_newest(
    store: PgStore, tmp_path: Path
) -> None:
    publish(tmp_path)
    app = create_app(Environment(var=tmp_path, poll_seconds=60))
    with TestClient(app, base_url="http://127.0.0.1:8000", raise_server_exceptions=False) as client:
        page = client.get("/v1/audiences/at-risk/members?limit=1").json()
        for _ in range(4):
            publish(tmp_path)
        answer = client.get("/v1/customers/c1/predictions")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        gone = client.get(f"/v1/audiences/at-risk/members?cursor={page['next_cursor']}")
        assert gone.status_code == 410
        assert client.get("/readyz").status_code == 200
        assert client.get("/v1/customers/c1/predictions").json()["score_run_id"] == "s_0005"


def test_what_was_not_published_is_removed(store: PgStore, tmp_path: Path, pg_url: str) -> None:
    with store.begin_run() as writer:
        writer.write_scores([stored_row("c1")])
        with pytest.raises(RunGoneError):
            store.open_run(writer.score_run_id)
    assert schemas(pg_url) == ["regulars_scores"]
    for _ in range(5):
        publish(tmp_path, ["c1"])
    assert schemas(pg_url) == ["regulars_s_0004", "regulars_s_0005", "regulars_s_0006", "regulars_scores"]


def test_a_publisher_whose_session_was_ended_writes_nothing_more(
    store: PgStore, tmp_path: Path, pg_url: str
) -> None:
    publish(tmp_path, ["before"])
    with store.begin_run() as slow:
        slow.write_scores([stored_row("slow")])
        with psycopg.connect(pg_url, autocommit=True) as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        publish(tmp_path, ["other"])
        with pytest.raises(PublishError, match="cannot be written"):
            slow.publish(meta())
    assert store.live_run_id() == "s_0003"


def test_old_runs_that_somebody_reads_are_removed_later(store: PgStore, tmp_path: Path, pg_url: str) -> None:
    for _ in range(3):
        publish(tmp_path, ["c1"])
    with psycopg.connect(pg_url) as reader:
        reader.execute("SELECT 1 FROM regulars_s_0001.scores")
        publish(tmp_path, ["c1"])
        assert store.live_run_id() == "s_0004"
        assert "regulars_s_0001" in schemas(pg_url)
    publish(tmp_path, ["c1"])
    assert schemas(pg_url) == ["regulars_s_0003", "regulars_s_0004", "regulars_s_0005", "regulars_scores"]


def test_a_text_with_nul_is_refused_in_one_line(store: PgStore) -> None:
    with store.begin_run() as writer, pytest.raises(PublishError, match="NUL") as refused:
        writer.write_items([Item(item_no=0, product_id="p", name="a\0b")])
    assert "\n" not in str(refused.value)


def test_a_database_of_another_encoding_is_refused(pg_server: PgServer) -> None:
    url = pg_server.new_database("ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    with pytest.raises(PublishError, match="keeps texts in LATIN1"):
        PgStore(PgAddress.of(url)).begin_run()


def test_a_server_that_is_not_there_is_one_line_without_the_password(tmp_path: Path) -> None:
    url = "postgresql://u:hunter2@127.0.0.1:1/d"
    store = open_store(Environment(var=tmp_path, database_url=url))  # type: ignore[arg-type]
    for call in (store.live_run_id, store.list_runs, store.begin_run):
        with pytest.raises(StoreError, match=r"'d' on 127\.0\.0\.1:1") as refused:
            call()
        assert "hunter2" not in str(refused.value)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("words", [["serving"], ["serving.keys"], ["serving.explain", "--id", "c1"]])
def test_commands_say_in_one_line_that_the_database_is_away(tmp_path: Path, words: list[str]) -> None:
    given = {**os.environ, "REGULARS_DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:1/d"}
    command = [sys.executable, "-m", *words, "--var", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=given, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "'d' on 127.0.0.1:1" in done.stderr
    assert done.stderr.count("\n") == 1
    assert "hunter2" not in done.stdout + done.stderr


def test_a_user_who_may_connect_and_create_schemas_can_do_all(
    pg_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(pg_url, autocommit=True) as admin:
        name = admin.info.dbname
        admin.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
        admin.execute(f"REVOKE ALL ON DATABASE {name} FROM PUBLIC")
        admin.execute(f"CREATE ROLE user_{name} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE")
        admin.execute(f"GRANT CONNECT, CREATE ON DATABASE {name} TO user_{name}")
    url = pg_url.replace("//postgres:", f"//user_{name}:")
    monkeypatch.setenv("REGULARS_DATABASE_URL", url)
    secret = make_key(tmp_path, "admin")
    for _ in range(5):
        publish(tmp_path, ["c1"])
    with open_client(tmp_path) as client:
        answer = client.get("/v1/customers/c1/predictions", headers={"authorization": f"Bearer {secret}"})
        assert answer.json()["score_run_id"] == "s_0005"


def test_a_dump_brings_everything_back(
    pg_server: PgServer, pg_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = make_key(tmp_path, "predictions:read")
    publish(tmp_path)
    dump, restored = tmp_path / "shop.dump", pg_server.new_database()
    pg_server.run("pg_dump", "--format=custom", f"--file={dump}", pg_url)
    pg_server.run("pg_restore", "--clean", "--if-exists", f"--dbname={restored}", str(dump))
    shutil.rmtree(tmp_path / "scores", ignore_errors=True)
    monkeypatch.setenv("REGULARS_DATABASE_URL", restored)
    with open_client(tmp_path) as client:
        given = {"authorization": f"Bearer {secret}"}
        assert client.get("/v1/customers/c1/predictions", headers=given).json()["score_run_id"] == "s_0001"
    assert publish(tmp_path).score_run_id == "s_0002"


def test_no_connection_outlives_its_owner_even_one_that_was_in_use_at_the_end(pg_url: str) -> None:
    class Owner:
        pass

    owner = Owner()
    engine = open_engine(owner, PgAddress.of(pg_url), schema="public")
    with engine.connect() as late:
        in_use = late.connection.driver_connection
        engine.dispose()
    assert isinstance(in_use, psycopg.Connection)
    assert not in_use.closed
    del owner
    gc.collect()
    assert in_use.closed


def test_two_workers_follow_the_pointer(pg_url: str, tmp_path: Path) -> None:
    """The server as it is started: both processes answer, and both find the new run."""
    publish(tmp_path)
    port = free_port()
    command = [sys.executable, "-m", "serving", "--port", str(port), "--workers", "2", "--var", str(tmp_path)]
    given = {**os.environ, "REGULARS_POLL_SECONDS": "0.05"}
    url, told = f"http://127.0.0.1:{port}", tmp_path / "told.txt"
    with (
        told.open("wb") as err,
        subprocess.Popen(command, cwd=ROOT, env=given, stderr=err, start_new_session=True) as process,
    ):
        try:
            wait_until(lambda: status(f"{url}/readyz") == 200)
            seen = {str(read(f"{url}/v1/customers/c1/predictions")["score_run_id"]) for _ in range(20)}
            assert seen == {"s_0001"}
            publish(tmp_path)
            wait_until(
                lambda: {read(f"{url}/v1/models/current")["score_run_id"] for _ in range(20)} == {"s_0002"}
            )
        finally:
            # All of its processes: a worker that is only starting misses the signal to end.
            os.killpg(process.pid, signal.SIGKILL)
    assert "serving" in told.read_text()
    assert "hunter2" not in told.read_text()
