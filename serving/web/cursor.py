"""Opaque signed cursors: where a page ended, pinned to the scores and to the filter that made the page."""

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from itsdangerous import BadSignature, URLSafeSerializer

from features.private_files import made_once
from serving.web.problems import FieldError, malformed

_SECRET_BYTES = 32


class Cursor(NamedTuple):
    """The next page begins after `position` of an audience in a run.

    What was laid over the run after `overlay_sequence` is not looked at; `chain` are the pages before.
    """

    audience: str
    score_run_id: str
    position: int
    clv_min: float | None
    control: Literal["exclude", "include", "only"] = "exclude"
    overlay_sequence: int = 0
    chain: Sequence[Any] = ()


class CursorSigner:
    """Writes and reads cursors with a secret of this installation."""

    def __init__(self, secret: bytes) -> None:
        self._serializer = URLSafeSerializer(secret, salt="regulars.cursor")

    def write(self, cursor: Cursor) -> str:
        """Return the cursor as text for an address."""
        return self.sign(cursor)

    def sign(self, values: Sequence[object]) -> str:
        """Return values as text that only this installation can have written."""
        return str(self._serializer.dumps(list(values)))

    def unsign(self, text: str) -> list[Any]:
        """Read what `sign` made; raises a 422 problem if it was altered."""
        try:
            return list(self._serializer.loads(text))
        except (BadSignature, TypeError):
            raise refused() from None

    def read(self, text: str, *, audience: str) -> Cursor:
        """Read what `write` made; raises a 422 problem if it was altered or belongs to another audience."""
        try:
            cursor = Cursor(*self.unsign(text))
        except TypeError:
            raise refused() from None
        if cursor.audience != audience:
            raise refused()
        return cursor._replace(chain=tuple(cursor.chain))


def load_secret(private: Path, *, name: str = "cursor.key") -> bytes:
    """Return a secret of the installation, made at first use."""
    return made_once(private / name, lambda: secrets.token_bytes(_SECRET_BYTES))


def refused() -> Exception:
    """Return the 422 problem of a text that is no cursor of a list."""
    return malformed(
        FieldError("/query/cursor", "cursor", "this is no cursor of this list; begin without one")
    )
