"""Webhooks: list, create, change, remove. What is due is delivered by `serving.deliver`, or by the worker.

    python -m serving.webhooks                                               list them
    python -m serving.webhooks --url https://shop.example/in --events all    create one
    python -m serving.webhooks --rotate wh_0123456789ab     a new secret beside the one before it
    python -m serving.webhooks --enable wh_0123456789ab     try a disabled one again, with what waits for it
    python -m serving.webhooks --remove wh_0123456789ab     forget it and what waits for it

A secret is printed once, alone on standard output; everything else that a person reads then goes to standard
error.
"""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import typer

from features.console import run_command
from features.errors import UserError
from features.layout import Layout
from features.settings import load_settings
from serving.changes.lifecycle import EVENTS
from serving.databases import open_state
from serving.environment import Environment
from serving.outbound.courier import MASTER_FILE
from serving.outbound.webhook_address import Rules, Target, check_address, read_url
from serving.outbound.webhook_sender import resolver, signing_secret
from serving.state.database import State
from serving.state.migrate import make, migrate
from serving.state.webhooks import Endpoint, Webhooks
from serving.web.cursor import load_secret

KINDS: Final = {"scores": "the scores of somebody changed", "removed": "somebody is in no run any more"}
_ALL: Final = "all"
_NONE: Final = "no webhooks: make webhook URL=https://… EVENTS=all makes one\n"


class WebhookRequestError(UserError):
    """A webhook cannot be made or changed as asked."""


def read_events(text: str) -> frozenset[str]:
    """Read names set apart by commas; `all` are the lifecycle events. Raises `WebhookRequestError`.

    >>> sorted(read_events("won_back, first_order")), len(read_events("all"))
    (['first_order', 'won_back'], 7)
    """
    found = frozenset(part.strip() for part in text.split(",") if part.strip())
    unknown = sorted(found - {*EVENTS, *KINDS, _ALL})
    if unknown or not found:
        seen = f"EVENTS={','.join(unknown)} is unknown" if unknown else "a webhook needs EVENTS"
        known = ", ".join([*EVENTS, *KINDS])
        raise WebhookRequestError(f"{seen}; choose from {known}, set apart by commas, or all")
    return found - {_ALL} | (frozenset(EVENTS) if _ALL in found else frozenset())


def _create(state: State, layout: Layout, url: str, events: str, *, rules: Rules) -> None:
    names, target = read_events(events), read_url(url, rules)
    _check_resolved(target, rules)
    make(state)
    endpoint = Webhooks(state).add(url, names)
    _show_secret(endpoint, layout)


def _check_resolved(target: Target, rules: Rules) -> None:
    """Refuse a name that leads to a private address today; every attempt checks it again."""
    with ThreadPoolExecutor(1) as executor:
        try:
            addresses = asyncio.run(_resolved(target, executor))
        except (OSError, UnicodeError):
            sys.stderr.write(
                "warning: the host has no address at the moment; messages wait until it has one\n"
            )
            return
    for address in addresses:
        check_address(address, rules)


async def _resolved(target: Target, executor: ThreadPoolExecutor) -> list[str]:
    return list(await resolver(executor)(target.host, target.port))


def _show_secret(endpoint: Endpoint, layout: Layout) -> None:
    sys.stderr.write(f"{_line(endpoint, 0)}\n")
    sys.stderr.write("this is the secret that signs its messages; it is shown only now:\n")
    sys.stderr.flush()
    sys.stdout.write(f"{signing_secret(load_secret(layout.private, name=MASTER_FILE), endpoint)}\n")


def _list(webhooks: Webhooks) -> None:
    found = webhooks.list_all()
    if not found:
        sys.stdout.write(_NONE)
    for endpoint, waiting in found:
        sys.stdout.write(f"{_line(endpoint, waiting)}\n")


def _line(endpoint: Endpoint, waiting: int) -> str:
    if endpoint.disabled_at is not None:
        state = f"DISABLED {endpoint.disabled_at:%Y-%m-%d %H:%M} UTC: {endpoint.disabled_reason}"
    elif endpoint.failing_since is not None:
        times = "once" if endpoint.failures == 1 else f"{endpoint.failures} times"
        state = f"failing since {endpoint.failing_since:%Y-%m-%d %H:%M} UTC, {times}"
        state += f": {endpoint.last_failure}" if endpoint.last_failure else ""
    else:
        state = "working"
    events = ",".join(sorted(endpoint.events))
    return f"{endpoint.endpoint_id}  {_shown_url(endpoint.url)}  {events}  {state}, {waiting} waiting"


def _shown_url(url: str) -> str:
    """Return an address without its query, which may hold a token."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}" + ("?…" if parts.query else "")


def _command(
    *,
    url: Annotated[str | None, typer.Option(help="create one: where to send to (https)")] = None,
    events: Annotated[
        str, typer.Option(help=f"of the new one, set apart by commas, or all: {', '.join([*EVENTS, *KINDS])}")
    ] = "",
    rotate: Annotated[str | None, typer.Option(help="give the webhook with this id a new secret")] = None,
    enable: Annotated[str | None, typer.Option(help="try the disabled webhook with this id again")] = None,
    remove: Annotated[str | None, typer.Option(help="forget the webhook with this id")] = None,
    var: Annotated[Path, typer.Option(envvar="VAR", help="where everything that is written lies")] = Path(
        "var"
    ),
) -> None:
    """List the webhooks, create one, change one, or remove one."""
    environment, settings = Environment(var=var), load_settings().changes
    layout, state = environment.layout, open_state(environment)
    if sum(asked is not None for asked in (url, rotate, enable, remove)) > 1:
        raise WebhookRequestError("create (URL, EVENTS), ROTATE, ENABLE or REMOVE, one at a time")
    if url is not None:
        rules = Rules(settings.webhook_ports, settings.webhook_private_addresses)
        _create(state, layout, url, events, rules=rules)
        return
    if events:
        raise WebhookRequestError("a new webhook needs a URL: make webhook URL=https://… EVENTS=…")
    if not state.exists():
        if rotate or enable or remove:
            raise WebhookRequestError(
                "there are no webhooks; make webhook URL=https://… EVENTS=all makes one"
            )
        sys.stdout.write(_NONE)
        return
    migrate(state)
    _change(Webhooks(state), layout, rotate=rotate, enable=enable, remove=remove)


def _change(
    webhooks: Webhooks, layout: Layout, *, rotate: str | None, enable: str | None, remove: str | None
) -> None:
    """Do the one thing that is asked, or list."""
    if rotate is not None:
        _show_secret(webhooks.change_secret(rotate), layout)
    elif enable is not None:
        webhooks.enable(enable)
        sys.stdout.write(f"{enable} is tried again\n")
    elif remove is not None:
        webhooks.remove(remove)
        sys.stdout.write(f"{remove} is forgotten\n")
    else:
        _list(webhooks)


if __name__ == "__main__":
    run_command(_command)
