"""API keys in the state: made, listed, revoked. Only a digest of a key is kept."""

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import sqlalchemy as sa

from serving.state.database import State, StateError
from serving.state.tables import KEYS
from serving.web.scope_names import GRANTED_BY_ADMIN

KEY_PREFIX = "regulars_"
CALLS_PER_MINUTE = 60_000
_SECRET_BYTES = 32


class UnknownKeyError(StateError):
    """No key has this id."""


@dataclass(frozen=True, slots=True)
class Key:
    """What is known of a key: everything but the key itself."""

    key_id: str
    name: str
    digest: str
    scopes: frozenset[str]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    calls_per_minute: int = CALLS_PER_MINUTE

    def is_valid(self, now: datetime) -> bool:
        """Say whether it opens anything at this moment."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def grants(self, scope: str) -> bool:
        """Say whether it has a scope; `admin` has all others but `identity:read`.

        >>> Key("k_1", "ops", "", frozenset({"admin"}), datetime.now(UTC)).grants("events:write")
        True
        """
        return scope in self.scopes or ("admin" in self.scopes and scope in GRANTED_BY_ADMIN)


class Keys:
    """The keys of a state."""

    def __init__(self, state: State) -> None:
        self._state = state

    def add(
        self,
        name: str,
        scopes: Collection[str],
        *,
        expires_at: datetime | None = None,
        calls_per_minute: int = CALLS_PER_MINUTE,
    ) -> tuple[Key, str]:
        """Make a key of 256 random bits; return what is kept of it, and the key, which nothing keeps."""
        secret = KEY_PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
        key = Key(
            key_id=f"k_{secrets.token_hex(6)}",
            name=name,
            digest=digest_of(secret),
            scopes=frozenset(scopes),
            created_at=datetime.now(UTC).replace(microsecond=0),
            expires_at=expires_at,
            calls_per_minute=calls_per_minute,
        )
        # Before the key: a key without the mark would open the door again if the database were lost.
        self._state.mark_made()
        with self._state.writing() as connection:
            connection.execute(sa.insert(KEYS).values(_stored(key)))
        return key, secret

    def list_all(self) -> list[Key]:
        """Return every key ever made, revoked ones included, the newest last; none before the first.

        Raises `StateError` where they cannot be read, and where there were some and there are none.
        """
        if not self._state.exists():
            return []
        with self._state.reading() as connection:
            rows = connection.execute(sa.select(KEYS).order_by(KEYS.c.created_at, KEYS.c.key_id)).mappings()
            found = [_read(row) for row in rows]
        if found:
            self._state.mark_seen()
        else:
            self._state.check_unmarked()
        return found

    def revoke(self, key_id: str) -> Key:
        """Close a key for ever and return it; raises `UnknownKeyError`. Revoked twice is revoked once."""
        known = {key.key_id: key for key in self.list_all()}
        if key_id not in known:
            raise UnknownKeyError(f"no key has the id {key_id!r}; `make key` lists them")
        with self._state.writing() as connection:
            connection.execute(
                sa.update(KEYS)
                .where(KEYS.c.key_id == key_id, KEYS.c.revoked_at.is_(None))
                .values(revoked_at=_text(datetime.now(UTC)))
            )
        return known[key_id]

    def note_uses(self, used_at: Mapping[str, datetime]) -> None:
        """Keep when keys were last used, by key_id; an older instant than the one kept changes nothing."""
        if not used_at:
            return
        with self._state.writing() as connection:
            for key_id, at in sorted(used_at.items()):
                older = sa.or_(KEYS.c.last_used_at.is_(None), KEYS.c.last_used_at < _text(at))
                connection.execute(
                    sa.update(KEYS).where(KEYS.c.key_id == key_id, older).values(last_used_at=_text(at))
                )


def digest_of(secret: str) -> str:
    """Return what is kept of a key: 256 random bits need no slow hash."""
    return sha256(secret.encode()).hexdigest()


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat(timespec="seconds")


def _stored(key: Key) -> dict[str, Any]:
    return {
        "key_id": key.key_id,
        "name": key.name,
        "digest": key.digest,
        "scopes": " ".join(sorted(key.scopes)),
        "created_at": _text(key.created_at),
        "expires_at": _text(key.expires_at),
        "calls_per_minute": key.calls_per_minute,
    }


def _read(row: Any) -> Key:  # noqa: ANN401 - a row of SQLAlchemy
    instants = {
        name: None if row[name] is None else datetime.fromisoformat(row[name])
        for name in ("expires_at", "revoked_at", "last_used_at")
    }
    return Key(
        key_id=row["key_id"],
        name=row["name"],
        digest=row["digest"],
        scopes=frozenset(row["scopes"].split()),
        created_at=datetime.fromisoformat(row["created_at"]),
        calls_per_minute=row["calls_per_minute"],
        **instants,
    )
