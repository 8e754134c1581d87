"""What happened to a customer between what was last said of them and what is known now; pure functions.

Every event has an occurrence: the order number, the order, the silence, or the purchase that it is about. An
event of a customer and an occurrence happens once, however often, late or out of order it is seen.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, NamedTuple, Self

from features.delivery_settings import ChangeSettings
from features.snapshot import instant_of, local_midnight_days
from serving.instants import instant_text
from serving.rows import STORED_NAMES
from serving.store.records import RunMeta, StoredRow

EVENTS: Final = {
    "band_changed": "the risk band is another one, by a margin",
    "first_order": "somebody ordered for the first time",
    "nth_order": "an order with a number that the shop looks out for",
    "replenishment_due": "something bought before is due again",
    "inactive_3m_click": "no click in a message for three months",
    "inactive_6m_purchase": "no order for six months",
    "won_back": "somebody who had lapsed ordered again",
}
"""Every lifecycle event, with what it means."""

FEED_NAMES: Final = (
    "status",
    "churn_probability",
    "risk_band",
    "lapsed",
    "lifecycle_stage",
    "rfm_segment",
    "predicted_clv",
    "historic_clv",
    "value_at_risk",
    "historic_number_of_orders",
    "last_order_at",
    "expected_date_of_next_order",
    "email_consent",
)
"""What the feed says of a customer: a flat, typed part of the score row."""

FEED_RUN_NAMES: Final = ("churn_horizon_days", "clv_horizon_days", "currency", "clv_basis")
"""What the feed says of the run beside it, so that the figures can be read."""

_AT_ONCE: Final = (
    "status",
    "risk_band",
    "lapsed",
    "lifecycle_stage",
    "rfm_segment",
    "historic_number_of_orders",
    "last_order_at",
    "email_consent",
)
_BOOLEANS: Final = frozenset({"lapsed", "email_consent"})
_AT: Final = {name: place for place, name in enumerate(STORED_NAMES)}
_BANDS: Final = ("low", "medium", "high")
_FLOAT_DUST: Final = 1e-9


class Event(NamedTuple):
    """Something that happened; `occurrence` with the customer and the name is what it is known by."""

    name: str
    occurrence: str
    values: dict[str, Any]


class DueItem(NamedTuple):
    """An item that a customer buys again and again: last bought on a day, due again on another."""

    product_id: str
    bought_on: date
    due_on: date


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a customer now; instants are RFC 3339 text in UTC.

    `clicked_at` is their last click in a message; None where there was none or nobody looked.
    """

    customer_id: str
    as_of: date
    values: dict[str, Any]
    gap_days: float | None
    clicked_at: str | None = None
    due: Sequence[DueItem] = ()

    @classmethod
    def of(cls, row: StoredRow, *, clicked_at: str | None = None, due: Sequence[DueItem] = ()) -> Self:
        """Read a stored row."""
        values = {
            name: bool(row[_AT[name]]) if name in _BOOLEANS and row[_AT[name]] is not None else row[_AT[name]]
            for name in FEED_NAMES
        }
        as_of = date.fromisoformat(row[_AT["as_of"]])
        gap_days = row[_AT["average_days_between_orders"]]
        return cls(row[_AT["customer_id"]], as_of, values, gap_days, clicked_at, due)


@dataclass(frozen=True, slots=True)
class Said:
    """What the log last said of a customer, and which occurrences are told.

    `band` is the one of `band_changed`: it moves with a margin. `orders_told` is the largest number of orders
    ever said. `silent_order_at`, `silent_click_at` are the order and the click whose silence was told.
    """

    values: dict[str, Any]
    band: str | None = None
    orders_told: int = 0
    clicked_at: str | None = None
    silent_order_at: str | None = None
    silent_click_at: str | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """What is true of all customers of a report."""

    meta: RunMeta
    rules: ChangeSettings

    def midnight(self, day: date) -> datetime:
        """Return 00:00 of a day in the shop's time zone."""
        return _midnight(day, self.meta.time_zone)

    def is_news(self, at: datetime, day: date) -> bool:
        """Say whether an instant lies so shortly before a day that it is worth an event."""
        return self.midnight(day) - at <= timedelta(days=self.rules.late_days_max)


@lru_cache(maxsize=1_000)
def _midnight(day: date, time_zone: str) -> datetime:
    return instant_of(local_midnight_days(day, time_zone))


def changed_names(said: Said, facts: Facts, rules: ChangeSettings) -> list[str]:
    """Return which values are others than said, if one of them moved enough to be said again; else none."""
    old, new = said.values, facts.values
    moved = (
        any(old.get(name) != new[name] for name in _AT_ONCE)
        or _moved(old.get("churn_probability"), new["churn_probability"], rules.probability_step)
        or _moved(
            old.get("predicted_clv"),
            new["predicted_clv"],
            rules.clv_step_share * abs(old.get("predicted_clv") or 0.0),
        )
    )
    return [name for name in FEED_NAMES if old.get(name) != new[name]] if moved else []


def _moved(old: float | None, new: float | None, step: float) -> bool:
    if old is None or new is None:
        return old is not new
    return old != new and abs(new - old) >= step - _FLOAT_DUST


