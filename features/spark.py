"""The one Spark session of a process, and what must be in place before there can be one.

    SPARK_MASTER               local[*] by default; spark://host:7077 for a standalone cluster, yarn, k8s://…
    SPARK_EXECUTOR_MEMORY      memory of each executor, such as 4g; Spark's own default otherwise
    SPARK_DRIVER_MEMORY        memory of this process' Java side

They belong to a machine, so they are read from the environment. Whatever is wrong is told in one line, before
Spark begins to try again and again.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from features.errors import UserError

JAVA_MIN: Final = 17
_CONNECT_SECONDS: Final = 5.0
_EXECUTORS_SECONDS: Final = 60.0
_STANDALONE = re.compile(r"spark://(?P<host>[^:/,]+):(?P<port>\d+)$")


class SparkError(UserError):
    """Spark cannot be used as this machine is set up."""


@lru_cache(maxsize=1)
def spark_session() -> Any:  # noqa: ANN401 - a library that only some have
    """Return the process' session; raises `SparkError` that names the mend."""
    builder = _import_session().builder
    # Spark's own default is whatever `python3` the workers find first, which has none of our packages.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    _check_java()
    master = os.environ.get("SPARK_MASTER", "local[*]")
    _check_master(master)
    try:
        session = _configured(builder, master).getOrCreate()
    except Exception as error:
        raise SparkError(f"Spark at {master} does not start: {_first_line(error)}") from None
    session.sparkContext.setLogLevel("ERROR")
    if not master.startswith("local"):
        _await_executors(session, master)
    return session


def _configured(builder: Any, master: str) -> Any:  # noqa: ANN401
    found = (
        builder.master(master)
        .appName("regulars")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.sql.execution.arrow.pyspark.enabled", "true")
        .config("spark.sql.ansi.enabled", "false")
    )
    if master.startswith("local"):
        # Spark's own 200 parts are made for a cluster; on one machine each is a task of milliseconds.
        found = found.config("spark.sql.shuffle.partitions", str(2 * (os.cpu_count() or 1)))
    for key, name in (("executor", "SPARK_EXECUTOR_MEMORY"), ("driver", "SPARK_DRIVER_MEMORY")):
        if os.environ.get(name):
            found = found.config(f"spark.{key}.memory", os.environ[name])
    return found


def _import_session() -> Any:  # noqa: ANN401
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pyspark.sql import SparkSession  # noqa: PLC0415 - an extra
    except ImportError:
        raise SparkError('the engine "pyspark" needs PySpark; install it with `make spark`') from None
    return SparkSession


def _check_java() -> None:
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=str(Path(home) / "bin")) if home else shutil.which("java")
    if java is None:
        where = f"JAVA_HOME={home} has no bin/java" if home else "there is no java on the PATH"
        raise SparkError(f'the engine "pyspark" needs Java {JAVA_MIN} or newer; {where}: install it')
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', told)
    if found and int(found[1]) < JAVA_MIN:
        raise SparkError(f'the engine "pyspark" needs Java {JAVA_MIN} or newer; {java} is {found[1]}')


def _check_master(master: str) -> None:
    standalone = _STANDALONE.match(master)
    if standalone is None:
        if not master.startswith(("local", "yarn", "k8s://", "spark://")):
            raise SparkError(f"SPARK_MASTER={master} is no master; write local[*] or spark://host:7077")
        return
    address = (standalone["host"], int(standalone["port"]))
    try:
        socket.create_connection(address, timeout=_CONNECT_SECONDS).close()
    except OSError as error:
        raise SparkError(
            f"no Spark master answers at {master} ({error}); start it, or mend SPARK_MASTER"
        ) from None


def _await_executors(session: Any, master: str) -> None:  # noqa: ANN401
    """Wait until somebody computes: a cluster that gives nothing lets a job wait for ever."""
    until = time.monotonic() + _EXECUTORS_SECONDS
    status = session.sparkContext._jsc.sc()
    while status.getExecutorMemoryStatus().size() < 2:
        if time.monotonic() > until:
            asked = os.environ.get("SPARK_EXECUTOR_MEMORY", "1g")
            session.stop()
            raise SparkError(
                f"{master} gave no executor of {asked} within {_EXECUTORS_SECONDS:.0f} s: its workers have "
                "too little memory or are busy; lower SPARK_EXECUTOR_MEMORY, or add workers"
            )
        time.sleep(0.5)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
