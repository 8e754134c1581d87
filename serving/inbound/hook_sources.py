"""Shops whose webhooks are taken: a name, a platform, and one or two secrets that sign them.

They are kept in `private/hooks.json` (mode 0600), since a signature is checked with the secret itself.
"""

import base64
import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from features.errors import UserError
from features.private_files import make_private

Platform = Literal["shopify", "woocommerce"]
PLATFORMS: Final = ("shopify", "woocommerce")
SECRETS_MAX: Final = 2
SECRET_LENGTH_MIN: Final = 16
_FILE: Final = "hooks.json"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")


class HookError(UserError):
    """A source of webhooks cannot be kept as asked."""


class HookSource(BaseModel):
    """One shop that sends webhooks; the newest secret is the last."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    platform: Platform
    secrets: tuple[str, ...]

    def signed(self, body: bytes, signature: str) -> bool:
        """Say whether any of the secrets signs a body: base64 of HMAC-SHA256 over the raw bytes."""
        given = signature.encode("utf-8", "replace")
        return any([hmac.compare_digest(_sign(secret, body), given) for secret in self.secrets])


class HookSources:
    """The sources of a data set; a running service sees changes at the next webhook."""

    def __init__(self, private: Path) -> None:
        self._private = private
        self._path = private / _FILE
        self._read_at: tuple[int, int] | None = None
        self._sources: dict[str, HookSource] = {}

    def all(self) -> Mapping[str, HookSource]:
        """Return the sources by name; raises `HookError` where the file is damaged."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return {}
        if self._read_at != (found.st_mtime_ns, found.st_ino):
            try:
                stored = json.loads(self._path.read_bytes())
                self._sources = {name: HookSource.model_validate(each) for name, each in stored.items()}
            except (ValueError, AttributeError, ValidationError):
                raise HookError(f"{self._path} is damaged: remove it and name the sources again") from None
            self._read_at = (found.st_mtime_ns, found.st_ino)
        return self._sources

    def add(self, name: str, platform: Platform, secret: str | None = None) -> str:
        """Add a source, or a second secret to one; return the secret, made where none is given."""
        chosen = secret or secrets.token_urlsafe(32)
        _check(name, chosen)
        known = self.all().get(name)
        if known is not None and known.platform != platform:
            raise HookError(f"{name!r} is a source of {known.platform}; choose another name")
        held = known.secrets if known else ()
        if chosen not in held:
            if len(held) >= SECRETS_MAX:
                raise HookError(
                    f"{name!r} has {SECRETS_MAX} secrets already: drop the older one first (DROP=older)"
                )
            self._write({**self.all(), name: HookSource(platform=platform, secrets=(*held, chosen))})
        return chosen

    def drop_older(self, name: str) -> None:
        """Forget all but the newest secret of a source."""
        known = self._known(name)
        self._write({**self.all(), name: known.model_copy(update={"secrets": known.secrets[-1:]})})

    def remove(self, name: str) -> None:
        """Forget a source: its webhooks are refused from now on."""
        self._known(name)
        self._write({other: source for other, source in self.all().items() if other != name})

    def _known(self, name: str) -> HookSource:
        known = self.all().get(name)
        if known is None:
            raise HookError(f"there is no source {name!r}; known: {', '.join(sorted(self.all())) or 'none'}")
        return known

    def _write(self, sources: Mapping[str, HookSource]) -> None:
        make_private(self._private)
        partial = self._path.with_suffix(f".{os.getpid()}")
        text = json.dumps({name: source.model_dump() for name, source in sources.items()}, indent=1)
        with os.fdopen(os.open(partial, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(self._path)


def _sign(secret: str, body: bytes) -> bytes:
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest())


def _check(name: str, secret: str) -> None:
    if not _NAME.fullmatch(name):
        raise HookError(f"{name!r} is no name of a source: small letters, digits and '-', 41 at most")
    if len(secret) < SECRET_LENGTH_MIN:
        raise HookError(f"the secret has {len(secret)} characters; {SECRET_LENGTH_MIN} are the least")
