"""Instants as scores and answers write them."""

from datetime import UTC, datetime


def instant_text(at: datetime) -> str:
    """Return an instant in UTC, to the second.

    >>> instant_text(datetime(2026, 11, 22, 10, tzinfo=UTC))
    '2026-11-22T10:00:00Z'
    """
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
