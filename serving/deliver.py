"""Deliver webhooks: what is due now, or what falls due for as long as it runs.

python -m serving.deliver [--follow] [--var var]
"""

import asyncio
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from features.console import run_command
from features.delivery_settings import ChangeSettings
from features.layout import Layout
from features.settings import load_settings
from serving.databases import open_state
from serving.environment import Environment
from serving.outbound.courier import Courier, Tally, deliver_due
from serving.state.database import State, StateError
from serving.state.migrate import migrate


async def _follow(courier: Courier) -> None:
    """Deliver until the process is asked to end."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await courier.follow(stop)


def _run(state: State, layout: Layout, rules: ChangeSettings, *, follow: bool) -> Tally:
    if not follow:
        return deliver_due(state, layout, rules)
    courier = Courier(state, layout, rules)
    try:
        asyncio.run(_follow(courier))
    finally:
        courier.close()
    return courier.tally


def summary(tally: Tally) -> str:
    """Say what came of it, a line for each webhook that was disabled.

    >>> print(summary(Tally(3, 1, (("wh_1", "it answered 410, gone"),))), end="")
    3 taken, 1 failed and to be tried again
    wh_1 is disabled: it answered 410, gone
    """
    lines = [f"{tally.sent} taken, {tally.failed} failed and to be tried again"]
    lines += [f"{endpoint_id} is disabled: {reason}" for endpoint_id, reason in tally.disabled]
    return "".join(f"{line}\n" for line in lines)


def _command(
    *,
    follow: Annotated[bool, typer.Option(help="go on until stopped, instead of once")] = False,
    var: Annotated[Path, typer.Option(envvar="VAR", help="where everything that is written lies")] = Path(
        "var"
    ),
) -> None:
    """Deliver the webhooks that are due."""
    environment = Environment(var=var)
    state = open_state(environment)
    if not state.exists():
        raise StateError("there are no webhooks: make webhook URL=https://… EVENTS=all makes one")
    migrate(state)
    sys.stdout.write(summary(_run(state, environment.layout, load_settings().changes, follow=follow)))


if __name__ == "__main__":
    run_command(_command)
