"""One command run to its end, watched from outside: time, memory of its whole family, what it announced.

Memory is the resident set of the process and of everything that it started, added up ten times a second, so
that Spark's Java side and its Python workers count; processor time is theirs too, as last seen of each. Where
no `/proc` is, neither is measured.
"""

import os
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_PAUSE_SECONDS = 0.1
_BYTES_A_GIGABYTE = 2**30


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a command: seconds since its start, GiB it holds now, processor seconds used so far."""

    at: float
    gigabytes: float
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a run: its seconds, the processor's, and the most memory in it, in GiB."""

    seconds: float
    cpu_seconds: float
    gigabytes: float


@dataclass(frozen=True, slots=True)
class Watched:
    """What was seen of a command; lines of standard error come with seconds since its start."""

    seconds: float
    exit_code: int
    output: str
    lines: tuple[tuple[float, str], ...]
    looks: tuple[Look, ...]

    def span(self, since: float, until: float) -> Span:
        """Return what a stretch of the run took.

        >>> looks = (Look(1.0, 0.5, 0.5), Look(2.0, 0.75, 1.5), Look(4.0, 0.5, 3.0), Look(8.0, 2.0, 7.0))
        >>> Watched(9.0, 0, "", (), looks).span(1.5, 4.0)
        Span(seconds=2.5, cpu_seconds=2.5, gigabytes=0.75)
        """
        before = max((look.cpu_seconds for look in self.looks if look.at < since), default=0.0)
        inside = [look for look in self.looks if since <= look.at <= until]
        cpu = max((look.cpu_seconds for look in inside), default=before) - before
        return Span(until - since, cpu, max((look.gigabytes for look in inside), default=0.0))

    @property
    def last_line(self) -> str:
        """The last line on standard error; for a user's mistake it is the whole of it."""
        told = [text for _, text in self.lines if text.strip()]
        return told[-1].removeprefix("error: ") if told else f"exit code {self.exit_code}"


def watch(command: Sequence[str], *, environment: Mapping[str, str] | None = None) -> Watched:
    """Run a command to its end; what it announces is passed on to standard error as it comes."""
    started = time.perf_counter()
    lines: list[tuple[float, str]] = []
    output: list[str] = []
    with subprocess.Popen(
        list(command),
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as process:
        threads = [
            threading.Thread(target=_read_lines, args=(process, lines, started)),
            threading.Thread(target=_read_output, args=(process, output)),
        ]
        for thread in threads:
            thread.start()
        looks = _looks_at(process, started)
        seconds = time.perf_counter() - started
        for thread in threads:
            thread.join()
    return Watched(seconds, process.returncode, "".join(output), tuple(lines), tuple(looks))


def _looks_at(process: "subprocess.Popen[str]", started: float) -> list[Look]:
    """Look at a process and its descendants until it ends."""
    looks: list[Look] = []
    used: dict[int, float] = {}
    while process.poll() is None:
        at, gigabytes = time.perf_counter() - started, 0.0
        for pid, (size, cpu_seconds) in family(process.pid).items():
            gigabytes += size / _BYTES_A_GIGABYTE
            used[pid] = cpu_seconds
        looks.append(Look(at, gigabytes, sum(used.values())))
        time.sleep(_PAUSE_SECONDS)
    return looks


def family(pid: int) -> dict[int, tuple[int, float]]:
    """Return resident bytes and processor seconds of a process and of each of its descendants.

    It is empty where the process is gone.
    """
    children: dict[int, list[int]] = defaultdict(list)
    seen: dict[int, tuple[int, float]] = {}
    page, tick = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")
    for folder in _PROC.glob("[0-9]*"):
        try:
            text = (folder / "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:  # it ended meanwhile
            continue
        # The name, in brackets, may hold anything: fields are counted from behind it.
        fields = text.rpartition(")")[2].split()
        children[int(fields[1])].append(int(folder.name))
        seen[int(folder.name)] = (int(fields[21]) * page, (int(fields[11]) + int(fields[12])) / tick)
    found: dict[int, tuple[int, float]] = {}
    waiting = [pid]
    while waiting:
        each = waiting.pop()
        if each in seen:
            found[each] = seen[each]
        waiting += children[each]
    return found


def _read_lines(process: "subprocess.Popen[str]", lines: list[tuple[float, str]], started: float) -> None:
    assert process.stderr is not None  # noqa: S101 - it was asked for
    for text in process.stderr:
        lines.append((time.perf_counter() - started, text.rstrip("\n")))
        sys.stderr.write(text)


def _read_output(process: "subprocess.Popen[str]", output: list[str]) -> None:
    assert process.stdout is not None  # noqa: S101
    output.append(process.stdout.read())
