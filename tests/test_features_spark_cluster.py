"""Features on a real standalone cluster: a master and two workers, seen from a process of its own."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from engine_tables import assert_same
from features_shop import event, write_shop
from made_up_shop import ROOT, run
from spark_cluster import SparkCluster, spark_cluster
from spark_here import skip_without_spark
from test_features_build import random_rows

from features.build import build_features
from features.history import History
from features.layout import Layout
from features.settings import Settings
from features.snapshot import Snapshot

pytestmark = pytest.mark.slow
ON_SPARK = '[features]\nengine = "pyspark"\n'


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkCluster]:
    skip_without_spark()
    with spark_cluster(tmp_path_factory.mktemp("cluster")) as started:
        yield started


@pytest.fixture
def here(cluster: SparkCluster, monkeypatch: pytest.MonkeyPatch) -> SparkCluster:
    """Let the processes that a test starts compute on the cluster."""
    for name, value in cluster.environment().items():
        monkeypatch.setenv(name, value)
    return cluster


def shop(var: Path) -> History:
    events = [event("c01", "product_viewed", "2025-12-24T10:00")]
    categories = {f"p{number}": f"category {number % 3}" for number in range(10)}
    rows = random_rows(400, seed=5)
    return write_shop(Layout(var).history, rows, events=events, categories=categories, bucket_count=4)


def error_of(found: subprocess.CompletedProcess[str]) -> str:
    """Return the one error line of a command that failed as a user's mistake does."""
    assert found.returncode == 2, found.stderr
    assert "Traceback" not in found.stderr
    lines = [text for text in found.stderr.splitlines() if not text.startswith("[")]
    assert len(lines) == 1, found.stderr
    return lines[0]


def run_script(code: str) -> subprocess.CompletedProcess[str]:
    script = f"from features.console import run_command\nfrom features.spark import spark_session\n{code}"
    command = [sys.executable, "-c", f"{script}\nrun_command(main)\n"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_cluster_computes_what_one_machine_does(here: SparkCluster, tmp_path: Path) -> None:
    var = tmp_path / "var"
    history = shop(var)
    found = run("features.build", "--as-of", "2026-03-01", var=var, settings=ON_SPARK)
    assert (found.returncode, found.stderr) == (0, "")
    table = pl.read_parquet(var / "features" / "2026-03-01.parquet")
    assert_same(table, build_features(history, Snapshot(date(2026, 3, 1)), settings=Settings()))
    added = here.events("SparkListenerExecutorAdded")
    pages = {row["Executor ID"]: row["Executor Info"]["Log Urls"]["stdout"].split("/")[2] for row in added}
    workers = {
        pages[row["Task Info"]["Executor ID"]]
        for row in here.events("SparkListenerTaskEnd")
        if row["Task End Reason"]["Reason"] == "Success"
    }
    assert len(workers) == 2  # each worker has a page of its own


@pytest.mark.usefixtures("here")
def test_the_command_says_what_it_found(tmp_path: Path, cluster: SparkCluster) -> None:
    found = run("features.spark", var=tmp_path / "var")
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.startswith("Spark ")
    assert f"at {cluster.master}: " in found.stdout
    assert "of 512m" in found.stdout


@pytest.mark.usefixtures("here")
def test_a_connection_that_breaks_leaves_no_traceback() -> None:
    """As one may when Java ends: the side that stays reads from a line that the other has cut."""
    found = run_script(
        "import socket, struct, threading\n"
        "from py4j.java_gateway import GatewayParameters, JavaGateway\n"
        "def cut(server) -> None:\n"
        "    asked, _ = server.accept()\n"
        "    asked.recv(9999)\n"
        "    asked.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))\n"
        "    asked.close()\n"
        "def main() -> None:\n"
        "    spark_session()\n"
        "    server = socket.create_server(('127.0.0.1', 0))\n"
        "    threading.Thread(target=cut, args=(server,)).start()\n"
        "    asker = JavaGateway(gateway_parameters=GatewayParameters(port=server.getsockname()[1]))\n"
        "    try:\n"
        "        asker.jvm.java.lang.System.nanoTime()\n"
        "    except Exception as error:\n"
        "        print(type(error).__name__)\n"
    )
    assert (found.returncode, found.stdout, found.stderr) == (0, "Py4JError\n", "")


@pytest.mark.usefixtures("here")
def test_workers_with_too_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_EXECUTOR_MEMORY", "2g")
    monkeypatch.setenv("SPARK_WAIT_SECONDS", "8")
    line = error_of(run("features.spark", var=tmp_path / "var"))
    assert "gave no executor of SPARK_EXECUTOR_MEMORY=2g within 8 s" in line
    assert "lower SPARK_EXECUTOR_MEMORY, add workers" in line


@pytest.mark.usefixtures("here")
def test_executors_that_run_out_of_memory() -> None:
    found = run_script(
        "def main() -> None:\n"
        "    rows = spark_session().range(2).selectExpr('sequence(1, 90000000 + id) as numbers')\n"
        "    rows.selectExpr('max(size(array_sort(numbers)))').collect()\n"
    )
    assert "Spark ran out of memory while computing with SPARK_EXECUTOR_MEMORY=512m" in error_of(found)


def test_a_history_that_the_workers_do_not_see(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    skip_without_spark()
    room = ["unshare", "--mount", "--map-root-user", "mount", "-t", "tmpfs", "none", str(tmp_path)]
    try:
        subprocess.run(room, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this system lets nobody but root give a process a file system of its own")
    var = tmp_path / "var"
    shop(var)
    with spark_cluster(tmp_path / "cluster", worker_count=1, hidden=var) as blind:
        for name, value in blind.environment().items():
            monkeypatch.setenv(name, value)
        line = error_of(run("features.build", "--as-of", "2026-03-01", var=var, settings=ON_SPARK))
    assert "a machine of the cluster cannot read" in line
    assert str(var) in line
    assert "VAR must lie on storage that every worker sees at the same path" in line


def test_what_listens_is_no_master(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    skip_without_spark()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"spark://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("SPARK_MASTER", address)
        monkeypatch.setenv("SPARK_DRIVER_MEMORY", "600m")
        line = error_of(run("features.spark", var=tmp_path / "var"))
    assert line.startswith(f"error: what listens at {address} is no Spark master of version ")
    assert "mend SPARK_MASTER" in line


def test_nothing_of_spark_outlives_its_process(tmp_path: Path) -> None:
    """Even one that is killed outright."""
    skip_without_spark()
    code = (
        "import sys, time\nfrom features.spark import spark_session\nsession = spark_session()\n"
        "sys.stdout.write(str(session.sparkContext._gateway.proc.pid) + '\\n')\n"
        "sys.stdout.flush()\ntime.sleep(600)\n"
    )
    own = {"SPARK_MASTER": "local[1]", "SPARK_DRIVER_MEMORY": "600m"}
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ | own, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        java = Path("/proc") / process.stdout.readline().strip()
        if not java.exists():
            pytest.skip("no /proc here to look for a process in")
        process.kill()
    for _ in range(200):
        if not java.exists() or "Z" in (java / "stat").read_text().split()[2]:
            return
        time.sleep(0.1)
    pytest.fail("the Java process is still there")
