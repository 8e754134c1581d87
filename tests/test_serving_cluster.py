"""A shop that Spark's workers score: the same rows and lists as on one machine, and what goes wrong there."""

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import get_args

import polars as pl
import pytest
from made_up_shop import ROOT
from polars.testing import assert_frame_equal
from serving_shop import AS_OF, fit_champions, make_orders, register, write_history

from features.history import History
from features.layout import Layout
from features.settings import ChurnSettings, FeatureSettings, ScoringSettings, Settings
from features.snapshot import Snapshot
from features.suppression import Marker, Suppressed
from models.registry_names import Task
from serving.cluster import processes as processes_module
from serving.cluster.ask import Cluster, ClusterError, left_out
from serving.cluster.order import Order, digest_of, pack_bundles, pack_code, unpack_bundles
from serving.cluster.process import Errand
from serving.cluster.processes import ProcessError, Processes, Started, core_count
from serving.registry import load_champions
from serving.scoring.bucket_files import Table
from serving.scoring.shop import ScoredRun, Scorers, know_shop, order_of, score_shop
from serving.scoring.writing import make_list_files

CHOICE: dict[Task, str] = {"churn": "lightgbm", "clv": "formula", "recommender": "blend"}
SNAPSHOT = Snapshot(AS_OF)
MARKER = Marker.of(b"sixteen or more!")
C1_IS_GONE = Suppressed(frozenset({MARKER.mark("c1")}), MARKER)
PUT_DOWN: tuple[Table, ...] = ("lists", "owned", "due", "nearest", "recommendations")


def settings_on(engine: str, processes: int = 1) -> Settings:
    return Settings(
        features=FeatureSettings.model_validate({"engine": engine}),
        scoring=ScoringSettings(processes=processes),
    )


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[History, Scorers]:
    var = tmp_path_factory.mktemp("shop")
    history = write_history(var, make_orders(60))
    learning = Settings(churn=ChurnSettings(supported_outcomes_min=5))
    register(var, fit_champions(history, AS_OF, choice=CHOICE, settings=learning), as_of=AS_OF)
    found = load_champions(Layout(var), as_of=AS_OF)
    return history, Scorers(found["churn"], found["clv"], found["recommender"])


def order(shop: tuple[History, Scorers], folder: Path) -> Order:
    settings = settings_on("pyspark")
    known = know_shop(shop[0], SNAPSHOT, shop[1], settings=settings_on("polars"))
    return order_of(shop[0], SNAPSHOT, shop[1], known, settings=settings, folder=folder)


def bundles_of(shop: tuple[History, Scorers]) -> dict[Task, Path]:
    return {task: champion.folder for task, champion in shop[1].by_task.items()}


def scored(
    shop: tuple[History, Scorers], engine: str, folder: Path, *, processes: int = 1
) -> tuple[ScoredRun, list[str]]:
    """Score the shop without c1 on an engine, with all its lists; and what was announced."""
    told: list[str] = []
    folder.mkdir()
    run = score_shop(
        shop[0],
        SNAPSHOT,
        shop[1],
        settings=settings_on(engine, processes),
        folder=folder,
        announce=told.append,
        suppressed=C1_IS_GONE,
    )
    make_list_files(run, told.append, as_tables=True)
    return run, told


@pytest.mark.slow
def test_workers_find_the_rows_and_lists_that_one_machine_finds(
    shop: tuple[History, Scorers], tmp_path: Path
) -> None:
    pytest.importorskip("pyspark", reason="PySpark is not installed (make spark)")
    assert set(get_args(Table)) - {*PUT_DOWN} == {"rows", "customers", "orders"}
    assert [*left_out(shop[0], C1_IS_GONE).values()] == [{"c1"}]
    (alone, _), (shared, told) = (scored(shop, engine, tmp_path / engine) for engine in ("polars", "pyspark"))
    assert_same_run(alone, shared, told)


