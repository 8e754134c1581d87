"""`make data` without FILE: what the API received becomes history.

    python -m serving.fold

Nothing is lost if it is killed: a message counts as folded only after the history that holds it is in place,
and folding it twice changes nothing.
"""

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from features.console import progress, run_command
from features.fold import Folded, Heard, fold
from features.identity import IDENTITY_SCHEMA, merge_identities
from features.loading import only_one
from features.settings import load_settings
from serving.databases import open_state
from serving.environment import Environment
from serving.inbound.people import locked_journal
from serving.state.inbox import ASIDE, FOLDED, Inbox

_TAKEN = ".taken"


def fold_inbox(environment: Environment, *, time_zone: str, now: datetime | None = None) -> Folded | None:
    """Fold what waits in the inbox; None where nothing does. Raises as `features.fold.fold` does."""
    state, layout = open_state(environment), environment.layout
    if not state.exists():
        return None
    inbox = Inbox(state)
    with only_one(layout):
        take_journal(layout.private)
        stored = inbox.list_unfolded()
        if not stored:
            return None
        heard = [Heard(each.sequence, each.message, each.order_key) for each in stored]
        with progress("data", total=3) as announce:
            folded = fold(heard, layout, time_zone=time_zone, announce=announce, now=now)
        standings = {each.sequence: (FOLDED, None) for each in stored} | {
            number: (ASIDE, reason) for number, reason in folded.aside.items()
        }
        inbox.settle(standings)
    return folded


def take_journal(private: Path) -> None:
    """Bring the addresses that messages told into `identities.parquet`."""
    with locked_journal(private) as journal:
        taken = journal.with_suffix(_TAKEN)
        if journal.exists() and not taken.exists():
            journal.rename(taken)
    if not taken.exists():
        return
    people = [json.loads(line) for line in taken.read_text(encoding="utf-8").splitlines()]
    merge_identities(private, pl.DataFrame(people, schema=IDENTITY_SCHEMA))
    taken.unlink()


def _command(
    *,
    var: Annotated[Path, typer.Option(envvar="VAR", help="where everything that is written lies")] = Path(
        "var"
    ),
) -> None:
    """Fold the orders and events that the API received into the history."""
    environment, settings = Environment(var=var), load_settings()
    folded = fold_inbox(environment, time_zone=settings.shop.time_zone)
    if folded is None:
        sys.stdout.write("nothing waits: no order and no event was received since the last time\n")
        return
    Inbox(open_state(environment)).prune(
        received_before=datetime.now(UTC) - timedelta(days=settings.inbox.keep_days)
    )
    sys.stdout.write(folded.report.to_text() + f"report: {environment.layout.reports / 'usability.json'}\n")


if __name__ == "__main__":
    run_command(_command)
