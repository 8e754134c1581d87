"""What every training command starts from: the history, the date, the headline horizon."""

import json
from dataclasses import dataclass
from datetime import date, timedelta

from features.cohort import default_as_of, propose_headline_days
from features.errors import UserError
from features.examples import ExampleBuilder
from features.history import History
from features.settings import Layout, Settings
from features.snapshot import Snapshot, instant_of


class AsOfError(UserError):
    """The date asked for cannot be used with this history."""


@dataclass(frozen=True, slots=True)
class Context:
    """A history opened for one AS_OF."""

    layout: Layout
    settings: Settings
    history: History
    as_of: Snapshot
    headline_days: int
    builder: ExampleBuilder

    @property
    def first_order_date(self) -> date:
        """The UTC date of the oldest accepted order."""
        first = self.history.manifest.first_order_days
        return self.as_of.date if first is None else instant_of(first).date()


def open_context(
    layout: Layout, settings: Settings, *, as_of: str | None = None, headline_days: int | None = None
) -> Context:
    """Open the history as of a date (ISO text; default: the day after the newest order).

    The headline horizon is the one asked for, else the settings' one, else the one kept from the first
    training of this `VAR`, else the one proposed from the shop's own gaps between orders.
    """
    history = History.open(layout.history)
    snapshot = Snapshot(
        _parse_as_of(as_of, history, settings.shop.time_zone),
        settings.shop.time_zone,
        settings.features.observation_days or None,
    )
    builder = ExampleBuilder(history, settings)
    kept = settings.churn.horizon_days or kept_headline_days(layout)
    chosen = headline_days or kept or propose_headline_days(history, snapshot)
    return Context(layout, settings, history, snapshot, chosen, builder)


def kept_headline_days(layout: Layout) -> int | None:
    """Return the headline horizon that the first training of this `VAR` settled on, if there was one."""
    if not layout.headline.exists():
        return None
    return int(json.loads(layout.headline.read_text())["churn_horizon_days"])


def keep_headline_days(layout: Layout, headline_days: int) -> None:
    """Keep the headline horizon for later trainings; a person changes it in `regulars.toml`."""
    layout.root.mkdir(parents=True, exist_ok=True)
    layout.headline.write_text(json.dumps({"churn_horizon_days": headline_days}) + "\n")


def _parse_as_of(text: str | None, history: History, time_zone: str) -> date:
    if text is None:
        return default_as_of(history, time_zone)
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise AsOfError(f"AS_OF={text} is no date; write it as 2026-11-22") from None
    first = history.manifest.first_order_days
    if first is not None and Snapshot(day, time_zone).end_days <= first:
        earliest = instant_of(first).date() + timedelta(days=1)
        raise AsOfError(
            f"no order before AS_OF={day}; the history begins so that {earliest} is the first to ask"
        )
    return day
