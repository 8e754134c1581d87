"""API keys: made, listed, revoked, and never kept; the state's database that holds them."""

import sqlite3
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from features.console import run_command
from features.layout import Layout
from serving import keys as command
from serving.databases import open_state
from serving.environment import Environment
from serving.state.database import State, StateBusyError, StateError
from serving.state.keys import KEY_PREFIX, Keys, UnknownKeyError, digest_of
from serving.state.migrate import make, migrate
from serving.state.tables import METADATA

Asked = Callable[..., tuple[int, str, str]]


@pytest.fixture
def state(tmp_path: Path, database: str) -> Iterator[State]:
    made = open_state(Environment(var=tmp_path))
    make(made)
    yield made
    made.close()


@pytest.fixture
def file_state(tmp_path: Path) -> State:
    made = State.of(Layout(tmp_path))
    make(made)
    return made


@pytest.fixture
def ask(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Asked:
    """Run the command; return its exit code, standard output, standard error."""

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["keys", *words, "--var", str(tmp_path)])
        code: object = 0
        try:
            run_command(command._command)
        except SystemExit as stopped:
            code = stopped.code
        shown = capsys.readouterr()
        return code if isinstance(code, int) else 0, shown.out, shown.err

    return run


def test_a_key_is_shown_once_and_kept_nowhere(tmp_path: Path, database: str, ask: Asked) -> None:
    code, out, err = ask("--name", "braze", "--scopes", "predictions:read, events:write")
    secret = out.strip()
    assert code == 0
    assert secret.startswith(KEY_PREFIX)
    assert len(secret) == len(KEY_PREFIX) + 43  # 256 bits in base64
    assert secret not in err
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or secret[len(KEY_PREFIX) :].encode() not in path.read_bytes()
    if database == "sqlite":
        assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
        assert (tmp_path / "state/state.sqlite").stat().st_mode & 0o777 == 0o600
    else:
        assert not (tmp_path / "state").exists()
    (key,) = Keys(open_state(Environment(var=tmp_path))).list_all()
    assert (key.name, key.scopes, key.digest) == (
        "braze",
        {"predictions:read", "events:write"},
        digest_of(secret),
    )
    listed = ask()[1]
    assert key.key_id in listed
    assert "braze  events:write,predictions:read  60,000 a minute, does not expire, never used" in listed


def test_a_revoked_key_is_listed_as_such(ask: Asked) -> None:
    ask("--name", "old", "--scopes", "admin", "--days", "30")
    key_id = ask()[1].split()[0]
    assert ask("--revoke", key_id) == (0, f"{key_id} (old) opens nothing more\n", "")
    assert ask("--revoke", key_id)[0] == 0
    today = datetime.now(UTC)
    listed = ask()[1]
    assert f"revoked {today:%Y-%m-%d}" in listed or f"revoked {today - timedelta(days=1):%Y-%m-%d}" in listed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--name", "x"], "a key needs SCOPES; choose from predictions:read"),
        (["--name", "x", "--scopes", "everything"], "SCOPES=everything is unknown; choose from"),
        (["--name", " ", "--scopes", "admin"], "1 to 100 printable characters"),
        (["--name", "a\nb", "--scopes", "admin"], "1 to 100 printable characters"),
        (["--scopes", "admin"], "a new key needs a NAME"),
        (["--calls", "5"], "a new key needs a NAME"),
        (["--revoke", "k_nobody"], "no key has the id 'k_nobody'; `make key` lists them"),
        (["--name", "x", "--revoke", "k_1"], "one at a time"),
        (["--name", "x", "--scopes", "admin", "--days", "0"], "--days"),
    ],
)
def test_a_mistake_is_one_clear_line_and_makes_nothing(
    tmp_path: Path, ask: Asked, words: list[str], message: str
) -> None:
    code, out, err = ask(*words)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err
    assert not (tmp_path / "state").exists()


def test_without_keys_the_list_says_what_that_means(ask: Asked) -> None:
    code, out, _ = ask()
    assert code == 0
    assert "whoever is on this machine may call" in out


def test_expiry_and_revocation_close_a_key(state: State) -> None:
    keys, now = Keys(state), datetime(2026, 11, 22, 12, tzinfo=UTC)
    keys.add("short", ["admin"], expires_at=now)
    keys.add("long", ["admin"])
    by_name = {key.name: key for key in keys.list_all()}
    assert by_name["short"].is_valid(now - timedelta(seconds=1))
    assert not by_name["short"].is_valid(now)
    assert by_name["long"].is_valid(now + timedelta(days=9_999))
    keys.revoke(by_name["long"].key_id)
    (revoked,) = [key for key in keys.list_all() if key.name == "long"]
    assert not revoked.is_valid(now)
    with pytest.raises(UnknownKeyError, match="k_unknown"):
        keys.revoke("k_unknown")


def test_admin_grants_all_but_identities(state: State) -> None:
    key, _ = Keys(state).add("ops", ["admin"])
    assert key.grants("events:write")
    assert key.grants("admin")
    assert not key.grants("identity:read")
    reader, _ = Keys(state).add("reader", ["identity:read"])
    assert reader.grants("identity:read")
    assert not reader.grants("predictions:read")


