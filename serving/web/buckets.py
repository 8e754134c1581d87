"""A token bucket: how many calls are left, as time goes by.

A bucket fills at a constant rate and holds what fills it in ten seconds: so many calls may come at once, and
no window has an edge at which twice as many could.
"""

import math
from typing import Final, NamedTuple

BURST_SECONDS: Final = 10.0
_CLOCK_SECONDS: Final = 10.0


class Rate:
    """So many calls a minute.

    `per_second`  calls that come back in a second
    `capacity`    calls that a full bucket holds; at least one
    """

    __slots__ = ("capacity", "per_second")

    def __init__(self, calls_per_minute: int) -> None:
        self.per_second: Final = calls_per_minute / 60.0
        self.capacity: Final = max(1.0, self.per_second * BURST_SECONDS)


class Bucket(NamedTuple):
    """`calls` were left at `filled_at` (seconds since 1970)."""

    calls: float
    filled_at: float

    def filled(self, rate: Rate, now: float) -> "Bucket":
        """Return the bucket as it is now.

        An instant before `filled_at` gives nothing back and counts nothing again: two processes need not
        agree to the second. A clock that was set back by more than that begins anew.

        >>> Bucket(0.0, 100.0).filled(Rate(60), 103.0)
        Bucket(calls=3.0, filled_at=103.0)
        """
        passed = now - self.filled_at
        if passed <= 0:
            return self if passed > -_CLOCK_SECONDS else self._replace(filled_at=now)
        return Bucket(min(rate.capacity, self.calls + passed * rate.per_second), now)

    def take(self, wanted: int) -> tuple["Bucket", int]:
        """Take up to so many whole calls out; return what is left, and how many there were."""
        taken = min(wanted, math.floor(self.calls))
        return self._replace(calls=self.calls - taken), taken

    def wait_seconds(self, rate: Rate) -> float:
        """Return after how long there is a whole call again; 0 where there is one."""
        return max(0.0, 1.0 - self.calls) / rate.per_second


def full(rate: Rate, now: float) -> Bucket:
    """Return a bucket that nothing was taken out of."""
    return Bucket(rate.capacity, now)
