"""What every destination was last sent of every customer, so that only changes go.

Rows are written under the number of their job and count once it is done: a job that is killed leaves nothing
that counts. Rows that newer ones replaced are removed afterwards.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from serving.state.database import State
from serving.state.tables import JOBS, LAST_SENT
from serving.store.parts import in_parts

Attributes = dict[str, Any]
_ROWS_AT_ONCE: Final = 5_000
_IDS_AT_ONCE: Final = 500
_COUNTING: Final = LAST_SENT.join(JOBS, JOBS.c.job_number == LAST_SENT.c.job_number)
_IS_DONE: Final = JOBS.c.status.in_(("done", "expired"))


class LastSent:
    """What one destination holds, as far as finished jobs tell."""

    def __init__(self, state: State, destination: str) -> None:
        self._state = state
        self._destination = destination
        self._mine = LAST_SENT.c.destination == destination

    def read(self, customer_ids: Sequence[str]) -> dict[str, Attributes]:
        """Return what was last sent of some customers; those never sent are left out."""
        found: dict[str, Attributes] = {}
        with self._state.reading() as connection:
            for part in in_parts(customer_ids, _IDS_AT_ONCE):
                rows = connection.execute(self._select().where(LAST_SENT.c.customer_id.in_(part)))
                found |= {row.customer_id: json.loads(row.attributes) for row in rows}
        return found

    def pages(self) -> Iterator[dict[str, Attributes]]:
        """Yield all that was sent, some customers at a time."""
        after = ""
        while True:
            following = LAST_SENT.c.customer_id > after
            with self._state.reading() as connection:
                rows = connection.execute(self._select().where(following).limit(_ROWS_AT_ONCE)).all()
            if not rows:
                return
            after = rows[-1].customer_id
            # Older rows of the last customer may have been cut off; the newest come last, so none is wrong.
            yield self.read(sorted({row.customer_id for row in rows}))

    def write(self, job_number: int, sent: Mapping[str, Attributes]) -> None:
        """Note what a job sends; it counts when the job is done."""
        rows = (
            {
                "destination": self._destination,
                "customer_id": customer_id,
                "job_number": job_number,
                "attributes": json.dumps(attributes),
            }
            for customer_id, attributes in sent.items()
        )
        for block in in_parts(rows, _ROWS_AT_ONCE):
            with self._state.writing() as connection:
                connection.execute(sa.insert(LAST_SENT), block)

    def forget_job(self, job_number: int) -> None:
        """Remove what an earlier attempt of a job noted."""
        with self._state.writing() as connection:
            connection.execute(sa.delete(LAST_SENT).where(self._mine, LAST_SENT.c.job_number == job_number))

    def prune(self, job_number: int) -> None:
        """Remove the rows that those of a finished job replaced, some customers at a time."""
        after = ""
        while True:
            with self._state.writing() as connection:
                ids = list(
                    connection.execute(
                        sa.select(LAST_SENT.c.customer_id)
                        .where(self._mine, LAST_SENT.c.job_number == job_number)
                        .where(LAST_SENT.c.customer_id > after)
                        .order_by(LAST_SENT.c.customer_id)
                        .limit(_IDS_AT_ONCE)
                    ).scalars()
                )
                if not ids:
                    return
                after = ids[-1]
                older = sa.and_(LAST_SENT.c.customer_id.in_(ids), LAST_SENT.c.job_number < job_number)
                connection.execute(sa.delete(LAST_SENT).where(self._mine, older))

    def _select(self) -> sa.Select[Any]:
        columns = (LAST_SENT.c.customer_id, LAST_SENT.c.attributes)
        newest_last = (LAST_SENT.c.customer_id, LAST_SENT.c.job_number)
        return sa.select(*columns).select_from(_COUNTING).where(self._mine, _IS_DONE).order_by(*newest_last)