def test_the_last_use_only_moves_forward(state: State) -> None:
    keys, at = Keys(state), datetime(2026, 11, 22, 12, tzinfo=UTC)
    key, _ = keys.add("braze", ["predictions:read"])
    for used in (at, at - timedelta(hours=1), at + timedelta(hours=1)):
        keys.note_uses({key.key_id: used, "k_gone": used})
    assert keys.list_all()[0].last_used_at == at + timedelta(hours=1)


def test_the_migrations_make_the_tables_that_the_program_reads(state: State) -> None:
    migrate(state)  # a second time changes nothing
    with state.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []


def test_two_writers_wait_for_each_other_and_the_second_is_told(state: State) -> None:
    with state.writing(), pytest.raises(StateBusyError), state.writing(wait_ms=50):
        pass
    assert Keys(state).list_all() == []


def test_a_write_that_fails_leaves_nothing(state: State) -> None:
    keys = Keys(state)
    key, _ = keys.add("first", ["admin"])
    with pytest.raises(StateError):
        write_and_fail(state)
    assert [found.key_id for found in keys.list_all()] == [key.key_id]


def write_and_fail(state: State) -> None:
    with state.writing() as connection:
        connection.execute(sa.text("DELETE FROM api_keys"))
        connection.execute(sa.text("SELECT * FROM no_such_table"))


def test_a_database_that_cannot_be_read_says_so(file_state: State) -> None:
    Keys(file_state).add("first", ["admin"])
    for path in file_state.path.parent.glob("state.sqlite-*"):
        path.unlink()
    file_state.path.write_bytes(b"no database" * 1_000)
    with pytest.raises(StateError, match="cannot be used"):
        Keys(file_state).list_all()


def test_a_database_without_our_tables_says_so(state: State) -> None:
    Keys(state).add("first", ["admin"])
    with state.writing() as connection:
        connection.execute(sa.text("DROP TABLE api_keys"))
    with pytest.raises(StateError, match="cannot be used") as refused:
        Keys(state).list_all()
    assert str(refused.value).count("\n") == 0


def lose(state: State, loss: str, *, is_file: bool) -> None:
    """Take the database away, what is in it, or the keys alone."""
    if loss == "emptied" or not is_file:
        statement = "DELETE FROM api_keys" if loss == "emptied" else "DROP SCHEMA regulars CASCADE"
        with state.writing() as connection:
            connection.execute(sa.text(statement))
            if loss == "empty":
                connection.execute(sa.text("CREATE SCHEMA regulars"))
    elif loss == "gone":
        state.path.unlink()
    else:
        state.path.write_bytes(b"")


@pytest.mark.parametrize("loss", ["gone", "empty", "emptied"])
def test_lost_keys_are_not_taken_for_none(tmp_path: Path, database: str, ask: Asked, loss: str) -> None:
    ask("--name", "first", "--scopes", "admin")
    state = open_state(Environment(var=tmp_path))
    lose(state, loss, is_file=database == "sqlite")
    code, out, err = ask()
    assert (code, out) == (2, "")
    assert "put the back-up back" in err
    assert loss != "empty" or database != "sqlite" or state.path.read_bytes() == b""
    assert ask("--name", "second", "--scopes", "admin")[0] == 0
    assert "second" in ask()[1]


def test_a_database_of_the_first_release_is_brought_up_with_its_keys(tmp_path: Path) -> None:
    """Release 0001 knew no limits; its keys get the usual one."""
    state = State.of(Layout(tmp_path))
    state.path.parent.mkdir()
    with sqlite3.connect(state.path) as connection:
        connection.executescript(
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY);"
            "INSERT INTO alembic_version VALUES ('0001');"
            "CREATE TABLE api_keys (key_id VARCHAR(32) PRIMARY KEY, name VARCHAR(100) NOT NULL,"
            " digest VARCHAR(64) NOT NULL UNIQUE, scopes VARCHAR(200) NOT NULL,"
            " created_at VARCHAR(32) NOT NULL, expires_at VARCHAR(32), revoked_at VARCHAR(32),"
            " last_used_at VARCHAR(32));"
            "INSERT INTO api_keys VALUES"
            " ('k_1', 'old', 'd', 'admin', '2026-11-22T00:00:00+00:00', NULL, NULL, NULL);"
        )
    connection.close()
    migrate(state)
    (key,) = Keys(state).list_all()
    assert (key.name, key.scopes, key.calls_per_minute) == ("old", {"admin"}, 60_000)


def test_a_database_of_a_later_release_is_a_clear_refusal(state: State) -> None:
    with state.writing() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StateError, match="another release"):
        migrate(state)


def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    state = State.of(Layout(tmp_path / "a?b#c%20d"))
    make(state)
    Keys(state).add("first", ["admin"])
    assert [key.name for key in Keys(state).list_all()] == ["first"]
    assert {path.name for path in tmp_path.iterdir()} == {"a?b#c%20d"}


def test_reading_writes_nothing(file_state: State) -> None:
    state = file_state
    keys = Keys(state)
    keys.add("first", ["admin"])
    state.path.parent.chmod(0o500)
    before = state.path.parent.stat().st_mtime_ns
    assert len(keys.list_all()) == 1
    assert state.path.parent.stat().st_mtime_ns == before
    assert [path.name for path in state.path.parent.iterdir()] == ["state.sqlite"]
    state.path.parent.chmod(0o700)
