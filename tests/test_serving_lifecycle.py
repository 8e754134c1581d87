"""What happened to a customer, from what was said and what is known: literal answers."""

from datetime import date, timedelta
from typing import Any

import pytest
from change_runs import DAY, at, facts, moment
from hypothesis import given
from hypothesis import strategies as st

from features.delivery_settings import ChangeSettings
from serving.changes.lifecycle import EVENTS, DueItem, Said, begin, changed_names, follow, settle_band
from serving.schemas.changes import EventName

CUTS = (0.16, 0.24)


def happened(said: Said | None, now: Any, **changes: Any) -> list[tuple[str, str]]:
    events, _ = follow(said, now, moment(**changes))
    return [(event.name, event.occurrence) for event in events if event.name != "band_changed"]


def said_of(now: Any) -> Said:
    return begin(now, moment())


def test_every_event_has_its_name_in_the_description() -> None:
    assert set(EventName.__args__) == set(EVENTS)


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({}, []),
        ({"churn_probability": 0.53}, []),
        ({"churn_probability": 0.54}, ["churn_probability"]),
        ({"churn_probability": 0.44}, ["churn_probability"]),
        ({"churn_probability": None}, ["churn_probability"]),
        ({"risk_band": "medium"}, ["risk_band"]),
        ({"risk_band": "medium", "churn_probability": 0.48}, ["churn_probability", "risk_band"]),
        ({"predicted_clv": 134.0}, []),
        ({"predicted_clv": 134.2}, ["predicted_clv"]),
        ({"historic_number_of_orders": 4}, ["historic_number_of_orders"]),
        ({"email_consent": 0}, ["email_consent"]),
        ({"email_consent": None}, ["email_consent"]),
        ({"rfm_segment": "CHAMPIONS", "value_at_risk": 1.0}, ["rfm_segment", "value_at_risk"]),
        ({"value_at_risk": 1.0}, []),
    ],
)
def test_a_change_is_said_when_it_is_large_enough(changes: dict[str, Any], names: list[str]) -> None:
    before = facts(churn_probability=0.49, predicted_clv=122.0)
    now = facts(**{"churn_probability": 0.49, "predicted_clv": 122.0, **changes})
    assert changed_names(said_of(before), now, ChangeSettings()) == names


def test_everything_is_new_of_somebody_new() -> None:
    names = changed_names(Said({}), facts(), ChangeSettings())
    assert names[:3] == ["status", "churn_probability", "risk_band"]


@pytest.mark.parametrize(
    ("band", "probability", "settled"),
    [
        (None, 0.17, "medium"),
        ("low", 0.1759, "low"),
        ("low", 0.1761, "medium"),
        ("low", 0.25, "medium"),
        ("low", 0.2641, "high"),
        ("medium", 0.25, "medium"),
        ("medium", 0.2641, "high"),
        ("medium", 0.145, "medium"),
        ("medium", 0.1439, "low"),
        ("high", 0.217, "high"),
        ("high", 0.2159, "medium"),
        ("high", 0.1, "low"),
        ("high", None, "high"),
    ],
)
def test_a_band_moves_beyond_a_margin_only(band: str | None, probability: float | None, settled: str) -> None:
    assert settle_band(band, probability, CUTS, share=0.1) == settled


def test_the_margin_near_one_is_a_share_of_what_is_missing() -> None:
    assert settle_band("medium", 0.9951, (0.9, 0.95), share=0.1) == "high"
    assert settle_band("medium", 0.9551, (0.9, 0.95), share=0.1) == "high"
    assert settle_band("medium", 0.9549, (0.9, 0.95), share=0.1) == "medium"


@given(st.lists(st.floats(0.2161, 0.2639), max_size=30), st.sampled_from(["medium", "high"]))
def test_within_the_margin_a_band_never_moves(probabilities: list[float], band: str) -> None:
    assert {settle_band(band, each, CUTS, share=0.1) for each in probabilities} <= {band}


@given(st.sampled_from(["low", "medium", "high"]), st.floats(0, 1))
def test_a_band_settles_at_once(band: str, probability: float) -> None:
    once = settle_band(band, probability, CUTS, share=0.1)
    assert settle_band(once, probability, CUTS, share=0.1) == once


def test_a_change_of_band_says_from_where_to_where() -> None:
    said = said_of(facts(churn_probability=0.1, risk_band="low"))
    events, then = follow(said, facts(churn_probability=0.5, risk_band="high"), moment())
    assert [(event.name, event.values) for event in events] == [
        ("band_changed", {"from": "low", "to": "high", "churn_probability": 0.5})
    ]
    assert (then.band, follow(then, facts(churn_probability=0.5), moment())[0]) == ("high", [])


