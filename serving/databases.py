"""The one place that picks a database: SQLite under `VAR`, or PostgreSQL by `REGULARS_DATABASE_URL`."""

from pathlib import Path

from features.layout import Layout
from serving.environment import Environment
from serving.state.database import State
from serving.store.contract import ScoreStore
from serving.store.pg_address import PgAddress
from serving.store.pg_store import PgStore
from serving.store.sqlite_store import SqliteStore


def open_state(environment: Environment) -> State:
    """Return the state (keys, limits, and what else outlives score runs); raises `AddressError`."""
    return State.of(environment.layout, _url(environment))


def open_store(environment: Environment) -> ScoreStore:
    """Return the score runs; raises `AddressError`."""
    url = _url(environment)
    return PgStore(PgAddress.of(url)) if url else SqliteStore.of(environment.layout)


def open_copied_store(scores: Path) -> SqliteStore:
    """Return the score runs that lie in a folder as files, for a copy of them, whichever database is used."""
    return SqliteStore(scores)


def open_copied_state(layout: Layout) -> State:
    """Return the state that lies in a folder as a file, for a copy of it, whichever database is used."""
    return State.of(layout)


def _url(environment: Environment) -> str | None:
    secret = environment.database_url
    return secret.get_secret_value() if secret else None
