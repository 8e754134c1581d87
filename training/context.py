"""What every training command starts from: the history, the date, the headline horizon."""

import json
from dataclasses import dataclass, field
from datetime import date, timedelta

from features.cohort import AsOfError, propose_headline_days, read_as_of
from features.errors import UserError
from features.examples import ExampleBuilder
from features.history import History
from features.layout import Layout
from features.settings import Settings
from features.settle import settle_basis
from features.snapshot import Snapshot, instant_of
from features.whole import write_whole
from models.contract import ChurnModel, ClvModel
from models.registry_names import Task


class HeadlineError(UserError):
    """The kept headline horizon cannot be read."""


@dataclass(frozen=True, slots=True)
class Context:
    """A history opened for one AS_OF, on the money basis that it allows.

    `warning` is a line about that basis, empty where there is nothing to say; `incumbents` are champions'
    recipes to be judged beside today's.
    """

    layout: Layout
    settings: Settings
    history: History
    as_of: Snapshot
    headline_days: int
    builder: ExampleBuilder
    incumbents: dict[Task, ChurnModel | ClvModel] = field(default_factory=dict)
    warning: str = ""

    @property
    def first_order_date(self) -> date:
        """The UTC date of the oldest accepted order."""
        first = self.history.manifest.first_order_days
        return self.as_of.date if first is None else instant_of(first).date()


def open_context(
    layout: Layout,
    settings: Settings,
    *,
    as_of: str | None = None,
    headline_days: int | None = None,
    is_sampled: bool = False,
) -> Context:
    """Open the history as of a date (ISO text; default: the day after the newest order).

    The headline horizon is the one asked for, else the settings' one, else the one kept from the first
    training of this `VAR`, else the one proposed from the shop's own gaps between orders. `is_sampled`: of a
    shop with more than `training.customers_max` customers only a sample is read.
    """
    history = History.open(layout.history)
    snapshot = Snapshot(
        read_as_of(as_of, history, settings.shop.time_zone),
        settings.shop.time_zone,
        settings.features.observation_days or None,
    )
    _check_begun(history, snapshot)
    settled = settle_basis(settings, history, snapshot)
    settings = settled.settings
    builder = ExampleBuilder(history, settings, sampled_as_of=snapshot if is_sampled else None)
    kept = settings.churn.horizon_days or kept_headline_days(layout)
    chosen = headline_days or kept or propose_headline_days(history, snapshot)
    return Context(layout, settings, history, snapshot, chosen, builder, warning=settled.warning)


def kept_headline_days(layout: Layout) -> int | None:
    """Return the headline horizon that the first training of this `VAR` settled on, if there was one."""
    if not layout.headline.exists():
        return None
    try:
        return int(json.loads(layout.headline.read_text(encoding="utf-8"))["churn_horizon_days"])
    except (ValueError, KeyError, TypeError):
        raise HeadlineError(
            f"{layout.headline} is damaged; remove it, and the next training proposes the horizon anew"
        ) from None


def keep_headline_days(layout: Layout, headline_days: int) -> None:
    """Keep the headline horizon for later trainings; a person changes it in `regulars.toml`."""
    layout.root.mkdir(parents=True, exist_ok=True)
    write_whole(layout.headline, json.dumps({"churn_horizon_days": headline_days}) + "\n")


def _check_begun(history: History, snapshot: Snapshot) -> None:
    first = history.manifest.first_order_days
    if first is not None and snapshot.end_days <= first:
        earliest = instant_of(first).date() + timedelta(days=1)
        raise AsOfError(
            f"no order before AS_OF={snapshot.date}; {earliest} is the first that can be asked for"
        )
