"""Make the state's database, or bring an older one to the newest tables (alembic)."""

from pathlib import Path

import sqlalchemy as sa

from serving.state.database import State, StateError, StateGoneError

# Another process may be migrating at this moment.
_WAIT_MS = 60_000
_MIGRATIONS = Path(__file__).with_name("migrations")


def make(state: State) -> None:
    """Make the database where there is none; then `migrate`."""
    state.make()
    migrate(state)


def migrate(state: State, *, to: str = "head") -> None:
    """Bring a state to the newest tables, or to an earlier release's; raises `StateError`.

    In one transaction, and one process at a time. Commands do this before they work with a state; the serving
    workers never do.
    """
    if to == "head" and _is_newest(state):
        return
    # A server begins a tenth of a second sooner without it, and seldom needs it.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    try:
        with state.writing(wait_ms=_WAIT_MS) as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, to)
    except CommandError as error:
        raise StateError(f"{state.name} is of another release of this program ({error})") from None


def _is_newest(state: State) -> bool:
    try:
        if not state.exists():
            return False
    except StateGoneError:
        return False  # It is made anew: whether that may be is for others to say.
    with state.reading() as connection:
        found = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    return bool(found == max(path.stem[1:5] for path in _MIGRATIONS.glob("versions/v[0-9]*.py")))
