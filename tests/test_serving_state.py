"""The contract of the state's database, on SQLite and PostgreSQL: transactions, migrations, an address."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from pg_server import PgServer

import serving.state.migrate
from features.errors import UserError
from features.layout import Layout
from serving.databases import open_state
from serving.environment import Environment
from serving.state.database import State, StateBusyError, StateError
from serving.state.keys import Keys
from serving.state.migrate import make, migrate
from serving.state.overlays import Overlays
from serving.state.tables import METADATA
from serving.store.pg_address import AddressError, PgAddress

MIGRATIONS = Path(serving.state.migrate.__file__).with_name("migrations")
REVISIONS = sorted(script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions())
OLD_KEY = (
    "INSERT INTO api_keys (key_id, name, digest, scopes, created_at) "
    "VALUES ('k_1', 'old', 'd', 'admin', '2026-11-22T00:00:00+00:00')"
)


@pytest.fixture
def state(tmp_path: Path, database: str) -> Iterator[State]:
    made = open_state(Environment(var=tmp_path))
    made.make()
    yield made
    made.close()


@pytest.mark.parametrize("revision", REVISIONS)
def test_every_earlier_version_is_brought_up_with_its_keys(state: State, revision: str) -> None:
    migrate(state, to=revision)
    with state.writing() as connection:
        connection.execute(sa.text(OLD_KEY))
    migrate(state)
    (key,) = Keys(state).list_all()
    assert (key.name, key.scopes, key.calls_per_minute) == ("old", {"admin"}, 60_000)
    with state.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []


@pytest.mark.parametrize("revision", ["0006", "0007"])
def test_overlays_of_an_earlier_version_stay(state: State, revision: str) -> None:
    migrate(state, to=revision)
    with state.writing() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO overlays (sequence, score_run_id, customer_id, inbox_sequence, document) "
                "VALUES (7, 's_0001', 'c1', 3, '{}')"
            )
        )
    migrate(state)
    assert Overlays(state).list_after("s_0001", 0) == [(7, "c1", 3, 7)]
    (overlay,) = Overlays(state).read("s_0001", [7]).values()
    assert (overlay.customer_id, overlay.document) == ("c1", "{}")
    Overlays(state).forget(kept_runs=["s_0001"])
    assert Overlays(state).list_after("s_0001", 0) != []


@pytest.mark.usefixtures("database")
def test_processes_that_make_the_database_at_once_make_it_once(tmp_path: Path) -> None:
    at_once, failures = threading.Barrier(4), []

    def work() -> None:
        own = open_state(Environment(var=tmp_path))
        at_once.wait(timeout=30)
        try:
            make(own)
        except UserError as error:
            failures.append(error)
        own.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert open_state(Environment(var=tmp_path)).exists()


def test_numbers_are_given_out_in_the_order_of_commits(state: State, tmp_path: Path) -> None:
    """Who reads the newest number and adds one gets a number of their own, and no gap is ever seen."""
    with state.writing() as connection:
        connection.execute(sa.text("CREATE TABLE numbers (n integer PRIMARY KEY)"))
    at_once, seen = threading.Barrier(5), []

    def count() -> list[int]:
        with state.reading() as connection:
            return [row[0] for row in connection.execute(sa.text("SELECT n FROM numbers ORDER BY n"))]

    def work() -> None:
        own = open_state(Environment(var=tmp_path))
        at_once.wait(timeout=30)
        for _ in range(10):
            with own.writing(wait_ms=30_000) as connection:
                newest = connection.execute(sa.text("SELECT coalesce(max(n), 0) FROM numbers")).scalar_one()
                connection.execute(sa.text("INSERT INTO numbers VALUES (:n)"), {"n": newest + 1})
        own.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    at_once.wait(timeout=30)
    while any(thread.is_alive() for thread in threads):
        try:
            seen.append(count())
        except StateBusyError:
            continue  # SQLite's moment of a commit
    assert count() == list(range(1, 41))
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in seen)


def test_what_is_read_does_not_change_while_it_is_read(state: State) -> None:
    migrate(state)
    Keys(state).add("first", ["admin"])
    query = sa.text("SELECT count(*) FROM api_keys")
    with state.reading() as connection:
        assert connection.execute(query).scalar_one() == 1
        try:
            with state.writing(wait_ms=50) as other:
                other.execute(sa.text(OLD_KEY))
        except StateBusyError:
            pass  # SQLite lets nobody commit meanwhile
        assert connection.execute(query).scalar_one() == 1


def test_a_reader_cannot_write(pg_url: str, tmp_path: Path) -> None:
    state = State.of(Layout(tmp_path), pg_url)
    make(state)
    with pytest.raises(StateError, match="read-only"), state.reading() as connection:
        connection.execute(sa.text(OLD_KEY))


def test_a_wait_of_nothing_is_no_wait_for_ever(state: State) -> None:
    with state.writing(), pytest.raises(StateBusyError), state.writing(wait_ms=0):
        pass


def test_keys_seen_on_another_machine_are_remembered_here(
    pg_url: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    here, there = (
        State.of(Layout(tmp_path), pg_url),
        State.of(Layout(tmp_path_factory.mktemp("there")), pg_url),
    )
    make(there)
    Keys(there).add("first", ["admin"])
    assert len(Keys(here).list_all()) == 1
    with there.writing() as connection:
        connection.execute(sa.text("DROP SCHEMA regulars CASCADE"))
    for state in (here, there):
        with pytest.raises(StateError, match="there were keys"):
            Keys(state).list_all()


@pytest.mark.parametrize(
    "url",
    [
        "postgres",
        "sqlite:///x.db",
        "mysql://u:hunter2@h/d",
        "postgresql://u:hunter2@:x/d",
        "postgresql://u:hun@ter2@host/d",
        "postgresql://u:123/hunter2@host/d",
        "postgresql://u:hunter2@host:54x2/d",
        "postgresql://u:hunter2@host/d?no_such_word=1",
        "postgresql://[::1/d",
    ],
)
def test_an_address_that_is_none_is_refused_without_an_echo(url: str) -> None:
    with pytest.raises(AddressError, match="postgresql://user:password@host:5432/database") as refused:
        PgAddress.of(url)
    assert "hunter2" not in str(refused.value)
    assert "ter2@" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("postgresql://u:hunter2@db.shop:5433/d", "PostgreSQL database 'd' on db.shop:5433"),
        ("postgres://u:hunter2@db.shop/d?sslmode=require", "PostgreSQL database 'd' on db.shop"),
        ("postgresql://u:p%40ss%2Fhunter2@10.0.0.1/d", "PostgreSQL database 'd' on 10.0.0.1"),
        ("postgresql://u:hunter2@/d?host=/run/x", "PostgreSQL database 'd' on /run/x"),
        ("postgresql:///d", "PostgreSQL database 'd' on this machine"),
    ],
)
def test_an_address_is_shown_without_its_secrets(url: str, name: str) -> None:
    address = PgAddress.of(url)
    assert address.name == name
    assert "hunter2" not in f"{address} {address!r}"
    environment = Environment(database_url=url)  # type: ignore[arg-type]
    assert "hunter2" not in f"{environment} {environment!r}"


def test_options_of_the_address_are_kept() -> None:
    address = PgAddress.of("postgresql://u@h/d?options=-c%20statement_timeout%3D9s&connect_timeout=7")
    conninfo = address.conninfo({"search_path": "regulars"})
    assert "statement_timeout=9s -c search_path=regulars" in conninfo
    assert "connect_timeout=7" in conninfo


def test_a_server_that_is_not_there_is_one_line_without_the_password(tmp_path: Path) -> None:
    state = State.of(Layout(tmp_path), "postgresql://u:hunter2@127.0.0.1:1/d")
    with pytest.raises(StateError, match=r"'d' on 127\.0\.0\.1:1 cannot be used") as refused:
        make(state)
    assert "hunter2" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_it_goes_on_when_the_server_is_back(own_pg_server: PgServer, tmp_path: Path) -> None:
    state = State.of(Layout(tmp_path), own_pg_server.new_database())
    make(state)
    Keys(state).add("first", ["admin"])
    own_pg_server.stop()
    try:
        with pytest.raises(StateError, match="cannot be used"):
            Keys(state).list_all()
    finally:
        own_pg_server.start()
    assert [key.name for key in Keys(state).list_all()] == ["first"]
