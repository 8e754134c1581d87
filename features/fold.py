"""Orders and events that were received, folded into the history: the same checks, the same store as files.

What cannot be folded yet is set aside, with the reason, and tried again: a time later than tomorrow, a refund
whose order is not known, another currency than the shop's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from features.accept import NO_CURRENCY, future_from
from features.console import Announce
from features.history import History
from features.layout import Layout
from features.loading import Material, Told, store
from features.messages import Event, OrderWord, currency_of, happened_at
from features.received import read_received
from features.report import RECEIVED_REPORT, DataError, Report
from features.upsert import open_previous

FUTURE, OTHER_CURRENCY, UNKNOWN_ORDER = "future", "other_currency", "unknown_order"


@dataclass(frozen=True, slots=True)
class Heard:
    """A message by its number in the inbox; `order_key` groups the words about one order."""

    number: int
    message: Event | OrderWord
    order_key: str | None = None


@dataclass(frozen=True, slots=True)
class Folded:
    """What a fold did: its report, and why messages (by number) were set aside."""

    report: Report
    aside: dict[int, str] = field(default_factory=dict)


def fold(
    heard: Sequence[Heard], layout: Layout, *, time_zone: str, announce: Announce, now: datetime | None = None
) -> Folded:
    """Fold messages into the history under the lock of the data set (`features.loading.only_one`).

    Raises `DataError`, leaving the history as it was.
    """
    at = now or datetime.now(UTC)
    report = Report(sources=["received"], format="received", time_zone=time_zone)
    announce("reading")
    previous = open_previous(layout.history)
    aside = set_aside(heard, previous, time_zone=time_zone, now=at)
    rest = [each for each in heard if each.number not in aside]
    received = read_received(*grouped(rest), history=previous)
    unknown = {each.number for each in rest if each.order_key in received.unknown_orders}
    aside |= dict.fromkeys(unknown, UNKNOWN_ORDER)
    draft = received.draft
    companions = {"products": draft.products, "customers": draft.customers, "events": draft.events}
    material = Material(
        [draft], {name: rows for name, rows in companions.items() if rows is not None}, may_be_empty=True
    )
    try:
        if len(unknown) < len(rest):
            store(material, layout, previous=previous, now=at, told=Told(report, announce))
    except DataError:
        report.write(layout.reports, RECEIVED_REPORT)
        raise
    _note_aside(aside, report)
    report.write(layout.reports, RECEIVED_REPORT)
    return Folded(report, aside)


def grouped(heard: Sequence[Heard]) -> tuple[dict[str, list[OrderWord]], list[Event]]:
    """Return the words about each order, by its key, and the events."""
    words: dict[str, list[OrderWord]] = {}
    events: list[Event] = []
    for each in heard:
        if isinstance(each.message, Event):
            events.append(each.message)
        else:
            words.setdefault(each.order_key or "", []).append(each.message)
    return words, events


def set_aside(
    heard: Sequence[Heard], history: History | None, *, time_zone: str, now: datetime
) -> dict[int, str]:
    """Return which messages must wait, by number, and why: too far ahead, or in another currency."""
    limit = future_from(now, time_zone)
    aside = {each.number: FUTURE for each in heard if happened_at(each.message) >= limit}
    shop = history.manifest.currency if history else None
    for each in heard:
        code = currency_of(each.message)
        if code is None:
            continue
        if shop in (None, NO_CURRENCY):
            shop = code
        if code != shop:
            aside.setdefault(each.number, OTHER_CURRENCY)
    return aside


def _note_aside(aside: Mapping[int, str], report: Report) -> None:
    shop = f", {report.currency}" if report.currency else ""
    words = {
        FUTURE: ("dated later than tomorrow; kept until then", "see the sender's clock and time zone"),
        OTHER_CURRENCY: (
            f"in another currency than the shop's{shop}; not taken",
            "send amounts in the shop's currency",
        ),
        UNKNOWN_ORDER: ("about an order that is not known; kept until it is", "send the order as well"),
    }
    for reason in sorted(set(aside.values())):
        count = sum(each == reason for each in aside.values())
        what, mend = words[reason]
        messages = "1 message is" if count == 1 else f"{count:,} messages are"
        report.warn(f"aside_{reason}", f"{messages} {what}", count=count, mend=mend)
