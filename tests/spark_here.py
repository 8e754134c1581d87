"""The engines that a test runs on, and the one Spark session of a test run."""

import shutil
from importlib.util import find_spec
from typing import Any

import pytest

from features.engines import scan_table
from features.spark import spark_session

OTHER_ENGINES = (
    "duckdb",
    pytest.param("pyspark", marks=pytest.mark.slow),
)
"""To parametrize `engine` with; Spark takes seconds to start, so it runs with the slow tests."""
ENGINES = ("polars", *OTHER_ENGINES)


def skip_without_spark() -> None:
    """Skip a test where PySpark or Java is missing, and say so."""
    if find_spec("pyspark") is None:
        pytest.skip("PySpark is not installed; `make spark` installs it")
    if shutil.which("java") is None:
        pytest.skip("there is no Java on the PATH")


@pytest.fixture(scope="session")
def spark() -> Any:
    """Return a session on two threads of this machine, with little memory; it ends with the test run."""
    skip_without_spark()
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SPARK_MASTER", "local[2]")
        patched.setenv("SPARK_DRIVER_MEMORY", "1g")
        patched.delenv("SPARK_HOME", raising=False)
        patched.delenv("SPARK_CONF_DIR", raising=False)
        session = spark_session()
    return session


@pytest.fixture(autouse=True)
def spark_where_asked(request: pytest.FixtureRequest) -> None:
    """Start Spark, or skip, for a test whose parameter `engine` is PySpark."""
    asked = getattr(request.node, "callspec", None)
    if asked is not None and asked.params.get("engine") == "pyspark":
        request.getfixturevalue("spark")


def lazy(table: Any, engine: Any) -> Any:
    """Return a table in memory as a lazy frame of an engine."""
    return scan_table(table, engine=engine)
