"""The end of `make demo`: three calls to copy, with ids of the run that was just published, then the server.

python -m serving.demo [--var var]           prints the calls and serves on 127.0.0.1:8000
python -m serving.demo --check               only says whether it can be shown here, before the work begins
"""

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import quote

import typer

from features.console import run_command
from features.errors import UserError
from features.history import History
from features.layout import Layout
from features.whole import write_whole
from serving.__main__ import check_port, serve
from serving.databases import open_store
from serving.environment import Environment
from serving.web.freshness import NEVER

_MARK: Final = "demo.hash"


class DemoError(UserError):
    """The demo cannot be shown here."""


def check_folder(layout: Layout) -> None:
    """Raise `DemoError` where orders lie that are not the demo's own: it replaces what is there."""
    if not layout.history.exists():
        layout.root.mkdir(parents=True, exist_ok=True)
        write_whole(layout.root / _MARK, "")
        return
    mark = layout.root / _MARK
    known = mark.read_text(encoding="utf-8").strip() if mark.exists() else None
    if known not in ("", _hash_of(layout)):
        raise DemoError(
            f"{layout.root} holds orders that are not the demo's, and the demo would replace them: "
            "name another folder (make demo VAR=demo)"
        )


def _hash_of(layout: Layout) -> str:
    return History.open(layout.history).manifest.data_hash


def example_calls(environment: Environment, *, base: str) -> list[str]:
    """Return three `curl` lines that answer: the riskiest customer's scores and lists, and the at-risk CSV.

    Where nobody is at risk, the first two name whoever comes first in the run. Raises `NoRunError`.
    """
    customer_id = quote(asyncio.run(_example_customer(environment)), safe="")
    return [
        f"curl -s '{base}/v1/customers/{customer_id}/predictions?include=reasons'",
        f"curl -s '{base}/v1/customers/{customer_id}/recommendations?limit=5'",
        f"curl -s '{base}/v1/audiences/at-risk/export.csv' | head",
    ]


async def _example_customer(environment: Environment) -> str:
    store = open_store(environment)
    run = store.open_run(store.live_run_id())
    try:
        members = await run.list_members("at-risk", limit=1)
        return str(members[0].row[0]) if members else await run.first_customer_id()
    finally:
        run.close()
        await store.aclose()


def _command(
    *,
    only_check: Annotated[bool, typer.Option("--check", help="check the port and the folder")] = False,
    var: Annotated[Path, typer.Option(envvar="VAR", help="where everything that is written lies")] = Path(
        "var"
    ),
) -> None:
    """Print three calls that work, and serve."""
    # The demo's orders are years old on purpose.
    environment = Environment(var=var, stale_after_days=NEVER)
    check_port(environment.host, environment.port)
    if only_check:
        check_folder(environment.layout)
        return
    write_whole(environment.layout.root / _MARK, _hash_of(environment.layout))
    base = f"http://{environment.host}:{environment.port}"
    sys.stdout.write(f"\nThe console: {base}/\n\nOne customer, their lists, everybody at risk:\n\n")
    sys.stdout.write("".join(f"  {call}\n" for call in example_calls(environment, base=base)) + "\n")
    sys.stdout.flush()
    serve(environment)


if __name__ == "__main__":
    run_command(_command)
