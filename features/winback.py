"""When to write to a customer who fell silent, and when to stop: a win-back schedule. Plain Python.

As ActiveCampaign lays it out ("Customer retention marketing"), by two clocks:

    begins   3 months after the last interaction (a click in a message, or an order if that is newer), or
             6 months after the last order, whichever is earlier
    then     evenly spread, every one to two months
    ends     where the shop's customers have historically left for good, counted from the last interaction
             (`features.fully_churned`); whoever is silent then gets no further message

So with a click and 9 months: messages after 3, 5, 7 and 9 months, the last one 6 months after the first.
Whoever never clicked, or whose clicks nobody records, has the clock of orders alone. After a click, lay the
schedule out anew; an order ends it.

Where the end comes before the beginning, or less than a month after it, there is one message, at the end.
"""

from dataclasses import dataclass, field
from datetime import date, timedelta
from math import ceil
from typing import Final, Literal

from features.snapshot import add_months

Clock = Literal["click", "purchase"]
Status = Literal["waiting", "running", "suppressed", "stopped"]

_MONTH_DAYS: Final = 365.25 / 12


@dataclass(frozen=True, slots=True)
class Span:
    """A length of time by the calendar: months, and days after them; longer than nothing."""

    months: int = 0
    days: int = 0

    def __post_init__(self) -> None:
        if min(self.months, self.days) < 0 or not self.months + self.days:
            raise ValueError(f"{self.months} months and {self.days} days are no span; it must be above 0")

    @property
    def mean_days(self) -> float:
        """The span in days, a month being a twelfth of a year."""
        return self.months * _MONTH_DAYS + self.days

    def after(self, day: date) -> date:
        """Return the day so long after another.

        >>> Span(months=3).after(date(2025, 11, 30)).isoformat()
        '2026-02-28'
        """
        return add_months(day, self.months) + timedelta(days=self.days)


FULLY_CHURNED_DEFAULT: Final = Span(months=9)
"""When a customer has left for good, as long as a shop's own history cannot tell."""


@dataclass(frozen=True, slots=True)
class WinbackRule:
    """When a schedule begins after a click and after an order, and how far apart messages are at most."""

    after_click: Span = field(default_factory=lambda: Span(months=3))
    after_purchase: Span = field(default_factory=lambda: Span(months=6))
    step_months_max: int = 2

    def __post_init__(self) -> None:
        if self.step_months_max < 1:
            raise ValueError(f"step_months_max is {self.step_months_max}; it must be 1 or more")


@dataclass(frozen=True, slots=True)
class WinbackState:
    """Where a customer stands on a day: how many messages went out, and when the next one is due.

    `waiting` for the first message; `running`; `suppressed` after the last: no further message; `stopped` by
    an order, which also ends a suppression.
    """

    status: Status
    sent_count: int
    next_on: date | None


@dataclass(frozen=True, slots=True)
class WinbackSchedule:
    """The days on which to write to a customer, the clock that began it, and since when they are silent."""

    clock: Clock
    silent_since: date
    message_dates: tuple[date, ...]

    @property
    def suppressed_from(self) -> date:
        """The first day on which no message goes out any more: that after the last one."""
        return self.message_dates[-1] + timedelta(days=1)

    def state_on(self, day: date, *, purchased_on: date | None = None) -> WinbackState:
        """Return where the customer stands on a day; `purchased_on` is an order after `silent_since`, if any.

        The message of a day counts as sent on it, unless the order came on that day or before.
        """
        if purchased_on is not None and self.silent_since < purchased_on <= day:
            sent = [each for each in self.message_dates if each < purchased_on]
            return WinbackState("stopped", len(sent), None)
        sent = [each for each in self.message_dates if each <= day]
        left = self.message_dates[len(sent) :]
        if not left:
            status: Status = "suppressed" if day >= self.suppressed_from else "running"
            return WinbackState(status, len(sent), None)
        return WinbackState("running" if sent else "waiting", len(sent), left[0])


def winback_schedule(
    *,
    last_purchase_on: date,
    last_click_on: date | None = None,
    fully_churned: Span = FULLY_CHURNED_DEFAULT,
    rule: WinbackRule | None = None,
) -> WinbackSchedule:
    """Lay out the messages to a customer; days are those of the shop's time zone.

    >>> [str(day) for day in winback_schedule(
    ...     last_purchase_on=date(2025, 11, 20), last_click_on=date(2026, 1, 15)).message_dates]
    ['2026-04-15', '2026-06-15', '2026-08-15', '2026-10-15']
    """
    rule = rule or WinbackRule()
    since = max(last_purchase_on, last_click_on or last_purchase_on)
    begins: dict[Clock, date] = {"purchase": rule.after_purchase.after(last_purchase_on)}
    if last_click_on is not None:
        begins["click"] = rule.after_click.after(since)
    clock: Clock = min(begins, key=lambda name: (begins[name], name))
    first, last = begins[clock], fully_churned.after(since)
    start = rule.after_click if clock == "click" else rule.after_purchase
    if last < add_months(first, 1):
        dates: tuple[date, ...] = (last,)
    elif since == last_purchase_on or clock == "click":
        dates = _spread(since, start, fully_churned, step_months_max=rule.step_months_max)
    else:
        dates = _spread_days(first, last, step_months_max=rule.step_months_max)
    return WinbackSchedule(clock, since, dates)


def _spread(since: date, start: Span, end: Span, *, step_months_max: int) -> tuple[date, ...]:
    """Spread messages from a span after a day to another: by whole months where they come out even."""
    months = end.months - start.months
    steps = ceil(months / step_months_max) if months > 0 else 0
    if start.days or end.days or not steps or months % steps:
        return _spread_days(start.after(since), end.after(since), step_months_max=step_months_max)
    return tuple(add_months(since, start.months + number * months // steps) for number in range(steps + 1))


def _spread_days(first: date, last: date, *, step_months_max: int) -> tuple[date, ...]:
    days, steps = (last - first).days, 1
    while add_months(first, steps * step_months_max) < last:
        steps += 1
    return tuple(first + timedelta(days=round(number * days / steps)) for number in range(steps + 1))
