"""From the inbox to overlays: whoever has news since a run is scored again, each message exactly once.

Overlays, changes and how far the inbox was read are written in one transaction, so that a worker that is
killed begins where the last one ended.
"""

import logging
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

import sqlalchemy as sa

from features.fold import Heard
from features.history import HistoryError
from features.layout import Layout
from features.settings import Settings
from serving.changes.log import ChangeLog
from serving.scoring.rescoring import Rescorer, Scored
from serving.state.database import State, StateError
from serving.state.inbox import Inbox
from serving.state.overlays import Overlays, read_position, rescored_position, write_position
from serving.state.suppressions import Suppressions
from serving.store.records import RunMeta

MESSAGES_AT_ONCE: Final = 2_000
CUSTOMERS_AT_ONCE: Final = 200
_LOG = logging.getLogger(__name__)


class RescoreQueue:
    """Scores customers again by one run, as messages come in."""

    def __init__(self, state: State, layout: Layout, settings: Settings, meta: RunMeta) -> None:
        self._state = state
        self._meta = meta
        self._layout = layout
        self._settings = settings
        self._inbox = Inbox(state)
        self._overlays = Overlays(state)
        self._changes = ChangeLog(state, settings.changes)
        self._suppressions = Suppressions(state, layout.root)
        self._name = rescored_position(meta.score_run_id, meta.scored_at)
        self._rescorer: Rescorer | None = None

    @property
    def score_run_id(self) -> str:
        """The run by which it scores."""
        return self._meta.score_run_id

    def position(self) -> int:
        """Return the number up to which messages are in the scores that are served."""
        with self._state.reading() as connection:
            return max(read_position(connection, self._name), self._meta.inbox_sequence)

    def step(self, *, now: datetime | None = None) -> int:
        """Score the customers of the next messages again; return how many, 0 where nothing is new.

        Raises where the champions, the history or the disk fail, which is no customer's fault: all of them
        wait.
        """
        at = now or datetime.now(UTC)
        stored = self._inbox.list_after(self.position(), limit=MESSAGES_AT_ONCE)
        ids: dict[str, None] = {}
        through = 0
        for each in stored:
            if each.message.customer_id not in ids and len(ids) == CUSTOMERS_AT_ONCE:
                break
            ids[each.message.customer_id] = None
            through = each.sequence
        if ids:
            self.warm_up()
            self._score(self._scorable(ids), through, at)
        return len(ids)

    def warm_up(self) -> None:
        """Load the champions now, so that the first customer does not wait for them."""
        self._opened()

    def _scorable(self, customer_ids: Iterable[str]) -> list[str]:
        """Return those who may be scored: not the suppressed."""
        ids = list(customer_ids)
        left_out = self._suppressions.among_now(ids)
        return [each for each in ids if each not in left_out]

    def drain(self, *, now: datetime | None = None) -> int:
        """Do step after step until nothing is new; return how many customers were scored again."""
        total = 0
        while scored := self.step(now=now):
            total += scored
        return total

    def _score(self, customer_ids: Sequence[str], through: int, at: datetime) -> None:
        """Score together; where that fails, one by one, so that one of them does not hold up the others."""
        if not customer_ids:
            self._advance(through)
            return
        try:
            scored = self._scored(customer_ids, at)
        except (OSError, StateError, HistoryError):
            raise
        except Exception as error:
            if len(customer_ids) == 1:
                _LOG.warning("a customer could not be scored again: %s", type(error).__name__)
                self._advance(through)
                return
            for customer_id in customer_ids:
                self._score([customer_id], self.position(), at)
            self._advance(through)
            return
        self._write(scored, through)

    def _scored(self, customer_ids: Sequence[str], at: datetime) -> list[Scored]:
        """Score customers, those of one date together."""
        stored = self._inbox.list_of(customer_ids, after=self._meta.inbox_sequence)
        heard = [Heard(each.sequence, each.message, each.order_key) for each in stored]
        rescorer, scored = self._opened(), []
        for day, ids in sorted(rescorer.dates_of(heard, now=at).items()):
            theirs = [each for each in heard if each.message.customer_id in set(ids)]
            scored.append(rescorer.score(ids, theirs, as_of=day, now=at))
        return scored

    def _opened(self) -> Rescorer:
        if self._rescorer is None:
            self._rescorer = Rescorer(self._layout, self._settings, self._meta)
        return self._rescorer

    def _write(self, scored: Sequence[Scored], through: int) -> None:
        with self._state.writing() as connection:
            for each in scored:
                self._write_one(connection, each, through)
            self._note(connection, through)

    def _write_one(self, connection: sa.Connection, scored: Scored, through: int) -> None:
        meta = scored.meta.model_copy(update={"inbox_sequence": through})
        # Whoever was suppressed while the scores were made has none.
        ids = [each.customer_id for each in scored.rescored]
        left_out = self._suppressions.among(connection, ids)
        kept = [each for each in scored.rescored if each.customer_id not in left_out]
        rows = [each.row for each in kept if each.row is not None]
        gone = [each.customer_id for each in kept if each.row is None]
        self._overlays.put_in(connection, self.score_run_id, kept, inbox_sequence=through)
        self._changes.report_in(connection, rows, meta, scored.signals)
        self._changes.remove_in(connection, gone, meta)

    def _advance(self, through: int) -> None:
        with self._state.writing() as connection:
            self._note(connection, through)

    def _note(self, connection: sa.Connection, through: int) -> None:
        write_position(connection, self._name, max(through, read_position(connection, self._name)))