@pytest.mark.slow
def test_processes_find_what_one_finds_in_any_locale(
    shop: tuple[History, Scorers], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
    (alone, told_alone), (shared, told) = (
        scored(shop, "polars", tmp_path / f"Läden 고객 {processes}", processes=processes)
        for processes in (1, 2)
    )
    assert told == told_alone
    assert_same_run(alone, shared, told)


@pytest.mark.slow
def test_a_process_that_fails_is_told_in_one_line(shop: tuple[History, Scorers], tmp_path: Path) -> None:
    wrong = order(shop, tmp_path).model_copy(update={"root": tmp_path / "elsewhere"})
    with pytest.raises(ProcessError, match=r"^No such file or directory.*elsewhere") as raised:
        Processes(wrong, bundles_of(shop), 2).write("rows", lambda _: None)
    assert "\n" not in str(raised.value)
    other = order(shop, tmp_path).model_copy(update={"digests": {"churn": "0" * 64}})
    with pytest.raises(ProcessError, match=r"^the churn champion that reached a worker is not the one"):
        Processes(other, bundles_of(shop), 1).write("rows", lambda _: None)


@pytest.mark.slow
def test_a_process_ends_with_who_asked_it(shop: tuple[History, Scorers], tmp_path: Path) -> None:
    errand = Errand(order=order(shop, tmp_path), bundles=bundles_of(shop), step="rows", buckets=[0] * 10_000)
    command = [sys.executable, "-m", "serving.cluster.process"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(errand.model_dump_json().encode() + b"\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"0\n"
        process.stdin.close()
        assert process.wait(timeout=60) == 1


def test_a_container_has_the_cores_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = tmp_path / "cpu.max"
    monkeypatch.setattr(processes_module, "_CGROUP_CPUS", given)
    every = core_count()
    for text, wanted in (("max 100000", every), ("50000 100000", 1), ("99900000 100000", every)):
        given.write_text(text + "\n")
        assert core_count() == wanted


def test_a_process_that_was_killed_is_told_with_the_mend(tmp_path: Path) -> None:
    with (tmp_path / "complaints").open("w+") as complaints:
        process = subprocess.Popen(["sh", "-c", "kill -9 $$"], text=True)
        process.wait()
        with pytest.raises(ProcessError, match=r"was killed, .* processes under \[scoring\]"):
            Started(process, complaints).check()


def assert_same_run(alone: ScoredRun, shared: ScoredRun, told: list[str]) -> None:
    assert [step for step in told if "bucket" in step] == [
        *("bucket 1 of 2", "bucket 2 of 2"),
        *("recommendations, bucket 1 of 2", "recommendations, bucket 2 of 2"),
    ]
    assert (alone.rows.height, shared.rows.height) == (59, 59)
    assert_frame_equal(pl.concat(shared.rows.parts()), pl.concat(alone.rows.parts()))
    for table in PUT_DOWN:
        ours, theirs = (pl.concat(run.merged(table)) for run in (alone, shared))
        assert ours.height
        assert_frame_equal(theirs, ours)


@pytest.mark.slow
def test_a_history_that_workers_cannot_read_is_one_line(
    shop: tuple[History, Scorers], tmp_path: Path
) -> None:
    pytest.importorskip("pyspark", reason="PySpark is not installed (make spark)")
    wrong = order(shop, tmp_path).model_copy(update={"root": tmp_path / "elsewhere"})
    cluster = Cluster.ship(wrong, bundles_of(shop))
    with pytest.raises(ClusterError, match=r"bucket 0 could not be scored .*elsewhere") as raised:
        cluster.write("rows", lambda _: None)
    assert "\n" not in str(raised.value)


@pytest.mark.slow
def test_champions_that_changed_on_their_way_are_not_used(
    shop: tuple[History, Scorers], tmp_path: Path
) -> None:
    pytest.importorskip("pyspark", reason="PySpark is not installed (make spark)")
    wrong = order(shop, tmp_path).model_copy(update={"digests": {"churn": "0" * 64, "clv": "0" * 64}})
    cluster = Cluster.ship(wrong, bundles_of(shop))
    with pytest.raises(ClusterError, match="the churn champion that reached a worker is not the one"):
        cluster.write("rows", lambda _: None)
    assert [path.name for path in tmp_path.iterdir()] == ["shipped"]


@pytest.mark.slow
def test_an_order_survives_its_journey(shop: tuple[History, Scorers], tmp_path: Path) -> None:
    sent = order(shop, tmp_path).model_copy(update={"left_out": {1: frozenset({"김철수"})}})
    found = Order.model_validate_json(sent.model_dump_json())
    assert found == sent
    assert found.settings.features.engine == "polars"
    assert found.history.paths("order_lines") == shop[0].paths("order_lines")


@pytest.mark.slow
def test_bundles_are_unpacked_as_they_were_packed(shop: tuple[History, Scorers], tmp_path: Path) -> None:
    pack_bundles(bundles_of(shop), tmp_path / "champions.zip")
    found = unpack_bundles(tmp_path / "champions.zip", tmp_path / "a")
    assert {task: digest_of(path) for task, path in found.items()} == order(shop, tmp_path).digests


def test_the_code_that_is_shipped_holds_every_module_and_nothing_else(tmp_path: Path) -> None:
    pack_code(tmp_path / "code.zip")
    names = zipfile.ZipFile(tmp_path / "code.zip").namelist()
    assert {"features/build.py", "models/bundle.py", "serving/cluster/task.py"} < set(names)
    assert {name.partition("/")[0] for name in names} == {"features", "models", "serving"}
    assert {Path(name).suffix for name in names} == {".py"}
