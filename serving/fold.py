"""`make data` without FILE: what the API received becomes history.

    python -m serving.fold

Nothing is lost if it is killed: a message counts as folded only after the history that holds it is in place,
and folding it twice changes nothing.
"""

import json
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from features.console import progress, run_command
from features.fold import Folded, Heard, fold
from features.identity import IDENTITY_SCHEMA, merge_identities
from features.loading import only_one
from features.report import RECEIVED_REPORT
from features.settings import load_settings
from features.suppression import Suppressed, read_suppressed
from serving.databases import open_state
from serving.environment import Environment
from serving.inbound.people import TAKEN, locked_journal
from serving.people.address_index import write_index
from serving.state.inbox import ASIDE, FOLDED, Inbox
from serving.state.suppressions import Suppressions


def fold_inbox(environment: Environment, *, time_zone: str, now: datetime | None = None) -> Folded | None:
    """Fold what waits in the inbox; None where nothing does. Raises as `features.fold.fold` does."""
    state, layout = open_state(environment), environment.layout
    if not state.exists():
        return None
    if Suppressions(state, layout.root).current_version().last_number:
        Suppressions(state, layout.root).copy_to(layout.private)
    inbox = Inbox(state)
    with only_one(layout):
        take_journal(layout.private, read_suppressed(layout.root, layout.private))
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


def take_journal(private: Path, suppressed: Suppressed) -> None:
    """Bring the addresses that messages told into `identities.parquet`, but those of the suppressed."""
    with locked_journal(private) as journal:
        taken = journal.with_name(TAKEN)
        if journal.exists() and not taken.exists():
            journal.rename(taken)
    if not taken.exists():
        return
    people: list[dict[str, str | None]] = []
    for line in taken.read_bytes().split(b"\n"):
        # Half a line is what a full disk or a kill left; nobody was told that it was kept.
        with suppress(ValueError):
            people.append(json.loads(line))
    known = [person for person in people if person["customer_id"] not in suppressed]
    merge_identities(private, pl.DataFrame(known, schema=IDENTITY_SCHEMA))
    write_index(private)
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
    sys.stdout.write(
        folded.report.to_text() + f"report: {environment.layout.reports / f'{RECEIVED_REPORT}.json'}\n"
    )


if __name__ == "__main__":
    run_command(_command)
