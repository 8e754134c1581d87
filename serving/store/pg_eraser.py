"""Erasing people from score runs in PostgreSQL: rows are deleted, a transaction a run, and vacuumed."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import psycopg

from serving.store.contract import Membership
from serving.store.errors import StoreError
from serving.store.few_people import without_few
from serving.store.pg_address import PgAddress
from serving.store.pg_engine import LOCKS, PUBLISH_LOCK, first_line
from serving.store.pg_tables import CONTROL_SCHEMA, run_schema
from serving.store.pg_writer import SESSION, remove_unpublished, take_publish_lock
from serving.store.records import ErasedScores, RunMeta
from serving.store.run_counts import Gone, without

_TABLES: Final = ("scores", "recommendations", "owned", "timelines")
_DOCUMENTS: Final = "documents"
_LATER_TABLES: Final = ("traits", "purchases")
"""What runs of earlier releases, which are kept too, do not have."""
_SELECT_GONE: Final = (
    "SELECT m.audience, s.customer_id, s.value_at_risk, s.email_consent FROM {0}.audience_members m "
    "JOIN {0}.scores s ON s.row_number = m.row_number WHERE s.customer_id = ANY(%s)"
)
# By the rows: runs of earlier releases, which are kept too, have no ids in their lists.
_DELETE_LATER: Final = (
    "DELETE FROM {0}.{1} WHERE row_number IN (SELECT row_number FROM {0}.scores WHERE customer_id = ANY(%s))"
)
_DELETE_PLACES: Final = (
    "DELETE FROM {0}.audience_members WHERE row_number IN "
    "(SELECT row_number FROM {0}.scores WHERE customer_id = ANY(%s))"
)


class PgEraser:
    """Takes people out of the published runs of a database, in a session that holds the publishers' lock."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._connection = connection

    def forget(self, customer_ids: Collection[str], group: Membership) -> ErasedScores:
        """Remove all that runs hold of people."""
        if self._one("SELECT to_regclass(%s) IS NULL", f"{CONTROL_SCHEMA}.runs"):
            return ErasedScores()
        remove_unpublished(self._connection)
        rows = self._connection.execute("SELECT score_run_id FROM runs WHERE published_at IS NOT NULL")
        row_count = run_count = 0
        for (score_run_id,) in rows.fetchall():
            schema = run_schema(score_run_id)
            if schema is not None:
                removed = self._forget_in(score_run_id, schema, list(customer_ids), group)
                row_count += removed
                run_count += removed > 0
        return ErasedScores(row_count, run_count)

    def _forget_in(self, score_run_id: str, schema: str, ids: list[str], group: Membership) -> int:
        # Runs of earlier releases have fewer tables.
        tables = [table for table in _TABLES if self._has(schema, table)]
        later = [table for table in _LATER_TABLES if self._has(schema, table)]
        with self._connection.transaction():
            found = self._connection.execute(_SELECT_GONE.format(schema), (ids,)).fetchall()
            removed = self._connection.execute(_DELETE_PLACES.format(schema), (ids,)).rowcount
            for table in later:
                removed += self._connection.execute(_DELETE_LATER.format(schema, table), (ids,)).rowcount
            for table in tables:
                query = f"DELETE FROM {schema}.{table} WHERE customer_id = ANY(%s)"  # noqa: S608 - our own names
                removed += self._connection.execute(query, (ids,)).rowcount
            if not removed:
                return 0
            self._clear_few(schema)
            count = int(self._one(f"SELECT count(*) FROM {schema}.scores"))  # noqa: S608 - our own names
            meta = RunMeta.model_validate_json(self._one(f"SELECT document FROM {schema}.meta"))  # noqa: S608 - our own names
            final = without(meta, [Gone(*row) for row in found], group, customer_count=count)
            self._connection.execute(f"UPDATE {schema}.meta SET document = %s", (final.model_dump_json(),))  # noqa: S608 - our own names
            update = "UPDATE runs SET customer_count = %s WHERE score_run_id = %s"
            self._connection.execute(update, (count, score_run_id))
        documents = [_DOCUMENTS] if self._has(schema, _DOCUMENTS) else []
        for table in (*tables, *later, *documents, "audience_members", "meta"):
            self._connection.execute(f"VACUUM {schema}.{table}")
        return removed

    def _clear_few(self, schema: str) -> None:
        if not self._has(schema, _DOCUMENTS):
            return
        for name, body in self._connection.execute(f"SELECT name, body FROM {schema}.documents").fetchall():  # noqa: S608 - our own names
            query = f"UPDATE {schema}.documents SET body = %s WHERE name = %s"  # noqa: S608 - our own names
            self._connection.execute(query, (without_few(body), name))

    def _has(self, schema: str, table: str) -> bool:
        return bool(self._one("SELECT to_regclass(%s) IS NOT NULL", f"{schema}.{table}"))

    def _one(self, query: str, *values: object) -> Any:  # noqa: ANN401 - one cell
        row = self._connection.execute(query, values or None).fetchone()
        assert row is not None  # noqa: S101 - every such query answers with one row
        return row[0]


@contextmanager
def holding(address: PgAddress) -> Iterator[PgEraser]:
    """Hold the publishers' lock in a session of its own; raises `PublishError` and `StoreError`."""
    try:
        connection = psycopg.connect(address.conninfo(SESSION, is_hasty=False), autocommit=True)
    except psycopg.Error as error:
        raise StoreError(f"the scores in {address.name} cannot be written ({first_line(error)})") from None
    with connection:
        try:
            take_publish_lock(connection)
            yield PgEraser(connection)
        except psycopg.Error as error:
            raise StoreError(
                f"the scores in {address.name} cannot be written ({first_line(error)})"
            ) from None
        finally:
            with suppress(psycopg.Error):
                connection.execute("SELECT pg_advisory_unlock(%s, %s)", (LOCKS, PUBLISH_LOCK))
