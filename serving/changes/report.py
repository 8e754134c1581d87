"""What `make score` tells the log of changes once its run is live."""

from collections.abc import Mapping, Sequence

from features.settings import Settings
from serving.changes.lifecycle import DueItem
from serving.changes.log import ChangeLog
from serving.changes.run_signals import read_clicks
from serving.changes.signals import Signals
from serving.scoring.shop import ScoredRun
from serving.state.database import State, StateError
from serving.state.migrate import make
from serving.store.records import RunMeta


def report_changes(
    scored: ScoredRun,
    meta: RunMeta,
    state: State,
    settings: Settings,
    *,
    due: Mapping[str, Sequence[DueItem]],
) -> str | None:
    """Report a published run; return None, or one line that says why it could not be.

    The run is live already, whatever goes wrong here; the next one is compared with what was said before.
    """
    try:
        state.exists()  # raises where the state was lost: an empty one in its place would hide that
        make(state)
        log = ChangeLog(state, settings.changes)
        clicked_at = read_clicks(scored.lists.history, scored.lists.snapshot)
        log.report_run(scored.stored_rows(), meta, Signals(clicked_at, due))
        log.remove_old()
    except StateError as error:
        return f"warning: run {meta.score_run_id} is live, but what changed with it is not told: {error}"
    return None
