"""Where privacy requests are left: whom they are about is suppressed before the call is answered."""

import logging
from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from features.person_keys import customer_key, read_pepper
from features.suppression import Marker, PepperError, read_marker
from serving.job_desk import Desk, unavailable
from serving.people.known_addresses import KnownAddresses
from serving.people.suppressed import SuppressedPeople
from serving.state.database import State, StateError
from serving.state.idempotency import Repeatable
from serving.state.privacy import Asked, Kind, PrivacyRequest, PrivacyRequests, Subject
from serving.state.suppressions import Suppressions, marks_of
from serving.web.problems import ProblemError

_LOG = logging.getLogger(__name__)


class Caller(NamedTuple):
    """Who asks: the key ("" for the open door and webhooks), what it calls its call, what it may see."""

    key_id: str
    operation: str
    call_name: str | None
    with_identity: bool = False


class LeftRequest(NamedTuple):
    """A request that a call left, and whether an earlier call of the same name had left it already."""

    request: PrivacyRequest
    is_repeated: bool


class PrivacyDesk(Desk):
    """Takes privacy requests and looks them up; every failure is a problem."""

    def __init__(
        self, state: State, people: SuppressedPeople, *, root: Path, private: Path, executor: Executor
    ) -> None:
        super().__init__(executor)
        self._requests = PrivacyRequests(state)
        self._suppressions = Suppressions(state, root)
        self._people = people
        self._root = root
        self._private = private

    async def leave(self, kind: Kind, subject: Subject, caller: Caller) -> LeftRequest:
        """Keep a request; raises a problem: 409, 422, 429 or 503."""
        return await self._once(self._call(caller, kind, subject), lambda: self._leave(kind, subject, caller))

    async def find(self, request_id: str, *, key_id: str | None) -> PrivacyRequest:
        """Return a request that a key may see (None: every request); raises a 404 or 503 problem."""
        request = await self._in_thread(lambda: self._requests.get(request_id))
        if request is None or key_id not in (None, request.key_id):
            raise ProblemError(
                404, "unknown-request", "This key left no such request.", title="Unknown request"
            )
        return request

    async def find_subject(self, customer_id: str | None, *, email: str | None = None) -> Subject:
        """Return whom an id or an e-mail address means; raises a 503 problem."""
        return await self._in_thread(lambda: self.subject_of(customer_id, emails=(email,)))

    async def find_by_addresses(self, emails: Sequence[str | None], phones: Sequence[str | None]) -> Subject:
        """Return whom addresses mean; raises a 503 problem."""
        return await self._in_thread(lambda: self.subject_of(emails=emails, phones=phones))

    def subject_of(
        self,
        customer_id: str | None = None,
        *,
        emails: Sequence[str | None] = (),
        phones: Sequence[str | None] = (),
    ) -> Subject:
        """Return whom an id or addresses mean; of these nothing but keyed hashes is kept."""
        if customer_id is not None:
            return Subject((customer_id,))
        pepper = read_pepper(self._private)
        keys = [customer_key(email, None, pepper) for email in emails]
        keys += [customer_key(None, phone, pepper) for phone in phones]
        addresses = tuple(dict.fromkeys(key for key in keys if key is not None))
        return Subject(KnownAddresses(self._private).ids_of(addresses), addresses)

    def _call(self, caller: Caller, kind: Kind, subject: Subject) -> Repeatable | None:
        if caller.call_name is None:
            return None
        # What the body says is kept as marks only: the plain hash of an id or address could be guessed.
        marks = marks_of(self._marker(), subject.address_keys or subject.customer_ids)
        body = " ".join([kind, *sorted(marks)])
        return Repeatable.of(caller.key_id, caller.operation, caller.call_name, body.encode())

    def _leave(self, kind: Kind, subject: Subject, caller: Caller) -> LeftRequest:
        marker = self._marker()
        marks = marks_of(marker, subject.all_ids)
        asked = Asked(caller.key_id, kind, subject, marks, marker.check, caller.with_identity)
        added = self._requests.add(asked, call=self._call(caller, kind, subject))
        if kind != "access":
            self._people.add(marker, marks)
            # For loads by file; who runs the request does it again.
            with suppress(OSError, StateError):
                self._suppressions.copy_to(self._private)
        request = self._requests.get(added.job_id)
        assert request is not None  # noqa: S101 - it was just there, and rows stay
        return LeftRequest(request, added.is_repeated)

    def _marker(self) -> Marker:
        try:
            return read_marker(self._root, make=True)
        except PepperError as error:
            _LOG.warning("privacy: %s", error)
            raise unavailable("The pepper of suppressions cannot be used; the log has the details.") from None
