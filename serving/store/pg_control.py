"""The list of runs in PostgreSQL, the pointer to the live one, and what else is read by a thread."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

import psycopg
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from serving.store.errors import NoRunError, RunGoneError, StoreError
from serving.store.pg_address import PgAddress
from serving.store.pg_engine import READING, first_line, open_engine
from serving.store.pg_tables import CONTROL_SCHEMA, run_schema
from serving.store.records import RunInfo, StoredRow

# Whoever bought something is hashed in memory, also where that is every third of a million customers.
_SETTINGS = {**READING, "work_mem": "64MB"}
_SELECT_RUNS = """
SELECT r.score_run_id, r.created_at, r.published_at, r.customer_count, l.score_run_id IS NOT NULL
FROM runs r LEFT JOIN live l ON l.score_run_id = r.score_run_id
WHERE r.published_at IS NOT NULL ORDER BY r.run_number DESC"""
_SELECT_PUBLISHED = "SELECT 1 FROM runs WHERE score_run_id = %s AND published_at IS NOT NULL"
_GONE = (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName)


class PgControl:
    """Reads the pointer and runs; every call blocks, so a server makes it in a thread."""

    def __init__(self, address: PgAddress) -> None:
        self.name = address.name
        self._engine = open_engine(self, address, schema=CONTROL_SCHEMA, settings=_SETTINGS)

    def live_run_id(self) -> str:
        """Return the live run's id; raises `NoRunError`."""
        rows = self._listed("SELECT score_run_id FROM live")
        if not rows:
            raise NoRunError(f"no score run in {self.name}; run `make score` first")
        return str(rows[0][0])

    def list_runs(self) -> list[RunInfo]:
        """Return the published runs that are kept, newest first."""
        return [
            RunInfo(run_id, datetime.fromisoformat(created), datetime.fromisoformat(published), count, live)
            for run_id, created, published, count, live in self._listed(_SELECT_RUNS)
        ]

    def open_schema(self, score_run_id: str) -> str:
        """Return the schema of a published run; raises `RunGoneError`."""
        schema = run_schema(score_run_id)
        if schema is None or not self._listed(_SELECT_PUBLISHED, score_run_id):
            raise RunGoneError("the score run is no longer kept")
        return schema

    def read(self, query: str, values: Sequence[object]) -> list[StoredRow]:
        """Run a query on the tables of a run; raises `RunGoneError` where they were removed."""
        with self._guarded(), self._engine.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(query, tuple(values))]

    def close(self) -> None:
        """Let go of all connections; they are made again when they are needed."""
        self._engine.dispose()

    def _listed(self, query: str, *values: object) -> list[StoredRow]:
        """Run a query on the list of runs; there is none before the first one is made."""
        try:
            return self.read(query, values)
        except RunGoneError:
            return []

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            raise reading_error(error, self.name) from None


def reading_error(error: sa.exc.SQLAlchemyError | psycopg.Error, name: str) -> StoreError:
    """Return what a failed reading means: the run was removed, or the database cannot be read."""
    if isinstance(getattr(error, "orig", error), _GONE):
        return RunGoneError("the score run is no longer kept")
    return StoreError(f"the scores in {name} cannot be read ({first_line(error)})")
