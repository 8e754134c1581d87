"""Making a run: a file of its own, checked and made durable before the one update that makes it live."""

import fcntl
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Self, TextIO

from serving.rows import NULLABLE_NAMES, STORED_NAMES
from serving.segments.traits import ATTRIBUTE_NAMES
from serving.store.errors import PublishError
from serving.store.records import Item, RunMeta, members_of
from serving.store.sqlite_control import Control, replace_durably
from serving.store.sqlite_run import SCHEMA

_INSERT_SCORE = f"INSERT INTO scores VALUES (NULL{', ?' * len(STORED_NAMES)})"  # noqa: S608 - marks only
_INSERT_ITEM = f"INSERT INTO items VALUES (?{', ?' * (len(Item._fields) - 1)})"  # noqa: S608 - marks only
_INSERT_TRAITS = f"INSERT INTO traits VALUES (?{', ?' * len(ATTRIBUTE_NAMES)})"  # noqa: S608 - marks only
_STAGED = "CREATE TEMP TABLE IF NOT EXISTS staged (product_no INTEGER, row_number INTEGER, age_days INTEGER)"
# Sorted as the table is: pages are then filled one after another.
_SORT_PURCHASES = "INSERT INTO purchases SELECT * FROM staged ORDER BY product_no, row_number"
_INSERT_MEMBER = """
INSERT INTO audience_members SELECT ?, ?, row_number, customer_id, ? FROM scores WHERE customer_id = ?"""
_UNEXPLAINED = "SELECT customer_id FROM scores WHERE {tests} LIMIT 1"
_ONE_UNEXPLAINED = "(\"{0}\" IS NULL AND json_extract(null_reasons, '$.{0}') IS NULL)"


