"""`control.sqlite`: the list of runs and the pointer to the live one."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from serving.store.errors import NoRunError, StoreError
from serving.store.records import RunInfo

_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (run_number INTEGER PRIMARY KEY AUTOINCREMENT,
 score_run_id TEXT UNIQUE, created_at TEXT NOT NULL, published_at TEXT,
 customer_count INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS live (only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
 score_run_id TEXT NOT NULL);
"""
_SELECT_RUNS = """
SELECT r.score_run_id, r.created_at, r.published_at, r.customer_count, l.score_run_id IS NOT NULL
FROM runs r LEFT JOIN live l ON l.score_run_id = r.score_run_id
WHERE r.published_at IS NOT NULL ORDER BY r.run_number DESC"""


class Control:
    """The pointer's file; every call opens it anew, and every change replaces it whole."""

    def __init__(self, path: Path, *, kept_runs: int) -> None:
        self._path = path
        self._kept_runs = kept_runs

    def live_run_id(self) -> str:
        """Return the live run's id; raises `NoRunError`."""
        with self._reading() as connection:
            row = connection.execute("SELECT score_run_id FROM live").fetchone()
        if row is None:
            raise self._nothing()
        return str(row[0])

    def list_runs(self) -> list[RunInfo]:
        """Return the published runs that are kept, newest first."""
        if not self._path.exists():
            return []
        with self._reading() as connection:
            rows = connection.execute(_SELECT_RUNS).fetchall()
        return [
            RunInfo(
                run_id, datetime.fromisoformat(created), datetime.fromisoformat(published), count, bool(live)
            )
            for run_id, created, published, count, live in rows
        ]

    def add_run(self, created_at: datetime) -> str:
        """Give out the next run id."""
        with self._writing() as connection:
            cursor = connection.execute("INSERT INTO runs (created_at) VALUES (?)", (created_at.isoformat(),))
            run_id = f"s_{cursor.lastrowid:04d}"
            connection.execute(
                "UPDATE runs SET score_run_id = ? WHERE run_number = ?", (run_id, cursor.lastrowid)
            )
        return run_id

    def make_live(self, score_run_id: str, *, published_at: datetime, customer_count: int) -> None:
        """Move the pointer."""
        with self._writing() as connection:
            connection.execute(
                "UPDATE runs SET published_at = ?, customer_count = ? WHERE score_run_id = ?",
                (published_at.isoformat(), customer_count, score_run_id),
            )
            connection.execute(
                "INSERT OR REPLACE INTO live VALUES (1, ?)",
                (score_run_id,),
            )

    def set_customer_count(self, score_run_id: str, customer_count: int) -> None:
        """Note how many a run holds, once somebody was erased from it."""
        with self._writing() as connection:
            connection.execute(
                "UPDATE runs SET customer_count = ? WHERE score_run_id = ?", (customer_count, score_run_id)
            )

    def remove_old_runs(self, runs: Path) -> None:
        """Keep the newest few published runs (pinned cursors may still read them) and forget the rest."""
        kept = {run.score_run_id for run in self.list_runs()[: self._kept_runs]} | {self.live_run_id()}
        with self._writing() as connection:
            marks = ",".join("?" * len(kept))
            query = f"DELETE FROM runs WHERE score_run_id NOT IN ({marks})"  # noqa: S608 - marks only
            connection.execute(query, sorted(kept))
        for path in runs.glob("*.sqlite"):
            if path.stem not in kept:
                path.unlink(missing_ok=True)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        if not self._path.exists():
            raise self._nothing()
        # Immutable: no lock is taken and no folder written, because a change is another file of this name.
        with self._guarded(f"file:{quote(str(self._path))}?mode=ro&immutable=1") as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Change a copy, then put it in place: readers see the old file or the new one, and so does a crash.

        Only the holder of the publish lock writes.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_suffix(".partial")
        partial.unlink(missing_ok=True)
        if self._path.exists():
            shutil.copyfile(self._path, partial)
        with self._guarded(f"file:{quote(str(partial))}") as connection:
            connection.execute("PRAGMA journal_mode = OFF")
            connection.executescript(_SCHEMA)
            yield connection
            connection.commit()
        replace_durably(partial, self._path)

    @contextmanager
    def _guarded(self, uri: str) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(uri, uri=True)) as connection:
                yield connection
        except sqlite3.Error as error:
            raise StoreError(f"{self._path} cannot be used ({error})") from None

    def _nothing(self) -> NoRunError:
        return NoRunError(f"no score run in {self._path.parent}; run `make score` first")


def replace_durably(partial: Path, final: Path) -> None:
    """Flush a file and give it its name in one step; after this a power cut cannot take it away."""
    with partial.open("rb") as stream:
        os.fsync(stream.fileno())
    partial.replace(final)
    folder = os.open(final.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