def settle_band(
    band: str | None, probability: float | None, cuts: tuple[float | None, float | None], *, share: float
) -> str | None:
    """Return the band of a probability, seen from the band that was told: a cut counts beyond a margin.

    The margin is `share` of the cut, or of what is missing to 1 where that is less. `cuts` are where medium
    and high begin.

    >>> settle_band("low", 0.17, (0.16, 0.24), share=0.1), settle_band("low", 0.18, (0.16, 0.24), share=0.1)
    ('low', 'medium')
    >>> settle_band("high", 0.22, (0.16, 0.24), share=0.1), settle_band("high", 0.21, (0.16, 0.24), share=0.1)
    ('high', 'medium')
    """
    medium, high = cuts
    if probability is None or medium is None or high is None:
        return band
    place = _BANDS.index(band) if band in _BANDS else None
    passed = 0
    for number, cut in enumerate((medium, high), start=1):
        margin = 0.0 if place is None else share * min(cut, 1.0 - cut)
        passed += probability >= (cut + margin if place is not None and place < number else cut - margin)
    return _BANDS[passed]


def begin(facts: Facts, moment: Moment) -> Said:
    """Return what is said of a customer whose past is no news: silences that began are as good as told."""
    last = facts.values["last_order_at"]
    rules = moment.rules
    return Said(
        facts.values,
        facts.values["risk_band"],
        facts.values["historic_number_of_orders"] or 0,
        facts.clicked_at,
        last if _is_silent(last, facts, moment, rules.inactive_purchase_days) else None,
        facts.clicked_at if _is_silent(facts.clicked_at, facts, moment, rules.inactive_click_days) else None,
    )


def follow(said: Said | None, facts: Facts, moment: Moment) -> tuple[list[Event], Said]:
    """Return what happened since something was said of a customer (None: never), and what is told by now.

    The values said stay as they were: whether they are said again is `changed_names`' matter.
    """
    if said is None:
        # Not seen before: orders may be news, a silence that lies before is none.
        said = replace(begin(facts, moment), values={}, orders_told=0)
    if facts.clicked_at is None and said.clicked_at is not None:
        facts = replace(facts, clicked_at=said.clicked_at)
    band = _settled(said, facts, moment)
    events = [
        *_band_events(said.band, band, facts, moment),
        *_order_events(said, facts, moment),
        *_silences(said, facts, moment),
        *_due_events(facts, moment),
    ]
    begun = begin(facts, moment)
    told = Said(
        said.values,
        band,
        max(said.orders_told, begun.orders_told),
        facts.clicked_at,
        begun.silent_order_at or said.silent_order_at,
        begun.silent_click_at or said.silent_click_at,
    )
    return events, told


def _settled(said: Said, facts: Facts, moment: Moment) -> str | None:
    cuts = (moment.meta.medium_from_probability, moment.meta.high_from_probability)
    share = moment.rules.band_margin_share
    return settle_band(said.band, facts.values["churn_probability"], cuts, share=share)


def _band_events(before: str | None, band: str | None, facts: Facts, moment: Moment) -> Iterator[Event]:
    if before is None or band == before:
        return
    occurrence = f"{moment.meta.scored_at.isoformat()}:{moment.meta.inbox_sequence}:{band}"
    probability = facts.values["churn_probability"]
    yield Event("band_changed", occurrence, {"from": before, "to": band, "churn_probability": probability})


def _order_events(said: Said, facts: Facts, moment: Moment) -> Iterator[Event]:
    count, last = facts.values["historic_number_of_orders"], facts.values["last_order_at"]
    if not count or last is None:
        return
    numbers = sorted({1, *moment.rules.nth_orders})
    for number in (number for number in numbers if said.orders_told < number <= count):
        # Of an order before the last one the mean gap says about when it was.
        ordered_at = _instant(last) - timedelta(days=(count - number) * (facts.gap_days or 0.0))
        if moment.is_news(ordered_at, facts.as_of):
            name = "first_order" if number == 1 else "nth_order"
            yield Event(name, str(number), {"number": number, "ordered_at": instant_text(ordered_at)})
    yield from _won_back(said, facts, moment)


def _won_back(said: Said, facts: Facts, moment: Moment) -> Iterator[Event]:
    before, last = said.values.get("last_order_at"), facts.values["last_order_at"]
    if before is None or last <= before or facts.values["lapsed"]:
        return
    silent = _instant(last) - _instant(before)
    after_days = moment.meta.lapsed_after_days
    had_lapsed = said.values.get("lapsed") or (after_days is not None and silent > timedelta(days=after_days))
    if had_lapsed and moment.is_news(_instant(last), facts.as_of):
        values = {"ordered_at": last, "previous_order_at": before, "silent_days": silent.days}
        yield Event("won_back", last, values)


def _silences(said: Said, facts: Facts, moment: Moment) -> Iterator[Event]:
    rules = moment.rules
    for name, since, told, days in (
        ("inactive_3m_click", facts.clicked_at, said.silent_click_at, rules.inactive_click_days),
        (
            "inactive_6m_purchase",
            facts.values["last_order_at"],
            said.silent_order_at,
            rules.inactive_purchase_days,
        ),
    ):
        if since is None or since == told or not _is_silent(since, facts, moment, days):
            continue
        if moment.is_news(_instant(since) + timedelta(days=days), facts.as_of):
            silent = moment.midnight(facts.as_of) - _instant(since)
            yield Event(name, since, {"since": since, "silent_days": silent.days})


def _is_silent(since: str | None, facts: Facts, moment: Moment, days: int) -> bool:
    return since is not None and moment.midnight(facts.as_of) - _instant(since) >= timedelta(days=days)


def _due_events(facts: Facts, moment: Moment) -> Iterator[Event]:
    for item in facts.due:
        if abs((item.due_on - facts.as_of).days) <= moment.rules.due_within_days:
            days = {"bought_on": item.bought_on.isoformat(), "due_on": item.due_on.isoformat()}
            occurrence = f"{item.bought_on.isoformat()}:{item.product_id}"
            yield Event("replenishment_due", occurrence, {"product_id": item.product_id, **days})


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
