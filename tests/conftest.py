"""Fixtures of more than one file: the ingest command, run in this process on a folder of its own."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from ingest_runs import Ingest, Run
from pg_server import PgServer
from spark_here import spark, spark_where_asked  # noqa: F401 - fixtures of several files

from features import ingest
from features.console import run_app

# How long an example takes says something of the machine, not of the program.
settings.register_profile("regulars", deadline=None)
settings.load_profile("regulars")


@pytest.fixture(scope="session", autouse=True)
def runs_stay_fresh() -> Iterator[None]:
    """Hand-made runs have a fixed date; what the calendar says today is no matter of most tests."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("REGULARS_STALE_AFTER_DAYS", "0")
        yield


@pytest.fixture(scope="session", autouse=True)
def no_pepper_of_this_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The pepper of suppressions lies outside of the data, and not in the home of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patched:
        path = tmp_path_factory.mktemp("config") / "privacy.pepper"
        patched.setenv("REGULARS_PRIVACY_PEPPER_FILE", str(path))
        yield


@pytest.fixture(scope="session", autouse=True)
def no_tracking_server_of_this_user() -> Iterator[None]:
    """Models are logged under each test's own folder, whatever MLflow server this user works with."""
    with pytest.MonkeyPatch.context() as patched:
        patched.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ingest:
    """Run the command in this process, on `var` under a temporary folder."""
    monkeypatch.setenv("REGULARS_PEPPER", "pepper")

    def call(*words: str | Path, var: str = "var") -> Run:
        monkeypatch.setenv("VAR", str(tmp_path / var))
        monkeypatch.setattr(sys, "argv", ["ingest", *map(str, words)])
        with pytest.raises(SystemExit) as stopped:
            run_app(ingest.app)
        shown = capsys.readouterr()
        code = stopped.value.code
        return Run(code if isinstance(code, int) else 0, shown.out, shown.err, tmp_path / var)

    return call


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    """Write a file and return its path."""

    def write(content: str | bytes, name: str = "orders.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


# What these say of PostgreSQL is its contract; other files run on it with the slow tests.
_CONTRACT = frozenset(
    f"test_serving_{name}"
    for name in ("databases", "events", "guard", "inbox", "keys", "limits", "pg", "state", "store")
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave to the slow tests what was seen on SQLite and is only run again on PostgreSQL."""
    for item in items:
        again = "postgresql" in item.name.partition("[")[2]
        if again and item.path.stem not in _CONTRACT:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def pg_server() -> Iterator[PgServer]:
    """A PostgreSQL server of this session."""
    server = PgServer()
    yield server
    server.close()


@pytest.fixture
def pg_url(pg_server: PgServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of an empty PostgreSQL database, which the service takes from its environment."""
    url = pg_server.new_database()
    monkeypatch.setenv("REGULARS_DATABASE_URL", url)
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test on either database: the service finds an empty one in its environment."""
    monkeypatch.delenv("REGULARS_DATABASE_URL", raising=False)
    if request.param == "postgresql":
        request.getfixturevalue("pg_url")
    return str(request.param)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def module_database(request: pytest.FixtureRequest) -> Iterator[str]:
    """The same for a whole file."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.delenv("REGULARS_DATABASE_URL", raising=False)
        if request.param == "postgresql":
            server = request.getfixturevalue("pg_server")
            monkeypatch.setenv("REGULARS_DATABASE_URL", server.new_database())
        yield str(request.param)


@pytest.fixture(scope="session")
def own_pg_server() -> Iterator[PgServer]:
    """Another one, for the tests that stop it."""
    server = PgServer()
    yield server
    server.close()
