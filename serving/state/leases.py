"""Calls leased from a key's bucket, which all serving processes share."""

from typing import NamedTuple

import sqlalchemy as sa

from serving.state.database import State
from serving.state.tables import BUCKETS
from serving.web.buckets import Bucket, Rate, full

# Who waits here holds up the calls of a key.
_WAIT_MS = 500


class Lease(NamedTuple):
    """Calls that one process may let through, and what is left for all after it."""

    calls: int
    left: Bucket


class Leases:
    """Takes calls out of shared buckets."""

    def __init__(self, state: State) -> None:
        self._state = state

    def take(self, key_id: str, rate: Rate, *, wanted: int, now: float) -> Lease:
        """Take up to `wanted` calls of a key out of its bucket; fewer, or none, where they are used up.

        Raises `StateBusyError` where another process writes for longer than a moment.
        """
        with self._state.writing(wait_ms=_WAIT_MS) as connection:
            found = connection.execute(
                sa.select(BUCKETS.c.calls, BUCKETS.c.filled_at).where(BUCKETS.c.key_id == key_id)
            ).one_or_none()
            bucket = full(rate, now) if found is None else Bucket(*found).filled(rate, now)
            left, taken = bucket.take(wanted)
            connection.execute(sa.delete(BUCKETS).where(BUCKETS.c.key_id == key_id))
            connection.execute(
                sa.insert(BUCKETS).values(key_id=key_id, calls=left.calls, filled_at=left.filled_at)
            )
        return Lease(taken, left)
