"""Clocks at several dates: counted by hand, and equal to what features say of each snapshot alone."""

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from features_shop import event, line, write_shop
from hypothesis import given, settings
from hypothesis import strategies as st

from features.build import build_features
from features.cohort import read_return_gaps
from features.fully_churned import read_fully_churned
from features.past_clocks import CLOCKS, ClocksAt, read_past_clocks
from features.settings import Settings
from features.snapshot import Snapshot

SEOUL = "Asia/Seoul"


def order(customer: str, at: str, amount: float = 10.0) -> dict[str, Any]:
    return line(customer, f"{customer}-{at}", at, amount)


def read(
    folder: Path, rows: list[dict[str, Any]], *snapshots: Snapshot, events: list[dict[str, Any]] | None = None
) -> list[ClocksAt]:
    history = write_shop(folder, rows, events=events or [])
    return list(read_past_clocks(history, snapshots, engine="polars"))


def told(clocks: ClocksAt) -> dict[str, tuple[Any, ...]]:
    return {row[0]: row[1:] for row in clocks.customers.select("customer_id", *CLOCKS).iter_rows()}


def test_two_customers_at_three_dates_as_counted_by_hand(tmp_path: Path) -> None:
    rows = [
        order("a", "2026-01-01T12:00"),
        order("a", "2026-01-11T12:00"),
        order("a", "2026-01-11T18:00"),  # the same day: a second order, no second order day
        order("a", "2026-02-10T00:00"),  # midnight belongs to the day that it begins
        line("a", "a-back", "2026-02-20T12:00", -10.0),  # a return is no order
        order("b", "2026-02-09T23:59"),
    ]
    acts = [
        event("a", "product_viewed", "2026-01-20T06:00"),
        event("a", "campaign_sent", "2026-02-01T06:00"),  # not the customer's own act
        event("b", "product_viewed", "2026-02-01T06:00"),
    ]
    dates = [Snapshot(date(2026, 1, 5)), Snapshot(date(2026, 2, 10)), Snapshot(date(2026, 3, 1))]
    early, middle, late = read(tmp_path, rows, *dates, events=acts)

    # orders, recency, tenure, last gap, own gap, days since the last act
    assert told(early) == {"a": (1, 3.5, 3.5, None, None, None)}
    assert told(middle)["a"] == (3, pytest.approx(29.25), pytest.approx(39.5), 10.0, 5.12, 21.0)
    assert told(middle)["b"] == (1, pytest.approx(1 / 1440), pytest.approx(1 / 1440), None, None, 9.0)
    assert told(late)["a"] == (4, 19.0, pytest.approx(58.5), 30.0, 13.17, 40.0)
    assert [each.gaps.count for each in (early, middle, late)] == [0, 1, 2]
    assert (middle.gaps.p95_days, late.gaps.p95_days, late.gaps.median_days) == (10, 30, 20.0)


def test_a_date_before_the_first_order_has_no_customers(tmp_path: Path) -> None:
    rows = [order("a", "2026-01-01T00:00")]
    before, at, after = read(
        tmp_path, rows, Snapshot(date(2025, 1, 1)), Snapshot(date(2026, 1, 1)), Snapshot(date(2026, 1, 2))
    )
    assert (told(before), told(at)) == ({}, {})
    assert told(after) == {"a": (1, 1.0, 1.0, None, None, None)}
    assert (before.gaps.p95_days, before.fully_churned.grounds) == (None, "history_too_short")


def test_midnight_is_that_of_the_shop(tmp_path: Path) -> None:
    """15:00 in London is midnight in Seoul: the order belongs to the second of January there."""
    rows = [order("a", "2026-01-01T15:00"), order("b", "2026-01-01T14:59")]
    (found,) = read(tmp_path, rows, Snapshot(date(2026, 1, 2), SEOUL))
    assert list(told(found)) == ["b"]


def test_an_observation_window_forgets_what_lies_before_it(tmp_path: Path) -> None:
    rows = [order("a", "2026-01-01T12:00"), order("a", "2026-03-01T12:00"), order("b", "2026-01-01T12:00")]
    early, late = read(
        tmp_path, rows, Snapshot(date(2026, 1, 31), "UTC", 30), Snapshot(date(2026, 3, 2), "UTC", 30)
    )
    assert {customer: clocks[0] for customer, clocks in told(early).items()} == {"a": 1, "b": 1}
    assert told(late) == {"a": (1, 0.5, 0.5, None, None, None)}


@given(st.data())
@settings(max_examples=6, deadline=None)
def test_clocks_are_those_that_features_tell_of_each_snapshot_alone(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    zone = data.draw(st.sampled_from(["UTC", SEOUL, "Europe/Berlin", "America/St_Johns"]))
    window = data.draw(st.sampled_from([None, 60]))
    hours = st.integers(min_value=0, max_value=24 * 200)
    start = datetime(2026, 1, 15)
    rows = [
        order(customer, (start + timedelta(hours=hour)).isoformat())
        for customer, hour in data.draw(
            st.lists(st.tuples(st.sampled_from("abc"), hours), min_size=1, max_size=25, unique=True)
        )
    ]
    acts = [
        event(customer, kind, (start + timedelta(hours=hour)).isoformat())
        for customer, kind, hour in data.draw(
            st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["view", "sent"]), hours), max_size=8)
        )
    ]
    # Summer time begins and ends between them.
    days = [date(2026, 3, 1), date(2026, 4, 1), date(2026, 7, 1), date(2026, 11, 20)]
    snapshots = [Snapshot(day, zone, window) for day in days]
    history = write_shop(tmp_path_factory.mktemp("shop"), rows, events=acts)
    for found in read_past_clocks(history, snapshots, engine="polars"):
        features = build_features(history, found.snapshot, settings=Settings())
        same = [name for name in CLOCKS if name != "average_days_between_orders"]
        wanted = features.select("customer_id", *same).cast({"order_count": pl.Int64})
        assert found.customers.select("customer_id", *same).equals(wanted)
        assert found.gaps == read_return_gaps(history, found.snapshot)
        assert found.fully_churned == read_fully_churned(history, found.snapshot)


def test_every_engine_tells_the_same(tmp_path: Path) -> None:
    rows = [order("a", "2026-01-01T12:00"), order("a", "2026-02-01T12:00"), order("b", "2026-01-05T12:00")]
    history = write_shop(tmp_path, rows, events=[event("a", "product_viewed", "2026-01-20T06:00")])
    snapshots = [Snapshot(date(2026, 1, 31)), Snapshot(date(2026, 3, 1))]
    polars, duckdb = (
        [each.customers for each in read_past_clocks(history, snapshots, engine=engine)]
        for engine in ("polars", "duckdb")
    )
    assert all(one.equals(other) for one, other in zip(polars, duckdb, strict=True))
