"""Making a run in PostgreSQL: a schema of its own, filled with COPY, live by one update of the pointer."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final, Self

import psycopg

from serving.rows import NULLABLE_NAMES, STORED, STORED_NAMES, Column
from serving.segments.traits import ATTRIBUTES
from serving.store.errors import PublishError
from serving.store.pg_address import PgAddress
from serving.store.pg_engine import LOCKS, PUBLISH_LOCK, first_line
from serving.store.pg_tables import (
    CONTROL_SCHEMA,
    CONTROL_TABLES,
    RUN_KEYS,
    RUN_PREFIX,
    RUN_TABLE_NAMES,
    RUN_TABLES,
)
from serving.store.records import Item, RunMeta, members_of

# The server notices within a minute that the publisher's machine is gone, and lets go of its lock.
SESSION: Final = {
    "search_path": CONTROL_SCHEMA,
    "lock_timeout": "1s",
    "idle_session_timeout": "0",
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}
_ONE_UNEXPLAINED = "(\"{0}\" IS NULL AND (null_reasons::json ->> '{0}') IS NULL)"
_UNEXPLAINED = " OR ".join(_ONE_UNEXPLAINED.format(name) for name in NULLABLE_NAMES if name in STORED_NAMES)
_PLACE = (
    "INSERT INTO {0}.audience_members SELECT %s, p.position, s.row_number, s.customer_id, p.line "
    "FROM {0}.placed p JOIN {0}.scores s ON s.customer_id = p.customer_id"
)
_COUNT = "SELECT count(*) FROM {0}.scores"
_INSERT_META = "INSERT INTO {0}.meta VALUES (%s)"
_IN_STOCK: Final = Item._fields.index("in_stock")
Table = Iterable[Sequence[object]]


class PgRunWriter:
    """A run being made; leaving the block without `publish` drops it.

    One at a time: one session holds a lock from `begin_run` to the end and writes everything, so whoever lost
    the lock can write nothing more.
    """

    def __init__(self, address: PgAddress, *, kept_runs: int) -> None:
        self._name = address.name
        self._kept_runs = kept_runs
        self._rows = count(1)
        self._is_indexed = self._is_live = False
        with self._guarded():
            self._connection = psycopg.connect(address.conninfo(SESSION, is_hasty=False), autocommit=True)
        try:
            with self._guarded():
                self._begin()
        except BaseException:
            self._connection.close()
            raise

    def _begin(self) -> None:
        take_publish_lock(self._connection)
        (encoding,) = self._one("SHOW server_encoding")
        if encoding != "UTF8":
            raise PublishError(f"{self._name} keeps texts in {encoding}; make one with the encoding UTF8")
        self._run(f"CREATE SCHEMA IF NOT EXISTS {CONTROL_SCHEMA}")
        self._run(CONTROL_TABLES)
        remove_unpublished(self._connection)
        (number,) = self._one(
            "INSERT INTO runs (created_at) VALUES (%s) RETURNING run_number", datetime.now(UTC).isoformat()
        )
        self.score_run_id = f"s_{number:04d}"
        self._schema = f"{RUN_PREFIX}{number:04d}"
        self._run("UPDATE runs SET score_run_id = %s WHERE run_number = %s", self.score_run_id, number)
        self._run(f"CREATE SCHEMA {self._schema}")
        self._run(RUN_TABLES.format(self._schema))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        with suppress(psycopg.Error):
            if not self._is_live:
                remove_unpublished(self._connection)
        with suppress(psycopg.Error):
            # The session ends a little after its connection; the next publisher need not wait for that.
            self._run("SELECT pg_advisory_unlock(%s, %s)", LOCKS, PUBLISH_LOCK)
        self._connection.close()

    def write_scores(self, rows: Iterable[Sequence[object]]) -> None:
        """Add rows (the values of `rows.STORED_NAMES`)."""
        stored = ((next(self._rows), *_typed(_STORED, row)) for row in rows)
        self._copy("scores", stored)

    def write_recommendations(self, lists: Iterable[tuple[str, str, bytes]]) -> None:
        """Add (customer_id, kind, packed slots); the customer "" holds the fallback."""
        self._copy("recommendations", lists)

    def write_owned(self, owned: Iterable[tuple[str, bytes]]) -> None:
        """Add (customer_id, packed purchases); customers who bought nothing may be left out."""
        self._copy("owned", owned)

    def write_timelines(self, timelines: Iterable[tuple[str, str]]) -> None:
        """Add (customer_id, what happened to them, as JSON)."""
        self._copy("timelines", timelines)

    def write_documents(self, documents: Mapping[str, str]) -> None:
        """Add documents about the shop as a whole: JSON by name."""
        self._copy("documents", documents.items())

    def write_items(self, items: Iterable[Item]) -> None:
        """Add products."""
        self._copy("items", (_stored_item(item) for item in items))

    def write_item_lists(self, lists: Iterable[tuple[int, str, bytes]]) -> None:
        """Add (item_no, kind, packed slots)."""
        self._copy("item_lists", lists)

    def write_traits(self, rows: Iterable[Sequence[object]]) -> None:
        """Add (row_number, the values of `traits.ATTRIBUTE_NAMES`)."""
        self._copy("traits", ((row[0], *_typed(_TRAITS, row[1:])) for row in rows))

    def write_sold_products(self, products: Iterable[Sequence[object]]) -> None:
        """Add (product_no, product_id, category) of whatever was ever sold."""
        self._copy("sold_products", products)

    def write_purchases(self, purchases: Iterable[Sequence[object]]) -> None:
        """Add (product_no, row_number, age_days), in any order."""
        self._copy("purchases", purchases)

    def write_audience(
        self, audience: str, customer_ids: Iterable[str], lines: Iterable[bytes | None] | None = None
    ) -> None:
        """Write a whole audience in its order, with lines where there are some."""
        self._index_customers()
        self._copy("placed", members_of(customer_ids, lines))
        with self._guarded():
            self._run(_PLACE.format(self._schema), audience)
            self._run(f"TRUNCATE {self._schema}.placed")

    def publish(self, meta: RunMeta) -> RunMeta:
        """Check the run, and make it the live one in one transaction; raises `PublishError`."""
        self._index_customers()
        with self._guarded():
            (customer_count,) = self._one(_COUNT.format(self._schema))
            final = meta.model_copy(
                update={"score_run_id": self.score_run_id, "customer_count": customer_count}
            )
            self._run(_INSERT_META.format(self._schema), final.model_dump_json())
            self._check()
            self._run(RUN_KEYS.format(self._schema))
            for name in RUN_TABLE_NAMES:
                self._run(f"ANALYZE {self._schema}.{name}")
            # Whoever bought a product is then read from the index alone.
            self._run(f"VACUUM {self._schema}.purchases")
            self._make_live(customer_count)
        self._is_live = True
        # The run is live: what cannot be removed now, the next one removes.
        with suppress(psycopg.Error):
            self._remove_old()
        return final

    def _index_customers(self) -> None:
        # After the rows: filling a table first and then its index is several times faster.
        if self._is_indexed:
            return
        with self._guarded():
            try:
                self._run(f"CREATE UNIQUE INDEX scores_customer ON {self._schema}.scores (customer_id)")
            except psycopg.errors.UniqueViolation:
                raise PublishError(
                    "a customer was scored twice; the run was dropped, the old one stays live"
                ) from None
            self._run(f"ANALYZE {self._schema}.scores")
        self._is_indexed = True

    def _check(self) -> None:
        query = f"SELECT 1 FROM {self._schema}.scores WHERE {_UNEXPLAINED} LIMIT 1"  # noqa: S608 - our own names
        if self._connection.execute(query).fetchone():
            raise PublishError(
                "a score is null without a reason; the run was dropped, the old one stays live"
            )

    def _make_live(self, customer_count: int) -> None:
        with self._connection.transaction():
            self._run(
                "UPDATE runs SET published_at = %s, customer_count = %s WHERE score_run_id = %s",
                datetime.now(UTC).isoformat(),
                customer_count,
                self.score_run_id,
            )
            self._run(
                "INSERT INTO live VALUES (1, %s) "
                "ON CONFLICT (only_row) DO UPDATE SET score_run_id = excluded.score_run_id",
                self.score_run_id,
            )

    def _remove_old(self) -> None:
        """Keep the newest few published runs (pinned cursors may still read them) and forget the rest."""
        self._run(
            "DELETE FROM runs WHERE score_run_id NOT IN (SELECT score_run_id FROM live) "
            "AND run_number NOT IN (SELECT run_number FROM runs WHERE published_at IS NOT NULL "
            "ORDER BY run_number DESC LIMIT %s)",
            self._kept_runs,
        )
        remove_unpublished(self._connection)

    def _take_lock(self) -> None:
        # It waits as long as `lock_timeout`: the session of a publisher killed just now still has to end.
        try:
            self._run("SELECT pg_advisory_lock(%s, %s)", LOCKS, PUBLISH_LOCK)
        except psycopg.errors.LockNotAvailable:
            raise PublishError(
                "another scoring run is being made; wait for it to end, then run this again"
            ) from None

    def _copy(self, table: str, rows: Table) -> None:
        query = f"COPY {self._schema}.{table} FROM STDIN"
        with self._guarded(), self._connection.cursor() as cursor, cursor.copy(query) as copy:
            for row in rows:
                copy.write_row(row)

    def _run(self, query: str, *values: object) -> None:
        self._connection.execute(query, values or None)

    def _one(self, query: str, *values: object) -> tuple[Any, ...]:
        row = self._connection.execute(query, values or None).fetchone()
        assert row is not None  # noqa: S101 - every such query answers with one row
        return row

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise PublishError(f"the run cannot be written to {self._name} ({first_line(error)})") from None


def take_publish_lock(connection: psycopg.Connection[Any]) -> None:
    """Take the lock of publishers in a session that commits by itself; raises `PublishError`."""
    # A moment: the session of a publisher that was killed just now still has to end.
    try:
        with connection.transaction():
            connection.execute("SET LOCAL lock_timeout = '1s'")
            connection.execute("SELECT pg_advisory_lock(%s, %s)", (LOCKS, PUBLISH_LOCK))
    except psycopg.errors.LockNotAvailable:
        raise PublishError(
            "another scoring run is being made; wait for it to end, then run this again"
        ) from None


def remove_unpublished(connection: psycopg.Connection[Any]) -> None:
    """Remove the tables of every run that is not in the list: only the holder of the lock may."""
    found = connection.execute(
        "SELECT nspname FROM pg_namespace WHERE starts_with(nspname, %s) AND NOT EXISTS "
        "(SELECT 1 FROM runs WHERE published_at IS NOT NULL AND 'regulars_' || score_run_id = nspname)",
        (RUN_PREFIX,),
    ).fetchall()
    for (schema,) in found:
        # Somebody reads it: the next one removes it.
        with suppress(psycopg.errors.LockNotAvailable):
            connection.execute(f'DROP SCHEMA "{schema}" CASCADE')


def _number(value: Any) -> float | None:  # noqa: ANN401 - whatever the run was given
    """Return a number, None for NaN: it is no figure, and needs a reason like any other that is missing."""
    return value if value == value else None  # noqa: PLR0124 - only NaN differs from itself


def _same(value: Any) -> Any:  # noqa: ANN401 - whatever the run was given
    return value


def _whole(value: Any) -> int | None:  # noqa: ANN401 - whatever the run was given
    return None if value is None else int(value)


_Typing = tuple[Callable[[Any], Any], ...]


def _typing(columns: Iterable[Column]) -> _Typing:
    kept = {"number": _number, "integer": _whole, "boolean": _whole}
    return tuple(kept.get(column.kind, _same) for column in columns)


_STORED: Final = _typing(STORED)
_TRAITS: Final = _typing(ATTRIBUTES)


def _typed(keep: _Typing, row: Sequence[object]) -> Iterator[object]:
    return (kept(value) for kept, value in zip(keep, row, strict=True))


def _stored_item(item: Item) -> tuple[object, ...]:
    return (*item[:_IN_STOCK], _whole(item.in_stock), *item[_IN_STOCK + 1 :])
