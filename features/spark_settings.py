"""What must be in place before there can be a Spark session; whatever is not is told in one line.

    SPARK_MASTER               local[*] by default; spark://host:7077 for a standalone cluster, yarn, k8s://…
    SPARK_EXECUTOR_MEMORY      memory of each executor, such as 4g (Spark's own default is 1g)
    SPARK_DRIVER_MEMORY        memory of this process' Java side, and of everything where the master is local
    SPARK_WAIT_SECONDS         how long a cluster may take to give the first executor (60)
    SPARK_LOG_FILE             where Spark's own log goes; it is thrown away otherwise

They belong to a machine, so they are read from the environment. All else is Spark's own: what stands in
`spark-defaults.conf` (of SPARK_CONF_DIR, or of SPARK_HOME/conf) holds.
"""

import os
import re
import shutil
import socket
import subprocess
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Self

from features.errors import UserError

JAVA_MIN: Final = 17
LOCAL: Final = "local[*]"
_MEGABYTES: Final = {"m": 1, "g": 1024, "t": 1024**2}
# Spark keeps 300 MB for itself and refuses to start below one and a half times that.
_MEMORY_MIN: Final = 512
_CONNECT_SECONDS: Final = 5.0
_MEMORY: Final = re.compile(r"(\d+)([mgt])b?", re.IGNORECASE)
_STANDALONE: Final = re.compile(r"spark://([^:/,\s]+:\d+(?:,[^:/,\s]+:\d+)*)")
_LOCAL: Final = re.compile(r"local(\[(\*|\d+)(,\s*\d+)?\])?|local-cluster\[.+\]")
_WAIT_SECONDS: Final = 60.0


class SparkError(UserError):
    """Spark cannot be used as this machine or its cluster is set up."""


@dataclass(frozen=True, slots=True)
class SparkSettings:
    """What the environment asks for; None or absent where Spark's own settings decide.

    `defaults`  what stands in the user's `spark-defaults.conf`
    """

    master: str = LOCAL
    executor_memory: str | None = None
    driver_memory: str | None = None
    wait_seconds: float = _WAIT_SECONDS
    log_file: Path | None = None
    defaults: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls) -> Self:
        """Read the environment and `spark-defaults.conf`; raises `SparkError` at the first thing wrong."""
        defaults = _read_defaults()
        log_file = os.environ.get("SPARK_LOG_FILE")
        return cls(
            _checked_master(os.environ.get("SPARK_MASTER") or defaults.get("spark.master", LOCAL)),
            _read_memory("SPARK_EXECUTOR_MEMORY"),
            _read_memory("SPARK_DRIVER_MEMORY"),
            _read_wait(),
            Path(log_file) if log_file else None,
            defaults,
        )

    @property
    def is_local(self) -> bool:
        """Whether this process' own Java side computes, rather than executors elsewhere."""
        return self.master.startswith("local") and not self.master.startswith("local-cluster")

    @property
    def asked_memory(self) -> str:
        """The setting whose memory the computation lives in, as a user reads it: `NAME=value`."""
        if self.is_local:
            given = self.driver_memory or self.defaults.get("spark.driver.memory", "1g")
            return f"SPARK_DRIVER_MEMORY={given}"
        given = self.executor_memory or self.defaults.get("spark.executor.memory", "1g")
        return f"SPARK_EXECUTOR_MEMORY={given}"

    def properties(self) -> dict[str, str]:
        """Return Spark's properties: few are needed, the others give way to the user's own."""
        wanted = {
            "spark.app.name": "regulars",
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            # Whole tables come back to this process by design; its memory is the limit.
            "spark.driver.maxResultSize": "0",
            # It asks Java fifteen things for each expression, to name its line should it fail.
            "spark.python.sql.dataFrameDebugging.enabled": "false",
            # A worker of ours has one core, as Spark gives it; Polars would take all of the machine's.
            "spark.executorEnv.POLARS_MAX_THREADS": "1",
        }
        if self.is_local:
            # Nobody else needs to reach it; and a machine whose own name resolves to nothing works, too.
            wanted |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
            # Spark's own 200 parts are made for a cluster; on one machine each is a task of milliseconds.
            wanted["spark.sql.shuffle.partitions"] = str(2 * (os.cpu_count() or 1))
        needed = {
            "spark.master": self.master,
            "spark.sql.session.timeZone": "UTC",
            "spark.sql.ansi.enabled": "false",
            "spark.sql.execution.arrow.pyspark.enabled": "true",
        }
        memory = {
            "spark.executor.memory": self.executor_memory,
            "spark.driver.memory": self.driver_memory,
        }
        given = {name: value for name, value in memory.items() if value}
        own = {name: value for name, value in wanted.items() if name not in self.defaults}
        return own | given | needed


