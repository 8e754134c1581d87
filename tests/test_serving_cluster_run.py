"""`make score` on a real standalone cluster of two workers: the run that one machine publishes."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from made_up_shop import run
from polars.testing import assert_frame_equal
from serving_shop import AS_OF, fit_champions, make_orders, register, write_history
from spark_cluster import SparkCluster, spark_cluster
from spark_here import skip_without_spark

from features.settings import ChurnSettings, Settings
from serving.databases import open_store
from serving.environment import Environment

pytestmark = pytest.mark.slow
ON_SPARK = '[features]\nengine = "pyspark"\n'
FILES = ("scores", "recommendations")


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SparkCluster]:
    """Let the processes that a test starts compute on a cluster."""
    skip_without_spark()
    with spark_cluster(tmp_path / "cluster", memory="900m") as started:
        for name, value in started.environment().items():
            monkeypatch.setenv(name, value)
        yield started


def test_two_workers_score_the_run_that_one_machine_scores(
    cluster: SparkCluster, pg_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    history = write_history(alone, make_orders(60))
    learning = Settings(churn=ChurnSettings(supported_outcomes_min=5))
    choice = {"churn": "lightgbm", "clv": "formula", "recommender": "blend"}
    register(alone, fit_champions(history, AS_OF, choice=choice, settings=learning), as_of=AS_OF)
    shutil.copytree(alone, shared)
    done = run("serving.score", "--out", str(alone / "out"), var=alone)
    assert done.returncode == 0, done.stderr

    monkeypatch.setenv("REGULARS_DATABASE_URL", pg_url)
    done = run("serving.score", "--out", str(shared / "out"), var=shared, settings=ON_SPARK)
    assert done.returncode == 0, done.stderr
    assert "[score] bucket 2 of 2\n" in done.stderr
    for name in FILES:
        ours, theirs = (pl.read_parquet(var / "out" / f"{name}.parquet") for var in (alone, shared))
        told_apart = [column for column in ("score_run_id", "scored_at") if column in ours.columns]
        assert ours.height
        assert_frame_equal(theirs.drop(told_apart), ours.drop(told_apart))
    store = open_store(Environment(var=shared))
    meta = store.open_run(store.live_run_id()).meta
    assert (meta.customer_count, f"live as {meta.score_run_id}" in done.stdout) == (60, True)
    assert list((shared / "scoring").iterdir()) == []
    assert {"0", "1"} <= {row["Executor ID"] for row in cluster.events("SparkListenerExecutorAdded")}


def test_workers_without_our_python_end_a_run_in_one_line(
    cluster: SparkCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    var = tmp_path / "var"
    history = write_history(var, make_orders(60))
    register(var, fit_champions(history, AS_OF, choice={"churn": "recency", "clv": "formula"}), as_of=AS_OF)
    monkeypatch.setenv("PYSPARK_PYTHON", str(tmp_path / "no-python"))
    done = run("serving.score", var=var, settings=ON_SPARK)
    assert (done.returncode, done.stdout) == (2, "")
    lines = [text for text in done.stderr.splitlines() if not text.startswith("[")]
    assert len(lines) == 1, done.stderr
    assert f"a machine of the cluster has no Python at {tmp_path / 'no-python'}; install" in lines[0]
    assert list((var / "scoring").iterdir()) == []
