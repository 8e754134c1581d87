"""What every handler needs: the live runs, how rows are shown, cursors, keys. Made once a process."""

from dataclasses import dataclass
from typing import Final

from fastapi import Request

from features.settings import Settings
from serving.audiences.campaigns import Planner
from serving.audiences.control_group import ControlGroup
from serving.environment import Environment
from serving.exports.book import ExportBook
from serving.inbound.hook_sources import HookSources
from serving.inbound.receiver import Receiver
from serving.job_desk import JobDesk
from serving.people.desk import PrivacyDesk
from serving.people.suppressed import SuppressedPeople
from serving.present import RunView
from serving.segments.desk import SegmentDesk
from serving.state.database import State
from serving.store.contract import ScoreRun
from serving.web.calls import Calls
from serving.web.cursor import CursorSigner
from serving.web.guard import Guard
from serving.web.limiter import Limiter
from serving.web.live import LiveRuns
from serving.web.metrics import Metrics
from serving.web.turns import Turns
from serving.wording import wording_in

_VIEWS_KEPT: Final = 4


@dataclass(frozen=True, slots=True)
class Context:
    """The process's own things."""

    environment: Environment
    runs: LiveRuns
    cursors: CursorSigner
    views: dict[tuple[str, str], RunView]
    guard: Guard
    limiter: Limiter
    receiver: Receiver
    hooks: HookSources
    metrics: Metrics
    calls: Calls
    control_group: ControlGroup
    state: State
    turns: Turns
    jobs: JobDesk
    suppressed: SuppressedPeople
    privacy: PrivacyDesk
    segments: SegmentDesk
    settings: Settings
    planner: Planner
    export_book: ExportBook

    def view(self, run: ScoreRun, language: str = "en") -> RunView:
        """Return how a run's rows are shown, with sentences in a language."""
        key = (run.meta.score_run_id, language)
        view = self.views.get(key)
        if view is None:
            if len(self.views) >= _VIEWS_KEPT:
                self.views.clear()
            view = self.views[key] = RunView(
                run.meta, wording_in(language), stale_after_days=self.environment.stale_after_days
            )
        return view


def context_of(request: Request) -> Context:
    """Return the context of the application that received a request."""
    context: Context = request.app.state.context
    return context