class SqliteRunWriter:
    """A run being made; leaving the block without `publish` drops it.

    One at a time: a lock that dies with its process is held from `begin_run` to the end, so two scoring runs
    cannot publish over each other.
    """

    def __init__(self, control: Control, runs: Path) -> None:
        self._control = control
        self._runs = runs
        self._lock = take_lock(runs.parent / "publish.lock")
        remove_partial(runs)
        self.score_run_id = control.add_run(datetime.now(UTC))
        self._partial = runs / f"{self.score_run_id}.partial"
        try:
            self._connection = _open_partial(self._partial)
        except sqlite3.Error as error:
            raise _not_written(self._partial, error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._connection.close()
        self._partial.unlink(missing_ok=True)
        self._lock.close()
        if isinstance(error, sqlite3.Error):
            raise _not_written(self._partial, error) from None

    def write_scores(self, rows: Iterable[Sequence[object]]) -> None:
        """Add rows (the values of `rows.STORED_NAMES`)."""
        self._connection.executemany(_INSERT_SCORE, rows)

    def write_recommendations(self, lists: Iterable[tuple[str, str, bytes]]) -> None:
        """Add (customer_id, kind, packed slots); the customer "" holds the fallback."""
        self._connection.executemany("INSERT INTO recommendations VALUES (?, ?, ?)", lists)

    def write_owned(self, owned: Iterable[tuple[str, bytes]]) -> None:
        """Add (customer_id, packed purchases); customers who bought nothing may be left out."""
        self._connection.executemany("INSERT INTO owned VALUES (?, ?)", owned)

    def write_timelines(self, timelines: Iterable[tuple[str, str]]) -> None:
        """Add (customer_id, what happened to them, as JSON)."""
        self._connection.executemany("INSERT INTO timelines VALUES (?, ?)", timelines)

    def write_documents(self, documents: Mapping[str, str]) -> None:
        """Add documents about the shop as a whole: JSON by name."""
        self._connection.executemany("INSERT INTO documents VALUES (?, ?)", documents.items())

    def write_items(self, items: Iterable[Item]) -> None:
        """Add products."""
        self._connection.executemany(_INSERT_ITEM, items)

    def write_item_lists(self, lists: Iterable[tuple[int, str, bytes]]) -> None:
        """Add (item_no, kind, packed slots)."""
        self._connection.executemany("INSERT INTO item_lists VALUES (?, ?, ?)", lists)

    def write_traits(self, rows: Iterable[Sequence[object]]) -> None:
        """Add (row_number, the values of `traits.ATTRIBUTE_NAMES`)."""
        self._connection.executemany(_INSERT_TRAITS, rows)

    def write_sold_products(self, products: Iterable[Sequence[object]]) -> None:
        """Add (product_no, product_id, category) of whatever was ever sold."""
        self._connection.executemany("INSERT INTO sold_products VALUES (?, ?, ?)", products)

    def write_purchases(self, purchases: Iterable[Sequence[object]]) -> None:
        """Add (product_no, row_number, age_days), in any order."""
        self._connection.execute(_STAGED)
        self._connection.executemany("INSERT INTO staged VALUES (?, ?, ?)", purchases)
        self._connection.execute(_SORT_PURCHASES)
        self._connection.execute("DROP TABLE staged")

    def write_audience(
        self, audience: str, customer_ids: Iterable[str], lines: Iterable[bytes | None] | None = None
    ) -> None:
        """Write a whole audience in its order, with lines where there are some."""
        self._index_customers()
        members = members_of(customer_ids, lines)
        self._connection.executemany(
            _INSERT_MEMBER,
            ((audience, position, line, customer) for position, customer, line in members),
        )

    def publish(self, meta: RunMeta) -> RunMeta:
        """Check the run, make it durable, and make it the live one in one step; raises `PublishError`."""
        self._index_customers()
        count = int(self._connection.execute("SELECT count(*) FROM scores").fetchone()[0])
        final = meta.model_copy(update={"score_run_id": self.score_run_id, "customer_count": count})
        self._connection.execute("INSERT INTO meta VALUES (?)", (final.model_dump_json(),))
        self._connection.commit()
        self._check()
        self._connection.close()
        self._partial.chmod(0o440)
        replace_durably(self._partial, self._runs / f"{self.score_run_id}.sqlite")
        self._control.make_live(self.score_run_id, published_at=datetime.now(UTC), customer_count=count)
        self._control.remove_old_runs(self._runs)
        return final

    def _index_customers(self) -> None:
        # After the rows: filling a table first and then its index is several times faster.
        try:
            self._connection.execute(
                "CREATE UNIQUE INDEX IF NOT EXISTS scores_customer ON scores (customer_id)"
            )
        except sqlite3.IntegrityError:
            raise PublishError(
                "a customer was scored twice; the run was dropped, the old one stays live"
            ) from None

    def _check(self) -> None:
        problem = self._connection.execute("PRAGMA integrity_check").fetchone()[0]
        if problem != "ok":
            raise PublishError(f"the new run's file is damaged ({problem}); the old one stays live")
        tests = " OR ".join(_ONE_UNEXPLAINED.format(name) for name in NULLABLE_NAMES if name in STORED_NAMES)
        if self._connection.execute(_UNEXPLAINED.format(tests=tests)).fetchone():
            raise PublishError(
                "a score is null without a reason; the run was dropped, the old one stays live"
            )


def _open_partial(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    # The file is not the run yet: it needs no journal, only the one fsync of `publish`.
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    connection.executescript(SCHEMA)
    return connection


def _not_written(path: Path, error: sqlite3.Error) -> PublishError:
    return PublishError(f"{path} cannot be written ({error}); the old run stays live")


def take_lock(path: Path) -> TextIO:
    """Take the lock of publishers; raises `PublishError` while another one has it."""
    lock = path.open("w", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise PublishError(
            "another scoring run is being made; wait for it to end, then run this again"
        ) from None
    return lock


def remove_partial(runs: Path) -> None:
    """Remove what a killed run left; only the holder of the lock may."""
    for path in runs.glob("*.partial*"):
        path.unlink(missing_ok=True)