def check_java() -> str:
    """Return the version of the Java that Spark will start; `SparkError` without one of 17 or newer."""
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=str(Path(home) / "bin")) if home else shutil.which("java")
    need = f'the engine "pyspark" needs Java {JAVA_MIN} or newer'
    if java is None:
        where = f"JAVA_HOME={home} has no bin/java" if home else "there is no java on the PATH"
        raise SparkError(f"{need}; {where}: install one, or set JAVA_HOME to it")
    try:
        told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SparkError(f"{need}; {java} does not run ({error}): set JAVA_HOME to one that does") from None
    found = re.search(r'version "(?:1\.)?(\d+)([^"]*)"', told.stderr + told.stdout)
    if told.returncode or found is None:
        raise SparkError(f"{need}; {java} -version says nothing of a version: set JAVA_HOME to one that does")
    if int(found[1]) < JAVA_MIN:
        raise SparkError(f"{need}; {java} is Java {found[1]}: install a newer one, or set JAVA_HOME to it")
    return found[1] + found[2]


def check_reachable(master: str) -> None:
    """Raise `SparkError` where no master of a standalone cluster takes a connection."""
    standalone = _STANDALONE.fullmatch(master)
    if standalone is None:
        return
    reasons = []
    for address in standalone[1].split(","):
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS).close()
        except (OSError, OverflowError) as error:
            reasons.append(getattr(error, "strerror", None) or str(error))
        else:
            return
    raise SparkError(
        f"no Spark master answers at {master} ({'; '.join(reasons)}); start it, or mend SPARK_MASTER"
    )


def _checked_master(master: str) -> str:
    is_known = _LOCAL.fullmatch(master) or _STANDALONE.fullmatch(master)
    if not is_known and master != "yarn" and not master.startswith("k8s://"):
        raise SparkError(
            f"SPARK_MASTER={master} is no master; write local[*], spark://host:7077, yarn or k8s://https://host:443"
        )
    return master


def _read_memory(name: str) -> str | None:
    given = os.environ.get(name)
    if not given:
        return None
    found = _MEMORY.fullmatch(given)
    if found is None:
        raise SparkError(f"{name}={given} is no amount of memory; write one such as 4g or 900m")
    if int(found[1]) * _MEGABYTES[found[2].lower()] < _MEMORY_MIN:
        raise SparkError(f"{name}={given} is too little for Spark; give it {_MEMORY_MIN}m or more")
    return given


def _read_wait() -> float:
    given = os.environ.get("SPARK_WAIT_SECONDS", "")
    if not given:
        return _WAIT_SECONDS
    if not re.fullmatch(r"\d+(\.\d+)?", given):
        raise SparkError(f"SPARK_WAIT_SECONDS={given} is no number of seconds; write one such as 120")
    return float(given)


def _read_defaults() -> dict[str, str]:
    """Read `spark-defaults.conf` where spark-submit looks for it: a name and a value a line."""
    home = os.environ.get("SPARK_HOME")
    if home and not (Path(home) / "bin" / "spark-submit").exists():
        raise SparkError(
            f"SPARK_HOME={home} has no bin/spark-submit; mend it, or unset it to use PySpark's own"
        )
    package = find_spec("pyspark")
    places = package.submodule_search_locations if package else None
    root = Path(home or (places[0] if places else "."))
    path = Path(os.environ.get("SPARK_CONF_DIR") or root / "conf") / "spark-defaults.conf"
    if not path.is_file():
        return {}
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    pairs = [re.split(r"[\s=:]+", line, maxsplit=1) for line in lines if line and not line.startswith("#")]
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}
