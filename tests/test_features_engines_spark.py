"""What Spark moves and keeps: each table's rows are moved once, and what was kept is let go."""

from collections.abc import Callable
from datetime import date
from typing import Any

import narwhals as nw
import polars as pl
import pytest
from engine_tables import settings_of
from features_shop import event, write_shop
from test_features_build import random_rows

from features import build as building
from features.build import build_features, read_parts
from features.engines import keep, scan_table
from features.examples import ExampleBuilder
from features.history import History
from features.orders import Frame
from features.snapshot import Snapshot

pytestmark = pytest.mark.slow
D = Snapshot(date(2026, 3, 1))


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    events = [event("c01", "product_viewed", "2025-12-24T10:00")]
    categories = {f"p{number}": f"category {number % 3}" for number in range(10)}
    return write_shop(tmp_path_factory.mktemp("shop"), random_rows(200), events=events, categories=categories)


def kept_count(spark: Any) -> int:
    return int(spark.sparkContext._jsc.getPersistentRDDs().size())


def shuffle_count(spark: Any, work: Callable[[], object]) -> int:
    """Count how often Spark moves rows between its parts: each time has a number of its own."""
    number = spark.sparkContext._jsc.sc().newShuffleId
    first = number()
    work()
    return int(number() - first - 1)


def test_a_back_test_does_not_pile_up_what_its_snapshots_kept(spark: Any, history: History) -> None:
    before = kept_count(spark)
    builder = ExampleBuilder(history, settings_of("pyspark", D))
    held = kept_count(spark)
    assert held > before
    counts = []
    for days in (90, 60, 30):
        builder.features_at(D.shifted(-days))
        builder.outcomes(D.shifted(-days), [30], D)
        counts.append(kept_count(spark) - before)
    assert counts == [2, 2, 2]  # ledger and events; the order days of each snapshot are gone
    windowed = Snapshot(D.date, observation_days=60)
    builder.features_at(windowed)
    assert kept_count(spark) - before == 2
    del builder
    assert kept_count(spark) == before


def test_what_two_hold_is_kept_until_both_let_go(spark: Any) -> None:
    rows = scan_table(pl.DataFrame({"customer_id": ["a", "b"], "n": [1, 2]}), engine="pyspark")

    def make() -> Any:
        return keep(rows.filter(nw.col("n") > 1), engine="pyspark")

    before = kept_count(spark)
    first, second = make(), make()
    assert first.collect("polars").to_native()["n"].to_list() == [2]
    assert kept_count(spark) == before + 1
    del first
    assert kept_count(spark) == before + 1
    del second
    assert kept_count(spark) == before


def test_rows_are_moved_once_a_table(spark: Any, history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of("pyspark", D)
    shop = building.build_shop_facts(history, D)

    def work() -> object:
        return build_features(history, D, settings=settings, shop=shop)

    assert shuffle_count(spark, work) == 2  # order lines, and events

    def left_where_they_are(rows: Frame, *, engine: str, row_count: int) -> Frame:
        return rows

    monkeypatch.setattr(building, "gather", left_where_they_are)
    assert shuffle_count(spark, work) > 5


def test_no_join_moves_the_order_lines(spark: Any, history: History) -> None:
    parts = read_parts(history, engine="pyspark", snapshot=D)
    plan = parts[0].ledger.to_native()._jdf.queryExecution().toString()  # type: ignore[union-attr]
    assert "BroadcastHashJoin" in plan
    assert "SortMergeJoin" not in plan
