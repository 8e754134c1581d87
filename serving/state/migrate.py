"""Make the state's database, or bring an older one to the newest tables (alembic)."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError

from serving.state.database import State, StateError

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
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    try:
        with state.writing(wait_ms=_WAIT_MS) as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, to)
    except CommandError as error:
        raise StateError(f"{state.name} is of another release of this program ({error})") from None
