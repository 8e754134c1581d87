"""Serve API and console: `python -m serving [--port 8000] [--workers 1] [--var var]`."""

import os
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer
from granian import Granian
from granian.constants import Interfaces

from features.console import run_command
from features.errors import UserError
from serving.databases import open_state, open_store
from serving.environment import Environment
from serving.server import prepare_metrics, server_options
from serving.state.keys import Keys
from serving.state.migrate import make
from serving.store.errors import NoRunError


class ServeError(UserError):
    """The service cannot start as asked."""


def check_start(environment: Environment) -> bool:
    """Raise `ServeError` where it cannot answer: a damaged run, a busy port, an open door.

    Return whether there are scores; without, only the set-up and what needs none can be shown.
    """
    state = open_state(environment)
    state.exists()  # raises where there was one and it is gone: that is no moment to begin anew
    make(state)
    _check_door(environment, Keys(state))
    check_port(environment.host, environment.port)
    store = open_store(environment)
    try:
        store.open_run(store.live_run_id()).close()
    except NoRunError:
        return False
    return True


def _check_door(environment: Environment, keys: Keys) -> None:
    """Without keys only this machine may call."""
    known = keys.list_all()
    if not environment.is_loopback and not known:
        raise ServeError(
            f"host {environment.host!r} would open the scores to the network and there are no API keys; make "
            "one first (make key NAME=… SCOPES=…), or use 127.0.0.1"
        )


def check_port(host: str, port: int) -> None:
    """Raise `ServeError` where something else listens on a port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ServeError(
                f"{host}:{port} cannot be used ({error.strerror}); name another one with --port"
            ) from None


def serve(environment: Environment) -> None:
    """Serve until stopped; raises as `check_start` does where the service could not answer."""
    has_scores = check_start(environment)
    for name in ("host", "port", "workers", "var", "stale_after_days"):
        os.environ[f"REGULARS_{name.upper()}"] = str(getattr(environment, name))
    prepare_metrics(environment)
    address = f"http://{environment.host}:{environment.port}"
    sys.stderr.write(f"serving {environment.var} on {address} (stop with Ctrl-C)\n")
    if not has_scores:
        sys.stderr.write(f"no scores yet: begin at {address}/setup, or run `make score`\n")
    Granian(
        "serving.served:create_served_app",
        address=environment.host,
        port=environment.port,
        interface=Interfaces.ASGI,
        workers=environment.workers,
        factory=True,
        respawn_failed_workers=True,
        websockets=False,
        log_access=False,
        log_level="warning",
        **server_options(environment),
    ).serve()


def _command(
    *,
    host: Annotated[
        str, typer.Option(envvar="REGULARS_HOST", help="address to listen on; without keys a loopback one")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="REGULARS_PORT", help="TCP port")] = 8000,
    workers: Annotated[int, typer.Option(envvar="REGULARS_WORKERS", help="processes that answer")] = 1,
    var: Annotated[Path, typer.Option(envvar="VAR", help="where everything that is written lies")] = Path(
        "var"
    ),
) -> None:
    """Serve the newest score run as an API and a page; later runs are picked up without a restart."""
    serve(Environment(host=host, port=port, workers=workers, var=var))


if __name__ == "__main__":
    run_command(_command)
