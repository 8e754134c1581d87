"""`make hook`: name the shops whose webhooks are taken, and the secrets that sign them.

    python -m serving.hooks                                     lists them
    python -m serving.hooks --name main --platform shopify      asks for the secret; none: makes one

A secret is read from the terminal or from standard input, never from the command line, which others can see.
"""

import getpass
import sys
from pathlib import Path
from typing import Annotated, Literal, cast

import typer

from features.console import run_command
from features.layout import Layout
from serving.inbound.hook_sources import PLATFORMS, HookError, HookSources, Platform


def _command(
    *,
    name: Annotated[str | None, typer.Option(help="the source: small letters, digits and '-'")] = None,
    platform: Annotated[str | None, typer.Option(help="shopify or woocommerce")] = None,
    drop: Annotated[
        Literal["older", "source"] | None,
        typer.Option(help="older: the older of two secrets · source: the source with its secrets"),
    ] = None,
    var: Annotated[Path, typer.Option(envvar="VAR", help="where everything that is written lies")] = Path(
        "var"
    ),
) -> None:
    """Add a source of webhooks or a second secret to one, drop one, or list them."""
    sources = HookSources(Layout(var).private)
    if name is None:
        _list(sources)
    elif drop == "older":
        sources.drop_older(name)
    elif drop == "source":
        sources.remove(name)
    else:
        _add(sources, name, platform)


def _add(sources: HookSources, name: str, platform: str | None) -> None:
    if platform not in PLATFORMS:
        raise HookError(f"name a platform: PLATFORM={' or '.join(PLATFORMS)}")
    given = _asked_secret()
    secret = sources.add(name, cast("Platform", platform), given or None)
    sys.stderr.write(f"webhooks go to /v1/hooks/{platform}/{name}, signed with this secret\n")
    if not given:
        sys.stdout.write(f"{secret}\n")


def _asked_secret() -> str:
    if sys.stdin.isatty():
        return getpass.getpass("the platform's secret (nothing: make one): ").strip()
    return sys.stdin.readline().strip()


def _list(sources: HookSources) -> None:
    found = sources.all()
    if not found:
        sys.stdout.write("no webhooks are taken; add a source: make hook NAME=main PLATFORM=shopify\n")
    for name, source in sorted(found.items()):
        count = len(source.secrets)
        words = "one secret" if count == 1 else f"{count} secrets"
        sys.stdout.write(f"{name}  /v1/hooks/{source.platform}/{name}  {words}\n")


if __name__ == "__main__":
    run_command(_command)
