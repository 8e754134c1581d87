"""How old scores may be: `status` turns to `stale` so many days after their `as_of`, in its calendar."""

import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

_LOOK_SECONDS: Final = 1.0
NEVER: Final = 0


class Freshness:
    """Says which scores of a shop are stale; the calendar is looked at once a second, not once a call."""

    def __init__(
        self, time_zone: str, *, after_days: int, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._zone = ZoneInfo(time_zone)
        self._after_days = after_days
        self._now = now
        self._first_fresh = ""
        self._looked_at: float | None = None

    def is_stale(self, as_of: str | None) -> bool:
        """Say whether scores as of a day (ISO 8601) are older than they may be; of no day they are not."""
        return as_of is not None and as_of < self.first_fresh()

    def first_fresh(self) -> str:
        """Return the oldest `as_of` that is not stale; "" where none ever is."""
        if self._after_days == NEVER:
            return ""
        moment = time.monotonic()
        if self._looked_at is None or moment - self._looked_at >= _LOOK_SECONDS:
            today = self._now().astimezone(self._zone).date()
            self._first_fresh = (today - timedelta(days=self._after_days)).isoformat()
            self._looked_at = moment
        return self._first_fresh


def age_seconds(as_of: date, time_zone: str, now: datetime) -> float:
    """Return how long ago a day began in a time zone; 0 where it is still to come.

    >>> age_seconds(date(2026, 11, 22), "Europe/Berlin", datetime(2026, 11, 22, 1, tzinfo=UTC))
    7200.0
    """
    begun = datetime(as_of.year, as_of.month, as_of.day, tzinfo=ZoneInfo(time_zone))
    return max(0.0, (now - begun).total_seconds())
