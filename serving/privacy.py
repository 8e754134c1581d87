"""Run the privacy requests that wait: erasure, access, suppression.

    python -m serving.privacy                        list all requests
    python -m serving.privacy --run                  run those that wait
    python -m serving.privacy --erase 1063           erase somebody, now; --suppress and --access likewise
    python -m serving.privacy --erase ann@example.com   everything that is known with an address
    python -m serving.privacy --lift 1063            let somebody be stored and scored again
    python -m serving.privacy --backup-gone FOLDER   a back-up was deleted: nothing is to be erased from it

A request that is killed half-way is run again; every step may be done twice.
"""

import sys
import time
from pathlib import Path
from typing import Annotated, Final

import typer

from features.console import run_command
from features.errors import UserError
from features.person_keys import customer_key, normal_email, read_pepper
from features.settings import load_settings
from features.suppression import read_marker
from serving.backups.list import take_off
from serving.databases import open_state, open_store
from serving.environment import Environment
from serving.people.known_addresses import KnownAddresses
from serving.people.runner import Office, run_next_request
from serving.state.migrate import make
from serving.state.privacy import Asked, Kind, PrivacyRequest, Subject
from serving.state.suppressions import marks_of
from serving.web.ids import ID_LENGTH_MAX, is_id

_TRIES: Final = 12
_WAIT_SECONDS: Final = 5.0
Var = Annotated[Path, typer.Option(envvar="VAR", help="where everything that is written lies")]


class PrivacyError(UserError):
    """A command about privacy cannot be done as it was asked."""


def open_office(environment: Environment) -> Office:
    """Return what running requests takes; the state is made, and migrated."""
    state = open_state(environment)
    state.exists()  # raises where it was lost: an empty one in its place would hide that
    make(state)
    return Office(environment.layout, state, open_store(environment), load_settings())


def ask(office: Office, kind: Kind, subject: Subject, *, with_identity: bool = True) -> str:
    """Leave a request of this machine's own user; whom it is about is suppressed at once."""
    marker = read_marker(office.layout.root, make=True)
    marks = marks_of(marker, subject.all_ids)
    asked = Asked("", kind, subject, marks, marker.check, with_identity)
    return office.requests.add(asked).job_id


def subject_of(office: Office, person: str) -> Subject:
    """Return whom an id means, or an e-mail address: everybody who is known with it.

    Raises `PrivacyError` for what can be no id.
    """
    if not is_id(person):
        raise PrivacyError(f"name somebody: an id of 1 to {ID_LENGTH_MAX} characters, none a control one")
    if normal_email(person) is None:
        return Subject((person,))
    key = customer_key(person, None, read_pepper(office.layout.private))
    keys = (key,) if key is not None else ()
    return Subject(KnownAddresses(office.layout.private).ids_of(keys), keys)


def told(request: PrivacyRequest) -> str:
    """Say what became of a request: a line, and one for each store. No id is in it."""
    lines = [f"{request.created_at}  {request.request_id}  {request.kind}: {request.status}"]
    for each in request.receipts:
        what = f"{each.row_count:,} rows, {each.file_count:,} files, {each.at}"
        lines.append(f"  {each.store}: {each.status}, {what}" + (f"; {each.note}" if each.note else ""))
    return "\n".join(lines) + "\n"


def _run_all(office: Office) -> None:
    """Run what waits, and wait a little for what others are writing."""
    incomplete = 0
    for _ in range(_TRIES):
        while request := run_next_request(office):
            sys.stdout.write(told(request))
            incomplete += request.status == "incomplete"
        if not any(each.status in ("queued", "running") for each in office.requests.list_all()):
            if incomplete:
                raise PrivacyError("not done everywhere: mend what is named above, and ask for it again")
            return
        time.sleep(_WAIT_SECONDS)
    raise PrivacyError("a store is being written all the time; run `make privacy PENDING=1` again later")


def _command(
    *,
    run: Annotated[bool, typer.Option("--run", help="run the requests that wait")] = False,
    erase: Annotated[str | None, typer.Option(help="erase a customer id or an e-mail address, now")] = None,
    suppress: Annotated[str | None, typer.Option(help="no scores for an id or address, now")] = None,
    access: Annotated[
        str | None, typer.Option(help="write all that is held on an id or address, now")
    ] = None,
    lift: Annotated[str | None, typer.Option(help="let a customer id be stored and scored again")] = None,
    backup_gone: Annotated[Path | None, typer.Option(help="a back-up that was deleted")] = None,
    var: Var = Path("var"),
) -> None:
    """List privacy requests, run them, or ask for one and run it."""
    wanted = [
        value for value in (erase, suppress, access, lift, backup_gone, run or None) if value is not None
    ]
    if len(wanted) > 1:
        raise PrivacyError("one at a time: --run, --erase, --suppress, --access, --lift or --backup-gone")
    office = open_office(Environment(var=var))
    named: tuple[tuple[Kind, str | None], ...] = (
        ("erasure", erase),
        ("suppress", suppress),
        ("access", access),
    )
    for kind, person in named:
        if person is not None:
            ask(office, kind, subject_of(office, person))
    if lift is not None:
        _lift(office, lift)
    elif backup_gone is not None:
        _take_off(office, backup_gone)
    elif wanted:
        _run_all(office)
    else:
        sys.stdout.write("".join(map(told, office.requests.list_all())) or "nobody asked for anything yet\n")


def _lift(office: Office, customer_id: str) -> None:
    if not office.suppressions.lift(customer_id):
        raise PrivacyError("nobody with this id is suppressed")
    office.suppressions.copy_to(office.layout.private)
    sys.stdout.write("this id is stored and scored again; load its orders again (make data FILE=…)\n")


def _take_off(office: Office, folder: Path) -> None:
    if not take_off(office.layout.private, folder):
        raise PrivacyError(
            f"{folder} is not on the list of back-ups ({office.layout.private / 'backups.json'})"
        )
    sys.stdout.write(f"{folder} is off the list of back-ups\n")


if __name__ == "__main__":
    run_command(_command)
