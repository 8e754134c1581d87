"""Running privacy requests one at a time: what is done for each kind, with a receipt for every store."""

import logging
import shutil
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Final

from features.layout import Layout
from features.settings import Settings
from features.suppression import read_marker
from serving.changes.log import ChangeLog
from serving.people.address_index import is_current, write_index
from serving.people.erased_backups import erase_backups
from serving.people.erasure import (
    Places,
    Step,
    Touched,
    erase_exported,
    erase_files,
    erase_scores,
    erase_state,
    is_busy,
    no_backup,
)
from serving.people.known_addresses import AddressesError, KnownAddresses
from serving.people.subject_access import write_access
from serving.state.database import State
from serving.state.privacy import (
    LEASE_SECONDS,
    LostRequestError,
    PrivacyRequest,
    PrivacyRequests,
    Receipt,
    Subject,
    text_of,
)
from serving.state.suppressions import Suppressions, marks_of
from serving.store.contract import ScoreStore

AGAIN_SECONDS: Final = 5.0
# Of somebody who is suppressed and not erased: what they sent stays, and what platforms were told of them.
_KEPT: Final = ("inbox", "inbox_purchases", "last_sent", "changes")
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Office:
    """What running a request takes."""

    layout: Layout
    state: State
    store: ScoreStore
    settings: Settings

    @property
    def requests(self) -> PrivacyRequests:
        """The requests of the state."""
        return PrivacyRequests(self.state)

    @property
    def suppressions(self) -> Suppressions:
        """Who is suppressed."""
        return Suppressions(self.state, self.layout.root)

    @property
    def places(self) -> Places:
        """Where everything lies."""
        return Places(self.layout, self.state, self.store)


def run_next_request(office: Office, *, again_seconds: float = AGAIN_SECONDS) -> PrivacyRequest | None:
    """Run the oldest request that is due and return it as it is afterwards; None where none is.

    A step whose store somebody else is writing waits: the request is tried again after `again_seconds`.
    Anything else that goes wrong is raised, and the request is tried again too.
    """
    remove_expired(office)
    request = office.requests.claim(now=time.time(), lease_seconds=LEASE_SECONDS)
    if request is None:
        return None
    try:
        _run(office, request, again_seconds)
    except LostRequestError:
        _LOG.warning("privacy request %s was taken over by another runner", request.request_id)
    except BaseException:
        with suppress(LostRequestError):
            office.requests.postpone(request, seconds=again_seconds)
        raise
    return office.requests.get(request.request_id)


def remove_expired(office: Office) -> None:
    """Delete the files of access requests that are older than files are kept."""
    for request_id in office.requests.expire(datetime.now(UTC)):
        shutil.rmtree(office.layout.exports / request_id, ignore_errors=True)


def _run(office: Office, request: PrivacyRequest, again_seconds: float) -> None:
    if request.subject is None:
        # It was stopped between its end and the wiping of its last words: whose they were is not known.
        _wipe(office, ())
        office.requests.close(request)
        return
    if request.kind != "access":
        office.suppressions.copy_to(office.layout.private)
    subject = _whole_subject(office, request, request.subject)
    steps = _steps(office, request)
    receipts = {each.store: each for each in request.receipts} or {name: _waiting(name) for name, _ in steps}
    for name, step in steps:
        if name not in receipts:
            continue  # an earlier attempt did it
        try:
            with no_backup(office.layout):
                found = step(office.places, subject.all_ids)
        except Exception as error:
            if not is_busy(error):
                raise
        else:
            del receipts[name]
            for touched in found:
                receipts[touched.store] = _receipt(touched, receipts.get(touched.store))
        office.requests.note(request, list(receipts.values()), lease_seconds=LEASE_SECONDS)
    if any(each.status == "waiting" for each in receipts.values()):
        office.requests.postpone(request, seconds=again_seconds)
        return
    _end(office, request, subject, list(receipts.values()))


def _end(office: Office, request: PrivacyRequest, subject: Subject, receipts: Sequence[Receipt]) -> None:
    keep_days = office.settings.exports.keep_days if request.kind == "access" else None
    office.requests.finish(request, receipts, keep_days=keep_days)
    # Last of all the request's own words, which named them.
    _wipe(office, subject.all_ids)
    office.requests.close(request)


def _wipe(office: Office, texts: Collection[str]) -> None:
    office.state.wipe(texts)


def _whole_subject(office: Office, request: PrivacyRequest, subject: Subject) -> Subject:
    """Return everybody that a request is about: further ids may be known with the same address."""
    private = office.layout.private
    if not subject.address_keys:
        return subject
    if not is_current(private):
        write_index(private)
    known = KnownAddresses(private)
    try:
        ids = known.ids_of(subject.address_keys)
    except AddressesError:
        # Nobody waits for a person who mends it: it is made of the identities.
        write_index(private)
        ids = known.ids_of(subject.address_keys)
    more = [each for each in ids if each not in subject.all_ids]
    if more:
        marker = read_marker(office.layout.root)
        office.requests.add_ids(request, more, marks_of(marker, more), marker.check)
        if request.kind != "access":
            office.suppressions.copy_to(private)
    return replace(subject, customer_ids=(*subject.customer_ids, *more))


def _steps(office: Office, request: PrivacyRequest) -> Sequence[tuple[str, Step]]:
    """Return what is done for a request; what serves comes first."""
    if request.kind == "erasure":
        return (
            ("step state", erase_state),
            ("step exports", erase_exported),
            ("step scores", erase_scores),
            ("step files", erase_files),
            ("step backups", erase_backups),
        )
    if request.kind == "suppress":
        return (
            ("step changes", partial(_withdraw, office)),
            ("step exports", erase_exported),
            ("step scores", partial(erase_scores, kept=_KEPT)),
        )
    return (("step access", partial(_write_access, office, request)),)


def _withdraw(office: Office, places: Places, customer_ids: Collection[str]) -> list[Touched]:
    removed = ChangeLog(places.state, office.settings.changes).withdraw(customer_ids)
    return [Touched("state.changes", removed)]


def _write_access(
    office: Office, request: PrivacyRequest, places: Places, customer_ids: Collection[str]
) -> list[Touched]:
    folder = office.layout.exports / request.request_id
    return write_access(places, folder, customer_ids, with_identity=request.with_identity)


def _waiting(step: str) -> Receipt:
    return Receipt(step, "waiting", at=text_of(datetime.now(UTC)))


def _receipt(touched: Touched, earlier: Receipt | None) -> Receipt:
    """Return the receipt of a store; what an earlier attempt removed is counted with it."""
    return Receipt(
        touched.store,
        "done" if touched.note is None else "out_of_reach",
        touched.row_count + (earlier.row_count if earlier else 0),
        touched.file_count + (earlier.file_count if earlier else 0),
        text_of(datetime.now(UTC)),
        touched.note,
    )
