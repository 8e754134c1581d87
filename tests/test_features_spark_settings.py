"""What is wrong with the settings of Spark, told in one line before Spark starts: no PySpark needed."""

import re
import socket
from pathlib import Path

import pytest
from made_up_shop import ROOT, run, write_orders

from features import spark_settings
from features.spark_faults import explain_fault
from features.spark_settings import SparkError, SparkSettings, check_java, check_reachable

ON_SPARK = '[features]\nengine = "pyspark"\n'
NAMES = ("MASTER", "EXECUTOR_MEMORY", "DRIVER_MEMORY", "WAIT_SECONDS", "LOG_FILE", "HOME", "CONF_DIR")


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(f"SPARK_{name}", raising=False)


def fake_java(folder: Path, script: str) -> Path:
    (folder / "bin").mkdir(parents=True)
    java = folder / "bin" / "java"
    java.write_text(f"#!/bin/sh\n{script}\n")
    java.chmod(0o755)
    return folder


def test_without_settings_this_machine_computes() -> None:
    settings = SparkSettings.read()
    assert (settings.master, settings.is_local, settings.wait_seconds) == ("local[*]", True, 60.0)
    properties = settings.properties()
    assert properties["spark.sql.session.timeZone"] == "UTC"
    assert properties["spark.driver.host"] == "127.0.0.1"
    assert "spark.driver.memory" not in properties


@pytest.mark.parametrize(
    "master",
    [
        "local",
        "local[2]",
        "local[*]",
        "local[*,3]",
        "spark://a:7077",
        "spark://a:1,b:2",
        "yarn",
        "k8s://https://a:443",
    ],
)
def test_masters(master: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_MASTER", master)
    assert SparkSettings.read().properties()["spark.master"] == master


@pytest.mark.parametrize(
    "master", ["localhost:7077", "spark://a", "spark://", "http://a:8080", "sc://a:1", "x"]
)
def test_what_is_no_master(master: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_MASTER", master)
    with pytest.raises(SparkError) as told:
        SparkSettings.read()
    assert str(told.value) == (
        f"SPARK_MASTER={master} is no master; write local[*], spark://host:7077, yarn or k8s://https://host:443"
    )


@pytest.mark.parametrize("name", ["SPARK_EXECUTOR_MEMORY", "SPARK_DRIVER_MEMORY"])
def test_memory(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for given in ("4g", "900m", "4G", "512mb", "1t"):
        monkeypatch.setenv(name, given)
        assert given in SparkSettings.read().properties().values()
    for given in ("4", "4 g", "4gg", "-1g", "lots", "4096k"):
        monkeypatch.setenv(name, given)
        with pytest.raises(SparkError, match=f"{name}={given} is no amount of memory; write one such as 4g"):
            SparkSettings.read()
    monkeypatch.setenv(name, "511m")
    with pytest.raises(SparkError, match=f"{name}=511m is too little for Spark; give it 512m or more"):
        SparkSettings.read()


def test_seconds_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_WAIT_SECONDS", "2.5")
    assert SparkSettings.read().wait_seconds == 2.5
    monkeypatch.setenv("SPARK_WAIT_SECONDS", "long")
    with pytest.raises(SparkError, match="SPARK_WAIT_SECONDS=long is no number of seconds"):
        SparkSettings.read()


def test_what_the_users_own_file_says_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path))
    lines = [
        "# ours",
        "spark.master   spark://head:7077",
        "spark.executor.memory=3g",
        "spark.ui.enabled true",
        "spark.sql.session.timeZone Asia/Seoul",
    ]
    (tmp_path / "spark-defaults.conf").write_text("\n".join(lines))
    settings = SparkSettings.read()
    assert (settings.master, settings.asked_memory) == ("spark://head:7077", "SPARK_EXECUTOR_MEMORY=3g")
    properties = settings.properties()
    assert "spark.ui.enabled" not in properties
    assert "spark.executor.memory" not in properties
    assert properties["spark.sql.session.timeZone"] == "UTC"  # needed: the same answers everywhere
    monkeypatch.setenv("SPARK_MASTER", "local[2]")
    monkeypatch.setenv("SPARK_EXECUTOR_MEMORY", "2g")
    nearer = SparkSettings.read()
    assert nearer.properties()["spark.executor.memory"] == "2g"
    assert nearer.asked_memory == "SPARK_DRIVER_MEMORY=1g"


def test_a_home_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_HOME", str(tmp_path))
    with pytest.raises(SparkError, match="has no bin/spark-submit; mend it, or unset it"):
        SparkSettings.read()


def test_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new = 'echo "Picked up options"; echo \'openjdk version "21.0.2" 2024-01-16\' >&2'
    monkeypatch.setenv("JAVA_HOME", str(fake_java(tmp_path / "new", new)))
    assert check_java() == "21.0.2"
    for version, number in (("11.0.22", 11), ("1.8.0_292", 8)):
        old = f"echo 'openjdk version \"{version}\"' >&2"
        monkeypatch.setenv("JAVA_HOME", str(fake_java(tmp_path / version, old)))
        with pytest.raises(
            SparkError, match=rf"needs Java 17 or newer; \S+ is Java {number}: install a newer"
        ):
            check_java()
    monkeypatch.setenv("JAVA_HOME", str(fake_java(tmp_path / "broken", "exit 127")))
    with pytest.raises(SparkError, match="says nothing of a version: set JAVA_HOME to one that does"):
        check_java()
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(SparkError, match=r"has no bin/java: install one, or set JAVA_HOME to it"):
        check_java()
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SparkError, match="there is no java on the PATH: install one"):
        check_java()


