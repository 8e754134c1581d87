"""The control group of a list: people kept out of it on purpose, so that its effect can be measured.

Who is in one follows from a secret of this installation, the list and the customer's id alone: nothing is
stored, a person stays in for ever, and a larger share keeps whoever was in a smaller one.
"""

import hmac
from pathlib import Path
from typing import Final, Literal

from serving.web.cursor import load_secret

Control = Literal["exclude", "include", "only"]
_KEY_FILE: Final = "control.key"
_DRAW_BYTES: Final = 8


class ControlGroup:
    """Draws the control groups of all lists."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    @classmethod
    def of(cls, private: Path) -> "ControlGroup":
        """Return the installation's own; the secret is made at first use and never again."""
        return cls(load_secret(private, name=_KEY_FILE))

    def holds(self, audience: str, customer_id: str, *, share: float) -> bool:
        """Say whether a customer is in the control group of a list, of which it is `share` (0 to 1)."""
        if share <= 0.0:
            return False
        digest = hmac.digest(self._secret, f"{audience}\0{customer_id}".encode(), "sha256")
        draw: int = int.from_bytes(digest[:_DRAW_BYTES], "big")
        return draw < share * 2.0 ** (8 * _DRAW_BYTES)
