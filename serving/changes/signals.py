"""What lifecycle events need beside a customer's score row: last clicks, and what is due again.

Plain values, so that the API process can read this module; `serving.changes.run_signals` makes them of a
history.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from serving.changes.lifecycle import DueItem


@dataclass(frozen=True, slots=True)
class Signals:
    """By customer_id: the last click in a message (RFC 3339, UTC), and items that are due about now.

    Who is missing has no click that is known of, or nothing due.
    """

    clicked_at: Mapping[str, str] = field(default_factory=dict)
    due: Mapping[str, Sequence[DueItem]] = field(default_factory=dict)


NO_SIGNALS = Signals()
