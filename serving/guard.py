"""Who calls: keys as a serving process knows them, and the door that is open as long as there are none."""

import asyncio
import base64
import binascii
import time
from collections.abc import Callable
from datetime import UTC, datetime
from hmac import compare_digest

from starlette.types import Scope

from serving.problems import ProblemError
from serving.state.database import StateError
from serving.state.keys import KEY_PREFIX, Key, Keys, digest_of

_CHALLENGE = 'Bearer realm="regulars", Basic realm="regulars", charset="UTF-8"'
_HEADER_MAX = 1_024
_SAVE_SECONDS = 60.0


class Guard:
    """Holds the keys in memory and follows the state's database; a key that was revoked opens nothing more.

    Without any key, not even a revoked one, the door is open, if this process listens to this machine only
    (`may_be_open`). Where the database cannot be read, the keys that are known stay.
    """

    def __init__(
        self, keys: Keys, *, may_be_open: bool, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._keys = keys
        self._may_be_open = may_be_open
        self._now = now
        self._by_digest: dict[str, Key] = {}
        self._used_at: dict[str, datetime] = {}
        self.problem: str | None = None

    @property
    def is_open(self) -> bool:
        """Say whether anybody on this machine may call."""
        return self._may_be_open and not self._by_digest and self.problem is None

    def refresh(self) -> None:
        """Read the keys again."""
        try:
            found = {key.digest: key for key in self._keys.list_all()}
        except StateError as error:
            self.problem = str(error)
            return
        if self._by_digest and not found:
            self.problem = "the keys are gone"
            return
        self._by_digest, self.problem = found, None

    async def follow(self, *, poll_seconds: float) -> None:
        """Read the keys again and again, in a thread of its own, and write down their use now and then."""
        saved = time.monotonic()
        while True:
            await asyncio.sleep(poll_seconds)
            await asyncio.to_thread(self.refresh)
            if time.monotonic() - saved >= _SAVE_SECONDS:
                saved = time.monotonic()
                await asyncio.to_thread(self.save_uses)

    def save_uses(self) -> None:
        """Write down when keys were used since the last time; where the database is busy, later."""
        used, self._used_at = self._used_at, {}
        try:
            self._keys.note_uses(used)
        except StateError:
            self._used_at = used | self._used_at

    def admit(self, scope: Scope, needed: str) -> Key | None:
        """Return the caller's key, None through the open door; raises a 401 or 403 problem."""
        if self.is_open:
            return None
        key = self._find(_secret_in(scope))
        if not key.grants(needed):
            raise ProblemError(
                403, "scope-missing", f"The key lacks the scope {needed}.", title="Not allowed"
            )
        self._used_at[key.key_id] = self._now()
        return key

    def _find(self, secret: str) -> Key:
        digest = digest_of(secret)
        key = self._by_digest.get(digest)
        if key is None or not compare_digest(key.digest, digest) or not key.is_valid(self._now()):
            raise _refused("The key is not known, was revoked, or has expired.")
        return key


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
