"""Make the state's database, or bring an older one to the newest tables (alembic)."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError

from serving.state.database import State, StateError

_MIGRATIONS = Path(__file__).with_name("migrations")


def make(state: State) -> None:
    """Make the database where there is none, readable for its owner alone; then `migrate`."""
    try:
        state.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        state.path.touch(mode=0o600)
    except OSError as error:
        raise StateError(f"cannot write under {state.path.parent}: {error.strerror or error}") from None
    migrate(state)


def migrate(state: State) -> None:
    """Bring a state to the newest tables in one transaction; raises `StateError`.

    Commands do this before they work with a state; the serving workers never do.
    """
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    try:
        with state.writing() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except CommandError as error:
        raise StateError(f"{state.path} is of another release of this program ({error})") from None
