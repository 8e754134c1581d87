"""What a few score rows change, worked out against what was last said; written to the log in one go."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import orjson
import sqlalchemy as sa

from serving.changes.lifecycle import FEED_RUN_NAMES, Event, Facts, Moment, Said, begin, changed_names, follow
from serving.changes.signals import Signals
from serving.state.tables import CHANGE_LOG, CHANGES, OCCURRENCES, SAID
from serving.store.parts import in_parts
from serving.store.records import StoredRow

# What is looked for in one statement; SQLite allows 32,766 values in one.
IDS_AT_ONCE: Final = 1_000
_NOTHING_SAID: Final = Said({})
# Known by what was told of the customer: a band may be left and come again.
_OF_STATE: Final = "band_changed"


class Counts(NamedTuple):
    """How many changes a report added to the log, by kind."""

    scores: int = 0
    removed: int = 0
    events: int = 0

    def plus(self, other: "Counts") -> "Counts":
        """Return the sum."""
        return Counts(*map(sum, zip(self, other, strict=True)))


class Order(NamedTuple):
    """Which of two facts is the newer: the one that knows more of the inbox, else the one made later."""

    inbox_sequence: int
    scored_at: str


@dataclass(slots=True)
class Entry:
    """What stands in the log of a customer; `sequence` is that of their last scores."""

    order: Order
    sequence: int
    said: Said
    is_touched: bool = False


class Batch:
    """Takes score rows one by one and collects what they change; `write` adds it to the log.

    In the baseline nothing is an event: nobody knows what was before it.
    """

    def __init__(self, connection: sa.Connection, moment: Moment, *, now: str, is_baseline: bool) -> None:
        self._connection = connection
        self._moment = moment
        self._now = now
        self._is_baseline = is_baseline
        meta = moment.meta
        self._order = Order(meta.inbox_sequence, meta.scored_at.isoformat())
        self._entries: dict[str, Entry] = {}
        self._changes: list[dict[str, Any]] = []
        self._occurrences: dict[tuple[str, str, str], dict[str, Any]] = {}

    def take(self, rows: Sequence[StoredRow], signals: Signals) -> None:
        """Work out what rows change; the same customer may come again."""
        self._entries |= read_entries(self._connection, [row[0] for row in rows])
        for row in rows:
            customer_id = row[0]
            clicked_at, due = signals.clicked_at.get(customer_id), signals.due.get(customer_id, ())
            self._take(Facts.of(row, clicked_at=clicked_at, due=due))

    def _take(self, facts: Facts) -> None:
        entry = self._entries.get(facts.customer_id)
        if entry is not None and entry.order > self._order:
            return
        before = None if entry is None else entry.said
        events: list[Event] = []
        if before is None and self._is_baseline:
            said = begin(facts, self._moment)
        else:
            events, said = follow(before, facts, self._moment)
        changed = changed_names(before or _NOTHING_SAID, facts, self._moment.rules)
        if changed:
            said = replace(said, values=facts.values)
            self._say(facts, changed)
        if said != before:
            sequence = 0 if entry is None else entry.sequence
            self._entries[facts.customer_id] = Entry(self._order, sequence, said, is_touched=True)
        for event in () if self._is_baseline else events:
            self._happen(facts, event)

    def _say(self, facts: Facts, changed: list[str]) -> None:
        of_run = {name: getattr(self._moment.meta, name) for name in FEED_RUN_NAMES}
        self._add(facts, "scores", None, {"changed": changed, "scores": {**facts.values, **of_run}})

    def _happen(self, facts: Facts, event: Event) -> None:
        key = (facts.customer_id, event.name, event.occurrence)
        if key in self._occurrences:
            return
        change = self._add(facts, "event", event.name, event.values)
        if event.name != _OF_STATE:
            self._occurrences[key] = change

    def _add(self, facts: Facts, kind: str, event: str | None, document: dict[str, Any]) -> dict[str, Any]:
        change = {
            "customer_id": facts.customer_id,
            "kind": kind,
            "event": event,
            "as_of": facts.as_of.isoformat(),
            "score_run_id": self._moment.meta.score_run_id,
            "happened_at": self._now,
            "document": orjson.dumps(document).decode(),
        }
        self._changes.append(change)
        return change

    def write(self) -> Counts:
        """Add what was collected to the log; return how much that was."""
        known = self._known_occurrences()
        repeated = {id(self._occurrences.pop(key)) for key in known}
        changes = [change for change in self._changes if id(change) not in repeated]
        for change in append(self._connection, changes):
            if change["kind"] == "scores":
                self._entries[change["customer_id"]].sequence = change["sequence"]
        noted = [
            {"customer_id": key[0], "event": key[1], "occurrence": key[2], "noted_at": self._now}
            for key in self._occurrences
        ]
        if noted:
            self._connection.execute(sa.insert(OCCURRENCES), noted)
        self._write_entries()
        scores = sum(change["kind"] == "scores" for change in changes)
        return Counts(scores, 0, len(changes) - scores)

    def _known_occurrences(self) -> list[tuple[str, str, str]]:
        columns = (OCCURRENCES.c.customer_id, OCCURRENCES.c.event, OCCURRENCES.c.occurrence)
        names = sorted({key[1] for key in self._occurrences})
        found: list[tuple[str, str, str]] = []
        for ids in in_parts(dict.fromkeys(key[0] for key in self._occurrences), IDS_AT_ONCE):
            query = sa.select(*columns).where(
                OCCURRENCES.c.customer_id.in_(ids), OCCURRENCES.c.event.in_(names)
            )
            rows = (tuple(row) for row in self._connection.execute(query))
            found += [row for row in rows if row in self._occurrences]
        return found

    def _write_entries(self) -> None:
        touched = {customer_id: entry for customer_id, entry in self._entries.items() if entry.is_touched}
        delete_said(self._connection, touched)
        rows = [
            {
                "customer_id": customer_id,
                **entry.order._asdict(),
                "sequence": entry.sequence,
                "document": orjson.dumps(entry.said).decode(),
            }
            for customer_id, entry in touched.items()
        ]
        if rows:
            self._connection.execute(sa.insert(SAID), rows)


def read_entries(connection: sa.Connection, customer_ids: Iterable[str]) -> dict[str, Entry]:
    """Return what stands in the log of customers; unknown ones are left out."""
    found: dict[str, Entry] = {}
    for ids in in_parts(dict.fromkeys(customer_ids), IDS_AT_ONCE):
        for row in connection.execute(sa.select(SAID).where(SAID.c.customer_id.in_(ids))):
            said = Said(**orjson.loads(row.document))
            found[row.customer_id] = Entry(Order(row.inbox_sequence, row.scored_at), row.sequence, said)
    return found


def delete_said(connection: sa.Connection, customer_ids: Iterable[str]) -> None:
    """Forget what was said of customers."""
    for ids in in_parts(customer_ids, IDS_AT_ONCE):
        connection.execute(sa.delete(SAID).where(SAID.c.customer_id.in_(ids)))


def append(connection: sa.Connection, changes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add changes to the log in their order and return them with their sequence."""
    if not changes:
        return changes
    last = connection.execute(sa.select(CHANGE_LOG.c.last_sequence)).scalar_one()
    for sequence, change in enumerate(changes, start=last + 1):
        change["sequence"] = sequence
    connection.execute(sa.insert(CHANGES), changes)
    connection.execute(sa.update(CHANGE_LOG).values(last_sequence=last + len(changes)))
    return changes
