"""A shop that Spark's workers score: the same rows and lists as on one machine, and what goes wrong there."""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from serving_shop import AS_OF, BUCKET_COUNT, fit_champions, make_orders, register, write_history

from features.build import build_shop_facts
from features.history import History
from features.layout import Layout
from features.settings import ChurnSettings, FeatureSettings, Settings
from features.snapshot import Snapshot
from features.suppression import Marker, Suppressed
from models.bundle import BundleError
from models.registry_names import Task
from serving.cluster.ask import ClusterError, left_out, make_order, score_on_cluster
from serving.cluster.order import Order, pack_bundles, pack_code, unpack_bundles
from serving.registry import Champion, load_champions
from serving.scoring.bucket_lists import read_bucket_lists
from serving.scoring.bucket_rows import rows_path
from serving.scoring.bucket_scores import Predictors
from serving.scoring.lists import make_lists
from serving.scoring.shop import score_customers

CHOICE: dict[Task, str] = {"churn": "lightgbm", "clv": "formula", "recommender": "blend"}
SNAPSHOT = Snapshot(AS_OF)
SETTINGS = Settings(features=FeatureSettings(engine="pyspark"))


@dataclass(frozen=True)
class Shop:
    history: History
    champions: dict[Task, Champion]

    def order(self, folder: Path) -> Order:
        facts = build_shop_facts(self.history, SNAPSHOT)
        return make_order(
            self.history, SNAPSHOT, self.champions, settings=SETTINGS, shop=facts, folder=folder
        )


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    var = tmp_path_factory.mktemp("shop")
    history = write_history(var, make_orders(60))
    learning = Settings(churn=ChurnSettings(supported_outcomes_min=5))
    register(var, fit_champions(history, AS_OF, choice=CHOICE, settings=learning), as_of=AS_OF)
    return Shop(history, load_champions(Layout(var), as_of=AS_OF))


@pytest.fixture
def _spark() -> Iterator[None]:
    pytest.importorskip("pyspark", reason="PySpark is not installed (make spark)")
    from features.spark import spark_session

    spark_session()
    return


def on_this_machine(order: Order, champions: dict[Task, Champion], bucket: int) -> tuple[Any, Any]:
    """Return the rows and the lists of a bucket without any cluster, c1 left out."""
    models = {task: champion.bundle.model for task, champion in champions.items()}
    predictors = Predictors.of(
        models["churn"], models["clv"], headline_days=order.headline_days, settings=order.settings
    )
    rows = score_customers(
        order.history, SNAPSHOT, predictors, bucket=bucket, settings=order.settings, shop=order.shop
    )
    assert rows is not None
    rows = rows.filter(pl.col("customer_id") != "c1")
    lists = make_lists(order.history, SNAPSHOT, models["recommender"], settings=order.settings)
    return rows, lists.of_customers(rows["customer_id"].to_list(), bucket=bucket)


@pytest.mark.slow
@pytest.mark.usefixtures("_spark")
def test_workers_find_the_rows_and_lists_that_one_machine_finds(shop: Shop, tmp_path: Path) -> None:
    marker = Marker.of(b"sixteen or more!")
    gone = left_out(shop.history, Suppressed(frozenset({marker.mark("c1")}), marker))
    assert [*gone.values()] == [{"c1"}]
    order = shop.order(tmp_path).model_copy(update={"left_out": gone})
    told: list[str] = []
    score_on_cluster(order, shop.champions, told.append)
    assert told == ["bucket 1 of 2", "bucket 2 of 2"]
    for bucket in range(BUCKET_COUNT):
        rows, lists = on_this_machine(order, shop.champions, bucket)
        assert_frame_equal(pl.read_parquet(rows_path(tmp_path, bucket)), rows)
        found = read_bucket_lists(tmp_path, bucket)
        assert found is not None
        pd.testing.assert_frame_equal(found.table, lists.table)
        assert found.owned == lists.owned


@pytest.mark.slow
@pytest.mark.usefixtures("_spark")
def test_a_history_that_workers_cannot_read_is_one_line(shop: Shop, tmp_path: Path) -> None:
    order = shop.order(tmp_path).model_copy(update={"root": tmp_path / "elsewhere"})
    with pytest.raises(
        ClusterError, match=r"bucket 0 could not be scored on a worker: .*elsewhere"
    ) as raised:
        score_on_cluster(order, shop.champions, lambda _: None)
    assert "\n" not in str(raised.value)


@pytest.mark.slow
@pytest.mark.usefixtures("_spark")
def test_champions_that_changed_on_their_way_are_not_used(shop: Shop, tmp_path: Path) -> None:
    order = shop.order(tmp_path).model_copy(update={"digests": {"churn": "0" * 64, "clv": "0" * 64}})
    with pytest.raises(ClusterError, match="the churn champion that reached a worker is not the one"):
        score_on_cluster(order, shop.champions, lambda _: None)
    assert list(tmp_path.iterdir()) == []


def test_an_order_survives_its_journey(shop: Shop, tmp_path: Path) -> None:
    order = shop.order(tmp_path).model_copy(update={"left_out": {1: frozenset({"김철수"})}})
    found = Order.model_validate_json(order.model_dump_json())
    assert found == order
    assert found.settings.features.engine == "polars"
    assert found.history.paths("order_lines") == shop.history.paths("order_lines")


def test_bundles_arrive_whole_or_not_at_all(shop: Shop, tmp_path: Path) -> None:
    archive, order = tmp_path / "champions.zip", shop.order(tmp_path)
    pack_bundles({task: champion.folder for task, champion in shop.champions.items()}, archive)
    found = unpack_bundles(archive, tmp_path / "a", order.digests)
    assert sorted(found) == ["churn", "clv", "recommender"]
    with pytest.raises(BundleError, match="the clv champion that reached a worker is not the one that was"):
        unpack_bundles(archive, tmp_path / "b", order.digests | {"clv": "0" * 64})


def test_the_code_that_is_shipped_holds_every_module_and_nothing_else(tmp_path: Path) -> None:
    pack_code(tmp_path / "code.zip")
    names = zipfile.ZipFile(tmp_path / "code.zip").namelist()
    assert {"features/build.py", "models/bundle.py", "serving/cluster/task.py"} < set(names)
    assert {name.partition("/")[0] for name in names} == {"features", "models", "serving"}
    assert {Path(name).suffix for name in names} == {".py"}
