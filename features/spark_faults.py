"""What went wrong on Spark while it computed, in one line that names the mend."""

import re
from traceback import walk_tb
from typing import Final

_LIBRARIES: Final = ("py4j", "pyspark")
# Mistakes of a program, not of a cluster: their trace is what somebody needs.
_OUR_OWN: Final = ("AnalysisException", "ParseException", "IllegalArgumentException")
_OUT_OF_MEMORY: Final = re.compile(
    r"OutOfMemoryError|ExecutorLostFailure|TaskResultLost|exited? with (?:exit )?code (?:52|137)"
    r"|Not enough memory to build"
    r"|UNABLE_TO_ACQUIRE_MEMORY|SparkOutOfMemory|GC overhead limit"
)
_UNREADABLE: Final = re.compile(
    r"(?P<path>\S*file:\S+?)\.? (?:does not exist|\(Permission denied\)|\(No such file)"
    r"|FAILED_READ_FILE\S* .*?(?P<other>file:\S+)"
    r"|PATH_NOT_FOUND\S* .*?(?P<absent>file:\S+)",
    re.DOTALL,
)
_NO_PYTHON: Final = re.compile(r'Cannot run program "(?P<python>[^"]+)"')
_NO_PACKAGE: Final = re.compile(r"ModuleNotFoundError: No module named '(?P<package>[^'.]+)")
_ENDED: Final = re.compile(
    r"Py4JNetworkError|Answer from Java side is empty|stopped SparkContext|SparkContext was shut down"
    r"|Connection refused|Connection reset|unresponsive"
)


def explain_fault(error: BaseException) -> str | None:
    """Return what a user can do about an error that Spark raised; None for any other error."""
    if not _is_of_spark(error):
        return None
    text = f"{type(error).__name__}: {error}"
    found = filter(None, (find(text) for find in (_memory_fault, _reading_fault, _python_fault, _end_fault)))
    return next(found, f"Spark failed: {_cause(text)} (SPARK_LOG_FILE=spark.log keeps its log)")


def _memory_fault(text: str) -> str | None:
    if not _OUT_OF_MEMORY.search(text):
        return None
    return (
        f"Spark ran out of memory while computing with {_asked_memory()}; raise it, or add machines "
        "(docs/scale.md)"
    )


def _reading_fault(text: str) -> str | None:
    unreadable = _UNREADABLE.search(text)
    if unreadable is None:
        return None
    path = next(filter(None, unreadable.groups())).rstrip(".,")
    return (
        f"a machine of the cluster cannot read {path}; VAR must lie on storage that every worker sees at "
        "the same path (docs/scale.md)"
    )


def _python_fault(text: str) -> str | None:
    """Return why a machine of the cluster cannot run our Python, if that is it."""
    mend = "there, and name its Python by PYSPARK_PYTHON (docs/scale.md)"
    python, package = _NO_PYTHON.search(text), _NO_PACKAGE.search(text)
    if python:
        return (
            f"a machine of the cluster has no Python at {python['python']}; install "
            f"requirements/spark.txt {mend}"
        )
    if package:
        return (
            f"the Python of a machine of the cluster lacks {package['package']}; install "
            f"requirements/spark.txt {mend}"
        )
    return None


def _end_fault(text: str) -> str | None:
    if not _ENDED.search(text):
        return None
    return (
        f"Spark ended while computing with {_asked_memory()}: out of memory, or its master or machine "
        "was stopped; start it again, or raise the memory (SPARK_LOG_FILE=spark.log keeps its log)"
    )


def _is_of_spark(error: BaseException) -> bool:
    """Say whether Spark, or the connection to its Java side, raised an error."""
    if type(error).__module__.startswith(_LIBRARIES):
        return type(error).__name__ not in _OUR_OWN and not type(error).__name__.startswith("PySpark")
    modules = (str(frame.f_globals.get("__name__", "")) for frame, _ in walk_tb(error.__traceback__))
    return isinstance(error, OSError | EOFError) and any(name.startswith(_LIBRARIES) for name in modules)


def _cause(text: str) -> str:
    """Return the innermost cause of a Java error, else its first line."""
    causes = re.findall(r"Caused by: ([^\n]+)", text)
    return (causes[-1] if causes else text.strip().splitlines()[0])[:300]


def _asked_memory() -> str:
    from features.spark_settings import SparkSettings  # noqa: PLC0415 - asked for where Spark has failed

    return SparkSettings.read().asked_memory
