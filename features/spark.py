"""The one Spark session of a process; `python -m features.spark` says what it finds.

The environment says where Spark runs (`features.spark_settings`). Whatever is wrong is told in one line,
before Spark begins to try again and again; Spark's own log does not reach the terminal, and its Java side
ends with this process.
"""

import atexit
import logging
import os
import subprocess
import sys
import tempfile
import time
import warnings
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, Final

from features.console import run_command
from features.spark_settings import SparkError, SparkSettings, check_java, check_reachable

_STOP_SECONDS: Final = 20.0
_LOG_BYTES_READ: Final = 20_000


@lru_cache(maxsize=1)
def spark_session() -> Any:  # noqa: ANN401 - a library that only some have
    """Return the process' session; raises `SparkError` that names the mend."""
    _import_pyspark()
    settings = SparkSettings.read()
    check_java()
    check_reachable(settings.master)
    session = _start(settings)
    if not settings.is_local:
        _await_executors(session, settings)
    return session


def describe_session(session: Any) -> str:  # noqa: ANN401
    """Say in one line which Spark this is: version, Java, master, cores and memory."""
    context = session.sparkContext
    java = context._jvm.java.lang
    executors = context._jsc.sc().getExecutorMemoryStatus().size() - 1
    memory = f"{java.Runtime.getRuntime().maxMemory() / 2**20:,.0f} MB of memory"
    if executors:
        memory = f"{_count(executors, 'executor')} of {context.getConf().get('spark.executor.memory', '1g')}"
    return (
        f"Spark {context.version} on Java {java.System.getProperty('java.version')} at {context.master}: "
        f"{_count(context.defaultParallelism, 'core')}, {memory}"
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _import_pyspark() -> None:
    try:
        with warnings.catch_warnings():
            # It says what it makes of pandas as soon as it looks for it: here, where nobody listens.
            warnings.simplefilter("ignore")
            import pyspark.sql  # noqa: PLC0415 - an extra
            import pyspark.testing.utils  # noqa: F401, PLC0415
    except ImportError:
        raise SparkError('the engine "pyspark" needs PySpark; install it with `make spark`') from None


def _start(settings: SparkSettings) -> Any:  # noqa: ANN401
    """Start the Java side and a session on it, or take the one that this process has."""
    from pyspark import SparkConf, SparkContext  # noqa: PLC0415
    from pyspark.java_gateway import launch_gateway  # noqa: PLC0415
    from pyspark.sql import SparkSession  # noqa: PLC0415

    _hush_py4j()
    if "spark.pyspark.python" not in settings.defaults:
        # Spark's own default is whatever `python3` its workers find first, which has none of our packages.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder
    for name, value in settings.properties().items():
        builder = builder.config(name, value)
    if SparkContext._active_spark_context is not None:
        return builder.getOrCreate()
    conf = SparkConf(loadDefaults=False).setAll(list(settings.properties().items()))
    with _open_log(settings) as log:
        try:
            gateway = launch_gateway(conf, {"stdout": log, "stderr": log})
            atexit.register(_end, getattr(gateway, "proc", None))
            SparkContext(conf=conf, gateway=gateway)
            return builder.getOrCreate()
        except Exception as error:
            raise SparkError(_why_not(error, settings, log)) from None


def _hush_py4j() -> None:
    """Log nothing of a Java side that is gone: whoever asked it for something tells of it."""
    logging.getLogger("py4j").setLevel(logging.CRITICAL + 1)
    # It also writes past its own loggers, with the functions of `logging` itself.
    logging.getLogger().addFilter(_is_not_py4j)


def _is_not_py4j(record: logging.LogRecord) -> bool:
    return Path(record.pathname).parent.name != "py4j"


def _open_log(settings: SparkSettings) -> IO[bytes]:
    if settings.log_file is None:
        return tempfile.TemporaryFile()
    try:
        return settings.log_file.open("a+b")
    except OSError as error:
        given = f"SPARK_LOG_FILE={settings.log_file}"
        raise SparkError(
            f"cannot write {given} ({error.strerror}); name a file that can be written"
        ) from None


def _end(java: subprocess.Popen[bytes] | None) -> None:
    """Stop the session and wait for the Java side, so that nothing of it outlives this process."""
    from pyspark import SparkContext  # noqa: PLC0415

    context = SparkContext._active_spark_context
    with suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if context is not None:
            context.stop()
    if java is not None and java.stdin is not None:
        with suppress(Exception):
            java.stdin.close()
            java.wait(_STOP_SECONDS)


def _why_not(error: Exception, settings: SparkSettings, log: IO[bytes]) -> str:
    """Return why Spark did not start, in one line, from its error and its log."""
    log.seek(0, 2)
    log.seek(max(0, log.tell() - _LOG_BYTES_READ))
    written = log.read().decode(errors="replace")
    if "masters are unresponsive" in written:
        from pyspark import __version__ as version  # noqa: PLC0415

        return (
            f"what listens at {settings.master} is no Spark master of version {version}; mend SPARK_MASTER "
            "(the port is 7077 as a rule, not that of the web page), or run the cluster with this version"
        )
    told = [line for line in written.splitlines() if "rror" in line or "xception" in line]
    reason = _first_line(error) if not told or "JAVA_GATEWAY" not in str(error) else told[0].strip()
    return f"Spark at {settings.master} does not start: {reason[:300]}"


def _await_executors(session: Any, settings: SparkSettings) -> None:  # noqa: ANN401
    """Wait until somebody computes: a cluster that gives nothing lets a job wait for ever."""
    context = session.sparkContext
    if context.getConf().get("spark.dynamicAllocation.enabled", "false") == "true":
        return  # executors come with the first job
    until = time.monotonic() + settings.wait_seconds
    while context._jsc.sc().getExecutorMemoryStatus().size() < 2:
        if time.monotonic() > until:
            session.stop()
            raise SparkError(
                f"{settings.master} gave no executor of {settings.asked_memory} within "
                f"{settings.wait_seconds:.0f} s: its workers have less memory, are busy, or cannot reach "
                "this machine; lower SPARK_EXECUTOR_MEMORY, add workers, or raise SPARK_WAIT_SECONDS"
            )
        time.sleep(0.25)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def main() -> None:
    """Start Spark as the environment says, let it count, and say what was found."""
    session = spark_session()
    session.range(1000).selectExpr("sum(id)").collect()
    sys.stdout.write(describe_session(session) + "\n")


if __name__ == "__main__":
    run_command(main)