@pytest.mark.parametrize(
    ("orders_told", "count", "numbers"),
    [
        (0, 1, ["1"]),
        (0, 2, ["1", "2"]),
        (1, 2, ["2"]),
        (2, 2, []),
        (2, 4, []),
        (4, 12, ["5", "10"]),
        (5, 3, []),
    ],
)
def test_orders_are_counted_once(orders_told: int, count: int, numbers: list[str]) -> None:
    said = Said({"last_order_at": at(-9), "lapsed": False}, "high", orders_told)
    now = facts(historic_number_of_orders=count, average_days_between_orders=1.0)
    assert [occurrence for _, occurrence in happened(said, now)] == numbers


def test_an_order_of_long_ago_is_no_news() -> None:
    assert happened(None, facts(historic_number_of_orders=1, last_order_at=at(-31, hour=0))) == []
    assert happened(None, facts(historic_number_of_orders=1, last_order_at=at(-30, hour=0))) == [
        ("first_order", "1")
    ]
    # The last of ten orders is news, the first ones were years ago.
    assert happened(None, facts(historic_number_of_orders=10)) == [("nth_order", "10")]


@pytest.mark.parametrize(
    ("lapsed", "previous", "now", "events"),
    [
        (True, -150, {"last_order_at": at(-1)}, [("won_back", at(-1))]),
        (False, -150, {"last_order_at": at(-1)}, [("won_back", at(-1))]),  # lapsed since it was last said
        (False, -100, {"last_order_at": at(-1)}, []),
        (True, -150, {"last_order_at": at(-150)}, []),
        (True, -300, {"last_order_at": at(-150), "lapsed": 1}, []),  # a late order of somebody still away
        (True, -300, {"last_order_at": at(-40)}, []),  # late by more than late_days_max
    ],
)
def test_won_back_is_an_order_of_the_lapsed(
    lapsed: bool, previous: int, now: dict[str, Any], events: list[Any]
) -> None:
    said = Said({"last_order_at": at(previous), "lapsed": lapsed}, "high", 3, silent_order_at=at(previous))
    assert happened(said, facts(**now)) == events


def test_a_silence_is_told_once_and_another_one_again() -> None:
    said = said_of(facts(last_order_at=at(-181)))
    assert happened(said, facts(last_order_at=at(-181))) == []
    quiet = facts(day=DAY + timedelta(days=2), last_order_at=at(-181))
    events, then = follow(said, quiet, moment(number=3))
    assert [(event.name, event.occurrence, event.values["silent_days"]) for event in events] == [
        ("inactive_6m_purchase", at(-181), 182)
    ]
    assert follow(then, quiet, moment(number=3))[0] == []
    later = facts(day=DAY + timedelta(days=500), last_order_at=at(310))
    assert happened(then, later, number=501) == [("inactive_6m_purchase", at(310))]


def test_a_silence_that_was_there_before_is_as_good_as_told() -> None:
    for said in (said_of(facts(last_order_at=at(-190))), None):
        now = facts(last_order_at=at(-190), clicked_at=at(-95), historic_number_of_orders=4)
        assert ("inactive_6m_purchase", at(-190)) not in happened(said, now)
    assert said_of(facts(clicked_at=at(-95))).silent_click_at == at(-95)


def test_a_silence_of_clicks_goes_on_where_nobody_looks_for_clicks() -> None:
    said = said_of(facts(clicked_at=at(-90)))
    quiet = facts(day=DAY + timedelta(days=2))
    assert happened(said, quiet) == [("inactive_3m_click", at(-90))]
    assert happened(said, facts(day=DAY + timedelta(days=2), clicked_at=at(1))) == []
    assert happened(said_of(facts()), quiet) == []  # who never clicked cannot stop


@pytest.mark.parametrize(("days", "is_told"), [(-4, False), (-3, True), (0, True), (3, True), (4, False)])
def test_what_is_due_about_now_is_told(days: int, is_told: bool) -> None:
    item = DueItem("p:1", date(2026, 10, 1), DAY + timedelta(days=days))
    events = happened(said_of(facts()), facts(due=(item,)))
    assert events == ([("replenishment_due", "2026-10-01:p:1")] if is_told else [])


def test_days_begin_at_the_shops_midnight() -> None:
    # 00:00 in Seoul is 15:00 UTC of the day before.
    for last, seoul, utc in (("2026-05-23T15:00:00Z", True, True), ("2026-05-23T16:00:00Z", False, True)):
        now = facts(last_order_at=last)
        assert (begin(now, moment(time_zone="Asia/Seoul")).silent_order_at == last) is seoul
        assert (begin(now, moment(time_zone="UTC")).silent_order_at == last) is utc
