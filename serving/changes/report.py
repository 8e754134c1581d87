"""What `make score` tells the log of changes once its run is live."""

from collections.abc import Iterator

from features.settings import Settings
from serving.changes.due import due_of
from serving.changes.log import ChangeLog
from serving.changes.run_signals import clicks_of, read_last_clicks
from serving.changes.signals import Signals
from serving.rows import STORED_NAMES
from serving.scoring.shop import ScoredRun, stored_tuples
from serving.scoring.sorted_files import merge_streams
from serving.state.database import State, StateError
from serving.state.migrate import make
from serving.store.records import RunMeta, StoredRow


def report_changes(scored: ScoredRun, meta: RunMeta, state: State, settings: Settings) -> str | None:
    """Report a published run; return None, or one line that says why it could not be.

    The run is live already, whatever goes wrong here; the next one is compared with what was said before.
    """
    try:
        state.exists()  # raises where the state was lost: an empty one in its place would hide that
        make(state)
        log = ChangeLog(state, settings.changes)
        log.report_parts(_parts(scored), meta)
        log.remove_old()
    except StateError as error:
        return f"warning: run {meta.score_run_id} is live, but what changed with it is not told: {error}"
    return None


def _parts(scored: ScoredRun) -> Iterator[tuple[Iterator[StoredRow], Signals]]:
    last = read_last_clicks(scored.lists.history, scored.lists.snapshot)
    clicks, due = merge_streams([iter([last])], scored.edges), scored.merged("due")
    for rows, clicked, falling in zip(scored.rows.parts(STORED_NAMES), clicks, due, strict=True):
        yield stored_tuples(rows), Signals(clicks_of(clicked), due_of(falling))
