"""First days against a shop worked by hand: what counts, until when, and from when on it is known.

who    channel  first order        first 30     90   180   365   so far
a      web      2024-12-31 12:00   10 - 5      +20                   25   ordered again after exactly 30 days
b      web      2025-01-15 12:00   40                      open      40
c      web      2025-02-01         30 + 30                 open      60
d      ads      2025-11-15 00:00   7 + 3       open                  10
e      ads      2025-12-02 00:00   8           open                   8   30 days are over at the snapshot
f      ads      2025-12-02 00:01   open                               9   … and here a minute later
g      -        2025-06-01         100               (214 days)     100
giver  -        only gave something back: no customer
late   -        ordered at the snapshot itself: not known
"""

from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from features_shop import line, write_shop
from polars.testing import assert_frame_equal

from features.build import build_features
from features.cohort import read_return_gaps
from features.first_days import FIRST_DAYS, read_beginnings
from features.history import History
from features.settings import FeatureSettings, Settings, ShopSettings
from features.snapshot import Snapshot

AS_OF = date(2026, 1, 1)
LINES = [
    line("a", "a1", "2024-12-31T12:00", 10.0),
    line("a", "a1", "2025-01-10T12:00", -5.0),
    line("a", "a2", "2025-01-30T12:00", 20.0),
    line("b", "b1", "2025-01-15T12:00", 40.0),
    line("c", "c1", "2025-02-01T00:00", 30.0),
    line("c", "c2", "2025-02-11T00:00", 30.0),
    line("d", "d1", "2025-11-15T00:00", 7.0),
    line("d", "d2", "2025-12-14T23:59:59.999999", 3.0),
    line("e", "e1", "2025-12-02T00:00", 8.0),
    line("f", "f1", "2025-12-02T00:01", 9.0),
    line("g", "g1", "2025-06-01T00:00", 100.0),
    line("giver", "r", "2025-03-01T00:00", -7.0),
]
LATER = [
    line("late", "l1", "2026-01-01T00:00", 99.0),
    line("a", "a3", "2026-01-01T00:00", 99.0),
    line("f", "f1", "2026-01-02T00:00", -9.0),
]
SPENDS = {
    "a": (25.0, 5.0, 25.0, 25.0, 25.0),
    "b": (40.0, 40.0, 40.0, 40.0, None),
    "c": (60.0, 60.0, 60.0, 60.0, None),
    "d": (10.0, 10.0, None, None, None),
    "e": (8.0, 8.0, None, None, None),
    "f": (9.0, None, None, None, None),
    "g": (100.0, 100.0, 100.0, 100.0, None),
}
NAMES = ("spend_total", *(f"spend_first_{days}" for days in FIRST_DAYS))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> History:
    return write_shop(tmp_path_factory.mktemp("shop"), LINES + LATER)


def read(history: History, *, zone: str = "UTC", **settings: Any) -> pl.DataFrame:
    found = read_beginnings(history, Snapshot(AS_OF, zone), settings=Settings(**settings))
    return found.customers


@pytest.mark.parametrize("engine", ["polars", "duckdb"])
def test_the_shop_worked_by_hand(shop: History, engine: Any) -> None:
    rows = read(shop, features=FeatureSettings(engine=engine))
    assert {row[0]: row[1:] for row in rows.select("customer_id", *NAMES).rows()} == SPENDS
    assert rows["customer_id"].to_list() == sorted(SPENDS)
    assert dict(rows.select("customer_id", "order_count").rows())["d"] == 2


def test_before_returns_a_return_lowers_nothing(shop: History) -> None:
    rows = read(shop, shop=ShopSettings(clv_basis="gross"))
    assert rows.select(NAMES).row(0) == (30.0, 10.0, 30.0, 30.0, 30.0)


def test_what_was_given_back_before_the_first_order_is_of_no_first_day(tmp_path: Path) -> None:
    """The order that it belongs to is older than the history: it counts so far, as it does everywhere."""
    early = line("a", "old", "2024-12-01T12:00", -3.0)
    rows = read(write_shop(tmp_path, [early, *LINES]))
    assert rows.select(NAMES).row(0) == (22.0, *SPENDS["a"][1:])


def test_nothing_on_or_after_the_snapshot_counts(shop: History, tmp_path: Path) -> None:
    assert_frame_equal(read(shop), read(write_shop(tmp_path, LINES)), check_exact=True)


def test_money_so_far_equals_the_feature(shop: History) -> None:
    features = build_features(shop, Snapshot(AS_OF), settings=Settings())
    assert_frame_equal(
        read(shop).select("customer_id", "spend_total", "order_count"),
        features.select("customer_id", "spend_total", "order_count"),
        check_exact=True,
    )


def test_the_first_day_is_the_shops_own(tmp_path: Path) -> None:
    history = write_shop(tmp_path, [line("a", "a1", "2025-01-31T16:00", 1.0)])
    days = [read(history, zone=zone)["first_date"][0] for zone in ("UTC", "Asia/Seoul")]
    assert days == [date(2025, 1, 31), date(2025, 2, 1)]


def test_the_lead_in_is_as_long_as_nearly_all_gaps(shop: History) -> None:
    found = read_beginnings(shop, Snapshot(AS_OF), settings=Settings())
    # Gaps between order days: 30 (a), 10 (c), 30 (d).
    assert found.lead_in_days == read_return_gaps(shop, Snapshot(AS_OF)).p95_days == 30
    early = found.customers.filter(pl.col("first_days") < found.lead_in_until)
    assert early["customer_id"].to_list() == ["a", "b"]


def test_where_nobody_came_back_there_is_no_lead_in(tmp_path: Path) -> None:
    history = write_shop(tmp_path, [line(name, name, "2025-03-01T10:00", 1.0) for name in "abc"])
    found = read_beginnings(history, Snapshot(AS_OF), settings=Settings())
    assert found.lead_in_days == 0
    assert not (found.customers["first_days"] < found.lead_in_until).any()


def test_a_window_of_observation_is_set_aside(shop: History) -> None:
    windowed = Snapshot(AS_OF, observation_days=60)
    found = read_beginnings(shop, windowed, settings=Settings())
    assert_frame_equal(found.customers, read(shop), check_exact=True)