def test_a_master_that_does_not_answer() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
        master = f"spark://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(SparkError) as told:
            check_reachable(master)
    assert str(told.value) == (
        f"no Spark master answers at {master} (Connection refused); start it, or mend SPARK_MASTER"
    )
    with socket.create_server(("127.0.0.1", 0)) as listening:
        check_reachable(f"spark://127.0.0.1:1,127.0.0.1:{listening.getsockname()[1]}")  # one of two is enough
    check_reachable("local[*]")


def test_errors_of_others_are_not_of_spark() -> None:
    assert explain_fault(ValueError("OutOfMemoryError")) is None
    assert explain_fault(ConnectionRefusedError("Connection refused")) is None


def test_the_page_names_every_variable_and_every_error() -> None:
    page = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    told = {name for name in re.findall(r"^\| `(SPARK_\w+)` \|", page, flags=re.MULTILINE)}
    assert told == set(re.findall(r"^    (SPARK_\w+) ", spark_settings.__doc__ or "", flags=re.MULTILINE))
    files = [*sorted((ROOT / "features").glob("spark*.py")), ROOT / "serving" / "cluster" / "ask.py"]
    sources = [path.read_text(encoding="utf-8") for path in files]
    code = re.sub(r'"\s*\n\s*f?"', "", "\n".join(sources))
    code = re.sub(r"\{need\}|\{JAVA_MIN\}", lambda found: "17" if "MIN" in found[0] else "", code)
    errors = re.findall(
        r"`([^`]+)`", "\n".join(re.findall(r"^\| (`[^|]+`) \|", page.split("## When")[1], re.M))
    )
    assert len(errors) > 10
    pieces = [
        piece.strip() for error in errors for piece in re.split(r"SPARK_\w+=…|…", error) if piece.strip()
    ]
    assert [piece for piece in pieces if piece not in code] == []


@pytest.mark.slow
def test_every_command_ends_with_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    var = tmp_path / "var"
    orders = write_orders(tmp_path / "orders.csv", customer_count=60)
    assert run("features.ingest", "--file", str(orders), var=var).returncode == 0
    absent = tmp_path / "without"
    (absent / "pyspark").mkdir(parents=True)
    (absent / "pyspark" / "__init__.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'pyspark'\")\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(absent))
    for module in ("features.build", "training.train", "training.backtest", "features.spark"):
        found = run(module, var=var, settings=ON_SPARK)
        told = [text for text in found.stderr.splitlines() if not text.startswith("[")]
        assert (found.returncode, told) == (
            2,
            ['error: the engine "pyspark" needs PySpark; install it with `make spark`'],
        ), module
