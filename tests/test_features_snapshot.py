"""Where known ends and the outcome begins: to the microsecond, in any time zone, across clock changes."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from features_shop import line, write_shop
from hypothesis import given
from hypothesis import strategies as st

from features.build import build_features
from features.labels import build_labels
from features.settings import Settings
from features.snapshot import Snapshot, days_since_epoch, instant_of, local_midnight_days

MICROSECOND = timedelta(microseconds=1)
ZONES = ["UTC", "Asia/Seoul", "Asia/Kathmandu", "America/St_Johns", "Europe/London", "Pacific/Chatham"]


def at(days: float, shift: timedelta = timedelta()) -> str:
    return (instant_of(days) + shift).replace(tzinfo=None).isoformat()


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("day", [date(2026, 3, 29), date(2014, 11, 10), date(2025, 10, 26), date(2026, 7, 1)])
def test_midnight_is_outcome_and_a_microsecond_earlier_is_known(tmp_path: Path, zone: str, day: date) -> None:
    snapshot = Snapshot(day, zone)
    history = write_shop(
        tmp_path,
        [
            line("known", "a", at(snapshot.end_days, -MICROSECOND), 1.0),
            line("both", "b", at(snapshot.end_days, -MICROSECOND), 1.0),
            line("both", "c", at(snapshot.end_days), 5.0),
            line("outcome", "d", at(snapshot.end_days), 1.0),
            line("edge", "e", at(snapshot.end_days, -MICROSECOND), 1.0),
            line("edge", "f", at(snapshot.outcome_end_days(30), -MICROSECOND), 7.0),
            line("edge", "g", at(snapshot.outcome_end_days(30)), 9.0),
        ],
    )
    features = build_features(history, snapshot, settings=Settings())
    assert features["customer_id"].to_list() == ["both", "edge", "known"]
    assert features["order_count_7"].to_list() == [1.0, 1.0, 1.0]
    assert features["order_day_count"].to_list() == [1.0, 1.0, 1.0]
    labels = build_labels(
        history, snapshot, horizons_days=[30, 60], known_until=snapshot.shifted(60), settings=Settings()
    )
    assert labels.select("churned_30", "spend_30", "order_count_30").rows() == [
        (0.0, 5.0, 1.0),
        (0.0, 7.0, 1.0),
        (1.0, 0.0, 0.0),
    ]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("day", [date(2026, 6, 15), date(2014, 11, 12)])
def test_a_window_holds_its_first_instant_and_nothing_before(tmp_path: Path, zone: str, day: date) -> None:
    # In the week before 2014-11-12 lies day 16384, where the numeric clock loses one bit.
    snapshot = Snapshot(day, zone)
    edge = instant_of(snapshot.end_days) - timedelta(days=7)
    first, before = edge.replace(tzinfo=None), (edge - MICROSECOND).replace(tzinfo=None)
    history = write_shop(
        tmp_path,
        [line("in", "a", first.isoformat(), 1.0), line("out", "b", before.isoformat(), 1.0)],
    )
    table = build_features(history, snapshot, settings=Settings())
    assert table.select("customer_id", "order_count_7", "order_count_14").rows() == [
        ("in", 1, 1),
        ("out", 0, 1),
    ]


@pytest.mark.parametrize("zone", ZONES)
def test_observation_begins_at_local_midnight(tmp_path: Path, zone: str) -> None:
    snapshot = Snapshot(date(2026, 4, 10), zone, observation_days=30)
    start = snapshot.start_days
    assert start == local_midnight_days(date(2026, 3, 11), zone)
    history = write_shop(
        tmp_path,
        [
            line("ann", "a", at(start, -MICROSECOND), 1.0, product="milk"),
            line("ann", "b", at(start), 2.0, product="milk"),
            line("bob", "c", at(start, -MICROSECOND), 1.0),
        ],
    )
    table = build_features(history, snapshot, settings=Settings())
    assert table.select("customer_id", "order_count", "spend_total", "product_count").rows() == [
        ("ann", 1, 2, 1)
    ]


def test_the_day_of_a_clock_change_is_a_calendar_day() -> None:
    before = Snapshot(date(2026, 3, 29), "Europe/London")
    after = before.shifted(1)
    assert (after.end_days - before.end_days) * 24 == pytest.approx(23)
    assert before.outcome_end_days(1) == after.end_days


@given(st.datetimes(datetime(1990, 1, 1), datetime(2060, 1, 1)), st.sampled_from(ZONES))
def test_instants_survive_the_numeric_clock(naive: datetime, zone: str) -> None:
    instant = naive.replace(tzinfo=UTC)
    assert abs(instant_of(days_since_epoch(instant)) - instant) <= MICROSECOND
    day = naive.date()
    assert instant_of(local_midnight_days(day, zone)).timestamp() % 900 == 0
