"""The log of changes: what was said of customers, in the order in which it was said, each change once.

Two report to it: `make score`, a whole run (`report_run`), and whoever scores a few customers again
(`report`, or `report_in` inside a transaction of their own). Both hand over stored rows.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import sqlalchemy as sa

from features.delivery_settings import ChangeSettings
from serving.changes.batch import IDS_AT_ONCE, Batch, Counts, Order, append, delete_said, read_entries
from serving.changes.lifecycle import Moment
from serving.changes.signals import NO_SIGNALS, Signals
from serving.state.database import State
from serving.state.tables import CHANGE_LOG, CHANGES, DELIVERIES, OCCURRENCES, REPORTED_RUNS, SAID
from serving.store.parts import in_parts
from serving.store.records import RunMeta, StoredRow

# A transaction this long keeps other writers waiting for about a fifth of a second.
ROWS_AT_ONCE: Final = 2_000
# Purchases that were due longer ago than this are not due any more.
_DUE_KEPT_DAYS: Final = 400


class _SupersededError(Exception):
    """A newer run has been reported."""


class ChangeLog:
    """The log in a state that is migrated; every method is one transaction, or several short ones."""

    def __init__(
        self, state: State, rules: ChangeSettings, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._state = state
        self._rules = rules
        self._now = now

    def report_run(self, rows: Iterable[StoredRow], meta: RunMeta, signals: Signals = NO_SIGNALS) -> Counts:
        """Report a published run whose rows and signals are at hand, as `report_parts` does."""
        return self.report_parts([(rows, signals)], meta)

    def report_parts(self, parts: Iterable[tuple[Iterable[StoredRow], Signals]], meta: RunMeta) -> Counts:
        """Report a published run: what changed, what happened, who is no longer in it.

        Some customers at a time, each once, with their signals. The run once: stopped half-way and called
        again it goes on, and a run that was reported, or is older than one that was, adds nothing. The first
        run ever is the baseline: it has no events.
        """
        total, seen = Counts(), set[str]()
        some = ((part, signals) for rows, signals in parts for part in in_parts(rows, ROWS_AT_ONCE))
        try:
            if self._begin_run(meta):
                for part, signals in some:
                    with self._state.writing() as connection:
                        self._check_newest(connection, meta)
                        total = total.plus(self.report_in(connection, part, meta, signals))
                    seen.update(row[0] for row in part)
                total = total.plus(self._remove_missing(seen, meta))
                self._finish_run(meta)
        except _SupersededError:
            return total
        return total

    def report(self, rows: Iterable[StoredRow], meta: RunMeta, signals: Signals = NO_SIGNALS) -> Counts:
        """Report customers who were scored again; `meta` says when, and how far the inbox was read by then.

        Facts that are older than what was said of a customer add nothing.
        """
        total = Counts()
        for part in in_parts(rows, ROWS_AT_ONCE):
            with self._state.writing() as connection:
                total = total.plus(self.report_in(connection, part, meta, signals))
        return total

    def report_in(
        self,
        connection: sa.Connection,
        rows: Sequence[StoredRow],
        meta: RunMeta,
        signals: Signals = NO_SIGNALS,
    ) -> Counts:
        """Report up to `ROWS_AT_ONCE` rows in the caller's own transaction."""
        finished = sa.select(REPORTED_RUNS.c.finished_at).where(REPORTED_RUNS.c.finished_at.is_not(None))
        is_baseline = connection.execute(finished.limit(1)).first() is None
        batch = Batch(connection, Moment(meta, self._rules), now=self._text(), is_baseline=is_baseline)
        batch.take(rows, signals)
        return batch.write()

    def forget(self, customer_ids: Iterable[str]) -> int:
        """Erase everything that the log and waiting deliveries hold of customers; return how many rows."""
        erased = 0
        for ids in in_parts(customer_ids, IDS_AT_ONCE):
            with self._state.writing() as connection:
                for table in (CHANGES, SAID, OCCURRENCES, DELIVERIES):
                    done = connection.execute(sa.delete(table).where(table.c.customer_id.in_(ids)))
                    erased += done.rowcount
        return erased

    def withdraw(self, customer_ids: Iterable[str]) -> int:
        """Forget people, and say to whoever copied their scores that they are gone; return how many rows."""
        erased = 0
        for ids in in_parts(customer_ids, IDS_AT_ONCE):
            with self._state.writing() as connection:
                last = sa.select(CHANGES.c.customer_id, CHANGES.c.as_of, CHANGES.c.score_run_id).join_from(
                    SAID, CHANGES, SAID.c.sequence == CHANGES.c.sequence
                )
                known = connection.execute(last.where(SAID.c.customer_id.in_(ids))).mappings().all()
                for table in (CHANGES, SAID, OCCURRENCES, DELIVERIES):
                    erased += connection.execute(
                        sa.delete(table).where(table.c.customer_id.in_(ids))
                    ).rowcount
                stone = {"kind": "removed", "event": None, "happened_at": self._text(), "document": "{}"}
                append(connection, [{**row, **stone} for row in known])
        return erased

    def remove_old(self) -> int:
        """Remove changes that are older than `keep_days`, but each customer's newest scores; return how many.

        So whoever reads the log from its beginning still learns of everybody.
        """
        oldest = self._text(before_days=self._rules.keep_days)
        removed, after = 0, 0
        while True:
            with self._state.writing() as connection:
                last = sa.exists().where(SAID.c.sequence == CHANGES.c.sequence)
                query = (
                    sa.select(CHANGES.c.sequence)
                    .where(CHANGES.c.sequence > after, CHANGES.c.happened_at < oldest, ~last)
                    .order_by(CHANGES.c.sequence)
                    .limit(ROWS_AT_ONCE)
                )
                found = connection.execute(query).scalars().all()
                if not found:
                    break
                connection.execute(sa.delete(CHANGES).where(CHANGES.c.sequence.in_(found)))
                connection.execute(
                    sa.update(CHANGE_LOG)
                    .where(CHANGE_LOG.c.removed_to < found[-1])
                    .values(removed_to=found[-1])
                )
            removed, after = removed + len(found), found[-1]
        self._remove_old_purchases()
        return removed

    def _remove_old_purchases(self) -> None:
        with self._state.writing() as connection:
            connection.execute(
                sa.delete(OCCURRENCES).where(
                    OCCURRENCES.c.event == "replenishment_due",
                    OCCURRENCES.c.noted_at < self._text(before_days=_DUE_KEPT_DAYS),
                )
            )

    def _begin_run(self, meta: RunMeta) -> bool:
        """Note that a run is being reported; say whether there is anything to report."""
        with self._state.writing() as connection:
            self._check_newest(connection, meta)
            found = connection.execute(sa.select(REPORTED_RUNS.c.finished_at).where(_is_run(meta))).first()
            if found is None:
                connection.execute(sa.insert(REPORTED_RUNS).values(**_run_key(meta), finished_at=None))
            return found is None or found.finished_at is None

    def _check_newest(self, connection: sa.Connection, meta: RunMeta) -> None:
        rows = connection.execute(sa.select(REPORTED_RUNS.c.scored_at, REPORTED_RUNS.c.score_run_id))
        own = _run_key(meta)
        if any(_run_order(*row) > _run_order(own["scored_at"], own["score_run_id"]) for row in rows):
            raise _SupersededError

    def _finish_run(self, meta: RunMeta) -> None:
        with self._state.writing() as connection:
            self._check_newest(connection, meta)
            connection.execute(sa.delete(REPORTED_RUNS).where(~_is_run(meta)))
            connection.execute(sa.update(REPORTED_RUNS).where(_is_run(meta)).values(finished_at=self._text()))

    def _remove_missing(self, seen: set[str], meta: RunMeta) -> Counts:
        """Add a tombstone for everybody who is not in a run and was known before it was made."""
        removed = 0
        for ids in self._said_ids():
            gone = [customer_id for customer_id in ids if customer_id not in seen]
            if gone:
                with self._state.writing() as connection:
                    self._check_newest(connection, meta)
                    removed += self.remove_in(connection, gone, meta)
        return Counts(removed=removed)

    def remove_in(self, connection: sa.Connection, customer_ids: Sequence[str], meta: RunMeta) -> int:
        """Add a tombstone for customers of whom nothing newer was said, in the caller's own transaction."""
        order = Order(meta.inbox_sequence, meta.scored_at.isoformat())
        entries = read_entries(connection, customer_ids)
        gone = [customer_id for customer_id, entry in entries.items() if entry.order <= order]
        stone = {
            "kind": "removed",
            "event": None,
            "as_of": meta.as_of.isoformat(),
            "score_run_id": meta.score_run_id,
            "happened_at": self._text(),
            "document": "{}",
        }
        append(connection, [{"customer_id": customer_id, **stone} for customer_id in gone])
        delete_said(connection, gone)
        return len(gone)

    def _said_ids(self) -> Iterator[Sequence[str]]:
        """Yield everybody of whom something was said, some at a time, in the database's own order."""
        query = sa.select(SAID.c.customer_id).order_by(SAID.c.customer_id).limit(ROWS_AT_ONCE)
        after: str | None = None
        while True:
            page = query if after is None else query.where(SAID.c.customer_id > after)
            with self._state.reading() as connection:
                ids = connection.execute(page).scalars().all()
            if not ids:
                return
            yield ids
            after = ids[-1]

    def _text(self, *, before_days: int = 0) -> str:
        return (self._now() - timedelta(days=before_days)).astimezone(UTC).isoformat(timespec="seconds")


def _run_key(meta: RunMeta) -> dict[str, str]:
    return {"score_run_id": meta.score_run_id, "scored_at": meta.scored_at.isoformat()}


def _is_run(meta: RunMeta) -> sa.ColumnElement[bool]:
    key = _run_key(meta)
    return sa.and_(
        REPORTED_RUNS.c.score_run_id == key["score_run_id"], REPORTED_RUNS.c.scored_at == key["scored_at"]
    )


def _run_order(scored_at: str, score_run_id: str) -> tuple[str, int, str]:
    """Return what orders runs: when they were made; within a second, their number."""
    return scored_at, len(score_run_id), score_run_id
