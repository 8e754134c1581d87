"""What a scoring run is asked for: a history as of a date, and where its answer goes."""

from dataclasses import dataclass
from pathlib import Path

from features.cohort import default_as_of, read_as_of
from features.errors import UserError
from features.history import History
from features.layout import Layout
from features.settings import Settings, load_settings
from features.settle import BasisNote, settle_basis
from features.snapshot import Snapshot, instant_of
from serving.databases import open_state, open_store
from serving.environment import Environment
from serving.scoring.audience_rules import compile_audiences
from serving.state.database import State
from serving.state.inbox import Inbox
from serving.store.contract import ScoreStore


class ScoreError(UserError):
    """A scoring run cannot be made as asked."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to score: a history as of a date, and where to; the settings have the basis that it allows."""

    layout: Layout
    store: ScoreStore
    state: State
    settings: Settings
    history: History
    snapshot: Snapshot
    out: Path | None
    is_past: bool
    inbox_sequence: int = 0
    basis_note: BasisNote | None = None
    is_looked_at: bool = False


def open_request(environment: Environment, *, as_of: str | None, out: Path | None) -> Request:
    """Open the history for a date; raises `ScoreError` for a past date without `out`."""
    settings, layout = load_settings(), environment.layout
    compile_audiences(settings.audiences)
    state = open_state(environment)
    # Before the history is opened: what it holds beyond this number is counted twice, never missed.
    heard = Inbox(state).folded_through() if state.exists() else 0
    history = History.open(layout.history)
    newest = default_as_of(history, settings.shop.time_zone)
    day = read_as_of(as_of, history, settings.shop.time_zone)
    if day < newest and out is None:
        raise ScoreError(
            f"AS_OF={day} lies before the newest data ({newest}): such a run never goes live; "
            "name a folder for its files with OUT=dir"
        )
    snapshot = Snapshot(day, settings.shop.time_zone, settings.features.observation_days or None)
    check_begun(history, snapshot)
    settled = settle_basis(settings, history, snapshot)
    return Request(
        layout=layout,
        store=open_store(environment),
        state=state,
        inbox_sequence=heard,
        settings=settled.settings,
        history=history,
        snapshot=snapshot,
        out=out,
        is_past=day < newest,
        basis_note=settled.note,
    )


def check_begun(history: History, snapshot: Snapshot) -> None:
    """Raise `ScoreError` where nobody had ordered before the snapshot."""
    first = history.manifest.first_order_days
    if first is None or first >= snapshot.end_days:
        begins = "no order at all" if first is None else f"orders from {instant_of(first).date()} on"
        raise ScoreError(f"nobody had ordered before {snapshot.date}: the history holds {begins}")
