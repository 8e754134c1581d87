"""A snapshot: the one object that says what is known and what is still to come.

Worked example, time zone UTC, observation 30 days, horizon 7 days:

    Snapshot(date(2011, 9, 10), observation_days=30)
    known    [2011-08-11 00:00, 2011-09-10 00:00)    features read this
    outcome  [2011-09-10 00:00, 2011-09-17 00:00)    labels read this
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

DAY_SECONDS = 86_400
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def days_since_epoch(instant: datetime) -> float:
    """Return days since 1970-01-01 UTC of an aware instant.

    >>> days_since_epoch(datetime(1970, 1, 2, 12, tzinfo=UTC))
    1.5
    """
    return (instant - _EPOCH).total_seconds() / DAY_SECONDS


def instant_of(days: float) -> datetime:
    """Return the aware UTC instant of a number of days since 1970-01-01 UTC (to the microsecond)."""
    return _EPOCH + timedelta(days=days)


def local_midnight_days(day: date, time_zone: str) -> float:
    """Return 00:00 of a calendar day in a time zone, as days since 1970-01-01 UTC.

    >>> local_midnight_days(date(1970, 1, 2), "Asia/Seoul")
    0.625
    """
    return days_since_epoch(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(time_zone)))


def add_months(day: date, months: int) -> date:
    """Return the same day some months later, or the last day of a month that is too short for it.

    >>> add_months(date(2026, 11, 30), 3).isoformat(), add_months(date(2026, 3, 31), -1).isoformat()
    ('2027-02-28', '2026-02-28')
    """
    number = day.year * 12 + day.month - 1 + months
    first = date(number // 12, number % 12 + 1, 1)
    after = date((number + 1) // 12, (number + 1) % 12 + 1, 1)
    return first + timedelta(days=min(day.day, (after - first).days) - 1)


def snapshot_step_days(headline_days: int) -> int:
    """Return the distance of training snapshots: a quarter of the headline horizon, at least one day.

    >>> snapshot_step_days(30), snapshot_step_days(90), snapshot_step_days(1)
    (8, 22, 1)
    """
    return max(1, round(headline_days / 4))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A date D: known is `[D - observation_days, D)`, the outcome of horizon h is `[D, D + h)`.

    Days are calendar days of the shop's `time_zone`; `observation_days=None` means all history.
    """

    date: date
    time_zone: str = "UTC"
    observation_days: int | None = None

    @property
    def end_days(self) -> float:
        """D 00:00 local, in days since 1970-01-01 UTC: the first instant that is not known."""
        return local_midnight_days(self.date, self.time_zone)

    @property
    def zone(self) -> ZoneInfo:
        """The shop's time zone."""
        return ZoneInfo(self.time_zone)

    @property
    def start_days(self) -> float | None:
        """The first instant that is observed, or None when all history is."""
        if self.observation_days is None:
            return None
        return local_midnight_days(self.date - timedelta(days=self.observation_days), self.time_zone)

    def outcome_end_days(self, horizon_days: int) -> float:
        """(D + h) 00:00 local: the first instant after the outcome window of a horizon."""
        return local_midnight_days(self.date + timedelta(days=horizon_days), self.time_zone)

    def shifted(self, days: int) -> "Snapshot":
        """Return the snapshot a number of days later (negative: earlier)."""
        return Snapshot(self.date + timedelta(days=days), self.time_zone, self.observation_days)
