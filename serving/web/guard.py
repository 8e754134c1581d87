"""Who calls: keys as a serving process knows them, and the door that is open as long as there are none."""

import asyncio
import base64
import binascii
import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor
from datetime import UTC, datetime

from starlette.types import Scope

from serving.environment import is_loopback
from serving.state.database import StateBusyError, StateError
from serving.state.keys import KEY_PREFIX, Key, Keys, digest_of
from serving.web.problems import ProblemError

# Basic alone: browsers ask for a name only where it is the first challenge of a header.
_CHALLENGE = 'Basic realm="regulars", charset="UTF-8"'
_UNREAD = "the keys were not read yet"
_HEADER_MAX = 1_024
_SAVE_SECONDS = 60.0
_LOG = logging.getLogger(__name__)


class Guard:
    """Holds the keys in memory and follows the state's database; a key that was revoked opens nothing more.

    Before the first key was made the door is open, if this process listens to this machine only
    (`may_be_open`). Where the keys cannot be read, those that are known stay, and `problem` says why.
    """

    def __init__(
        self,
        keys: Keys,
        *,
        may_be_open: bool,
        executor: Executor | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._keys = keys
        self._may_be_open = may_be_open
        self._executor = executor
        self._now = now
        self._by_digest: dict[str, Key] = {}
        self._used_at: dict[str, datetime] = {}
        # Until they were read once nobody knows whether there are keys: the door stays closed.
        self.problem: str | None = _UNREAD

    @property
    def is_open(self) -> bool:
        """Say whether anybody on this machine may call."""
        return self._may_be_open and not self._by_digest and self.problem is None

    def refresh(self) -> None:
        """Read the keys again."""
        try:
            found = {key.digest: key for key in self._keys.list_all()}
        except StateBusyError:
            return  # It is asked again soon; the keys that are known count meanwhile.
        except Exception as error:
            self._note(str(error) or type(error).__name__)
            return
        if self._by_digest and not found:
            self._note("the keys are gone")
            return
        self._by_digest = found
        self._note(None)

    def _note(self, problem: str | None) -> None:
        if problem is not None and problem != self.problem:
            _LOG.warning("keys: %s", problem)
        elif problem is None and self.problem not in (None, _UNREAD):
            _LOG.warning("the keys can be read again")
        self.problem = problem

    async def follow(self, *, poll_seconds: float) -> None:
        """Read the keys again and again, in a thread, and write down their use now and then."""
        loop, saved = asyncio.get_running_loop(), time.monotonic()
        while True:
            await asyncio.sleep(poll_seconds)
            await loop.run_in_executor(self._executor, self.refresh)
            if time.monotonic() - saved >= _SAVE_SECONDS:
                saved = time.monotonic()
                await loop.run_in_executor(self._executor, self.save_uses)

    def save_uses(self) -> None:
        """Write down when keys were used since the last time; where the database is busy, later."""
        used, self._used_at = self._used_at, {}
        try:
            self._keys.note_uses(used)
        except StateError:
            self._used_at = used | self._used_at

    def admit(self, scope: Scope, needed: str) -> Key | None:
        """Return the caller's key, None through the open door; raises a 401 or 403 problem."""
        if self.is_open and _is_loopback(scope):
            return None
        key = self._find(_secret_in(scope))
        if not key.grants(needed):
            raise ProblemError(
                403, "scope-missing", f"The key lacks the scope {needed}.", title="Not allowed"
            )
        self._used_at[key.key_id] = self._now()
        return key

    def _find(self, secret: str) -> Key:
        # What is looked up is a hash: how long that takes tells nothing of a key.
        key = self._by_digest.get(digest_of(secret))
        if key is None or not key.is_valid(self._now()):
            raise _refused("The key is not known, was revoked, or has expired.")
        return key


def _is_loopback(scope: Scope) -> bool:
    """Say whether the socket that was called is this machine's own, whatever the settings say of it."""
    server = scope.get("server")
    return server is not None and is_loopback(server[0])


def _secret_in(scope: Scope) -> str:
    """Return the key in a request's Authorization header: Bearer, or Basic with the key as user name."""
    values = [value for name, value in scope["headers"] if name == b"authorization"]
    if not values:
        raise _refused("This call needs a key: send it as `Authorization: Bearer`.")
    kind, _, rest = values[0].partition(b" ")
    secret = {b"bearer": _plain, b"basic": _user_name}.get(kind.lower(), _nothing)(rest.strip())
    if len(values) > 1 or not secret.startswith(KEY_PREFIX):
        raise _refused("The Authorization header holds no key of this service.")
    return secret


def _plain(text: bytes) -> str:
    return text[:_HEADER_MAX].decode("latin-1")


def _user_name(text: bytes) -> str:
    try:
        decoded = base64.b64decode(text[:_HEADER_MAX], validate=True)
    except (binascii.Error, ValueError):
        return ""
    return _plain(decoded).partition(":")[0]


def _nothing(_: bytes) -> str:
    return ""


def _refused(detail: str) -> ProblemError:
    problem = ProblemError(401, "key-refused", detail, title="Key needed")
    problem.headers["www-authenticate"] = _CHALLENGE
    return problem
