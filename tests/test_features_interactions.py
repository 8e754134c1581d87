"""Interactions and purchases on hand-made tables whose answer is known."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as checks
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from recommender_shop import Line, day, settings, write_shop

from features.history import History
from features.interactions import INTERACTION_SCHEMA, Engine, build_interactions, build_purchases
from features.snapshot import Snapshot, days_since_epoch, instant_of

TEA_TWICE_MILK_ONCE: list[Line] = [
    ("ann", "tea", 2.5, 1, 4.00),
    ("ann", "tea", 2.5, 2, 7.00),  # the same order: counts once
    ("ann", "milk", 2.5, 1, 1.00),
    ("ann", "tea", 30.25, 1, 4.00),
    ("ann", "tea", 31.0, 1, -4.00),  # sent back
    ("ann", None, 33.0, 1, 9.99),  # names no product
    ("bob", "cup", 5.0, 1, -3.00),  # only a return: no purchase
    ("cyd", None, 6.0, 1, 2.00),
    ("eve", "tea", 40.0, 1, 5.00),  # the snapshot's own day: not known
]


@pytest.fixture
def shop(tmp_path: Path) -> History:
    return write_shop(tmp_path, TEA_TWICE_MILK_ONCE, [("tea", "drinks", None)])


@pytest.mark.parametrize("engine", ["polars", "duckdb"])
def test_the_hand_table(shop: History, engine: Engine) -> None:
    found = build_interactions(shop, day(40), settings=settings(popularity_days=28), engine=engine)
    zero = day(0).end_days
    expected = {
        "customer_id": ["ann", "ann"],
        "product_id": ["milk", "tea"],
        "category": [None, "drinks"],
        "order_count": [1, 2],
        "recent_order_count": [0, 1],
        "order_weight_7": [2 ** (-37.5 / 7), 2 ** (-37.5 / 7) + 2 ** (-9.75 / 7)],
        "order_weight_30": [2 ** (-37.5 / 30), 2 ** (-37.5 / 30) + 2 ** (-9.75 / 30)],
        "order_weight_90": [2 ** (-37.5 / 90), 2 ** (-37.5 / 90) + 2 ** (-9.75 / 90)],
        "quantity_minor": [1_000, 4_000],
        "spend_minor": [10_000, 150_000],
        "first_days": [zero + 2.5, zero + 2.5],
        "last_days": [zero + 2.5, zero + 30.25],
        "returned_share": [0.0, 0.25],
        "customer_order_count": [2, 2],
        "customer_last_days": [zero + 30.25, zero + 30.25],
    }
    assert_frame_equal(found, pl.DataFrame(expected, schema=INTERACTION_SCHEMA), abs_tol=1e-6)


def test_the_buckets_together_are_the_whole(shop: History) -> None:
    whole = build_interactions(shop, day(60), settings=settings())
    parts = [build_interactions(shop, day(60), settings=settings(), buckets=[bucket]) for bucket in range(3)]
    assert_frame_equal(pl.concat(parts).sort("customer_id", "product_id"), whole)
    assert set(whole["customer_id"]) == {"ann", "eve"}


def test_only_the_observation_window_is_read(shop: History) -> None:
    window = Snapshot(day(40).date, observation_days=20)
    assert build_interactions(shop, window, settings=settings())["product_id"].to_list() == ["tea"]


def test_no_products_give_an_empty_table(tmp_path: Path) -> None:
    shop = write_shop(tmp_path, [("ann", None, 1.0, 1, 2.0)])
    found = build_interactions(shop, day(9), settings=settings())
    assert found.is_empty()
    assert found.schema == INTERACTION_SCHEMA


def test_purchases_are_half_open_and_without_returns(shop: History) -> None:
    found = build_purchases(shop, day(30), day(40))
    assert found.rows() == [("ann", "tea", 1_000, 40_000)]
    assert build_purchases(shop, day(40), day(41)).rows() == [("eve", "tea", 1_000, 50_000)]


@pytest.mark.parametrize("zone", ["Asia/Seoul", "America/New_York"])
def test_a_day_begins_at_local_midnight(tmp_path: Path, zone: str) -> None:
    midnight = Snapshot(day(10).date, zone).end_days
    zero = days_since_epoch(instant_of(day(0).end_days))
    hour = 1 / 24
    shop = write_shop(
        tmp_path, [("ann", "before", midnight - zero - hour, 1, 1.0), ("ann", "at", midnight - zero, 1, 1.0)]
    )
    snapshot = Snapshot(day(10).date, zone)
    assert build_interactions(shop, snapshot, settings=settings())["product_id"].to_list() == ["before"]
    assert build_purchases(shop, snapshot, snapshot.shifted(1))["product_id"].to_list() == ["at"]


LATER = st.lists(
    st.tuples(
        st.sampled_from(["ann", "bob", "new"]),
        st.sampled_from(["tea", "milk", "new"]),
        st.floats(40, 400, allow_nan=False).map(lambda days: round(days, 3)),
        st.integers(1, 5),
        st.floats(-50, 50, allow_nan=False).filter(bool),
    ),
    max_size=8,
)


@checks(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(later=LATER)
def test_nothing_on_or_after_the_snapshot_changes_anything(
    tmp_path_factory: pytest.TempPathFactory, later: list[Line]
) -> None:
    known = TEA_TWICE_MILK_ONCE[:-1]
    before = write_shop(tmp_path_factory.mktemp("a"), known)
    after = write_shop(tmp_path_factory.mktemp("b"), known + later)
    assert_frame_equal(
        build_interactions(before, day(40), settings=settings()),
        build_interactions(after, day(40), settings=settings()),
    )
