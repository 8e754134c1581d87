"""API keys: list, create, revoke.

    python -m serving.keys                                                          list them
    python -m serving.keys --name braze --scopes predictions:read [--days 365]      create one
    python -m serving.keys --revoke k_0123456789ab                                  close one for ever

A new key is printed once, alone on standard output; everything else that a person reads then goes to standard
error.
"""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from features.console import run_command
from features.errors import UserError
from serving.databases import open_state
from serving.environment import Environment
from serving.state.database import State
from serving.state.keys import CALLS_PER_MINUTE, Key, Keys
from serving.state.migrate import make, migrate
from serving.web.scope_names import SCOPES

_NAME_LENGTH_MAX = 100


class KeyRequestError(UserError):
    """A key cannot be made as asked."""


def read_scopes(text: str) -> frozenset[str]:
    """Read scopes set apart by commas; raises `KeyRequestError` for an unknown one, or for none.

    >>> sorted(read_scopes("predictions:read, audiences:read"))
    ['audiences:read', 'predictions:read']
    """
    found = frozenset(part.strip() for part in text.split(",") if part.strip())
    unknown = sorted(found - SCOPES.keys())
    if unknown or not found:
        seen = f"SCOPES={','.join(unknown)} is unknown" if unknown else "a key needs SCOPES"
        raise KeyRequestError(f"{seen}; choose from {', '.join(SCOPES)}, set apart by commas")
    return found


def _checked_name(name: str) -> str:
    if not name.isprintable() or not 0 < len(name.strip()) <= _NAME_LENGTH_MAX:
        raise KeyRequestError(f"NAME says whose key it is: 1 to {_NAME_LENGTH_MAX} printable characters")
    return name.strip()


def _create(state: State, name: str, scopes: str, *, days: int | None, calls: int | None) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    expires_at = None if days is None else now + timedelta(days=days)
    owner, granted = _checked_name(name), read_scopes(scopes)
    make(state)
    key, secret = Keys(state).add(
        owner, granted, expires_at=expires_at, calls_per_minute=calls or CALLS_PER_MINUTE
    )
    sys.stderr.write(f"{_line(key, now)}\n")
    sys.stderr.write("this is the key; it is shown only now. From now on every call needs one:\n")
    sys.stderr.flush()
    sys.stdout.write(f"{secret}\n")


def _list(keys: Keys) -> None:
    found, now = keys.list_all(), datetime.now(UTC)
    if not found:
        sys.stdout.write(
            "no keys: whoever is on this machine may call; make key NAME=… SCOPES=… makes one and closes "
            "the door\n"
        )
    for key in found:
        sys.stdout.write(f"{_line(key, now)}\n")


def _line(key: Key, now: datetime) -> str:
    if key.revoked_at is not None:
        state = f"revoked {key.revoked_at:%Y-%m-%d}"
    elif key.expires_at is None:
        state = "does not expire"
    else:
        state = f"{'expires' if key.is_valid(now) else 'expired'} {key.expires_at:%Y-%m-%d}"
    used = "never used" if key.last_used_at is None else f"last used {key.last_used_at:%Y-%m-%d %H:%M} UTC"
    may = f"{','.join(sorted(key.scopes))}  {key.calls_per_minute:,} a minute"
    return f"{key.key_id}  {key.name}  {may}, {state}, {used}"


def _command(
    *,
    name: Annotated[str | None, typer.Option(help="create a key: whose it is")] = None,
    scopes: Annotated[
        str, typer.Option(help=f"of the new key, set apart by commas: {', '.join(SCOPES)}")
    ] = "",
    calls: Annotated[
        int | None,
        typer.Option(
            help=f"calls a minute that the new key may make; {CALLS_PER_MINUTE} unless told",
            min=1,
            max=10_000_000,
        ),
    ] = None,
    days: Annotated[
        int | None, typer.Option(help="the new key expires after so many", min=1, max=3650)
    ] = None,
    revoke: Annotated[str | None, typer.Option(help="close the key with this id for ever")] = None,
    var: Annotated[Path, typer.Option(envvar="VAR", help="where everything that is written lies")] = Path(
        "var"
    ),
) -> None:
    """List the API keys, create one, or revoke one."""
    state = open_state(Environment(var=var))
    keys = Keys(state)
    if name is not None and revoke is not None:
        raise KeyRequestError("create a key (NAME, SCOPES) or revoke one (REVOKE), one at a time")
    if name is not None:
        _create(state, name, scopes, days=days, calls=calls)
        return
    if scopes or days is not None or calls is not None:
        raise KeyRequestError("a new key needs a NAME: make key NAME=… SCOPES=…")
    if state.exists():
        migrate(state)
    if revoke is not None:
        revoked = keys.revoke(revoke)
        sys.stdout.write(f"{revoked.key_id} ({revoked.name}) opens nothing more\n")
    else:
        _list(keys)


if __name__ == "__main__":
    run_command(_command)
