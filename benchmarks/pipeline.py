"""How long a shop waits from its file to its scores, and how much memory that takes: Complete Journey.

    python -m benchmarks.pipeline [--format complete-journey] [--file orders.csv]

Each command of the ordinary line runs in a process of its own on a folder of its own, MLflow included. The
memory is the largest resident set of the command or of a process that it started.
"""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from features.console import run_command

LEARNING = ("training.train", "training.backtest")
LEARNING_SECONDS_MAX = 180.0
LEARNING_GIGABYTES_MAX = 3.0
"""Training with the back-test, on two cores."""
_KILOBYTES_A_GIGABYTE = 2**20


@dataclass(frozen=True, slots=True)
class Step:
    """What one command took."""

    module: str
    wall_seconds: float
    cpu_seconds: float
    peak_gigabytes: float


def run_step(module: str, *arguments: str, var: Path) -> Step:
    """Run a command to its end and measure it; its output is shown only where it fails."""
    with tempfile.TemporaryFile() as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            env=os.environ | {"VAR": str(var)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            sys.stderr.write(output.read().decode(errors="replace"))
            raise SystemExit(process.returncode)
    return Step(module, wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / _KILOBYTES_A_GIGABYTE)


def verdicts(steps: list[Step]) -> list[tuple[str, bool]]:
    """Return what training with the back-test was to take, and whether it did."""
    learning = [step for step in steps if step.module in LEARNING]
    seconds = sum(step.wall_seconds for step in learning)
    gigabytes = max(step.peak_gigabytes for step in learning)
    return [
        (f"training with the back-test {seconds:.0f} s ≤ {LEARNING_SECONDS_MAX:.0f} s",
         seconds <= LEARNING_SECONDS_MAX),
        (f"training with the back-test {gigabytes:.2f} GB ≤ {LEARNING_GIGABYTES_MAX:.0f} GB",
         gigabytes <= LEARNING_GIGABYTES_MAX),
    ]  # fmt: skip


def _command(
    *,
    data_format: Annotated[
        str, typer.Option("--format", help="as `make data FORMAT=…`")
    ] = "complete-journey",
    file: Annotated[Path | None, typer.Option(help="as in `make data`")] = None,
) -> None:
    """Print one line a command, then its targets; exit code 1 where one is missed."""
    given = ["--format", data_format, "--mode", "replace"]
    given += [] if file is None else ["--file", str(file)]
    line = [("features.ingest", given), *((module, []) for module in LEARNING)]
    line += [("training.promote", []), ("serving.score", [])]
    steps = []
    sys.stdout.write(f"{'':20}{'wall s':>8}{'CPU s':>8}{'peak GB':>9}\n")
    with tempfile.TemporaryDirectory() as folder:
        for module, arguments in line:
            step = run_step(module, *arguments, var=Path(folder))
            steps.append(step)
            numbers = f"{step.wall_seconds:8.1f}{step.cpu_seconds:8.1f}{step.peak_gigabytes:9.2f}"
            sys.stdout.write(f"{module:20}{numbers}\n")
            sys.stdout.flush()
    checks = verdicts(steps)
    sys.stdout.writelines(f"  {'met' if holds else 'MISSED':7} {asked}\n" for asked, holds in checks)
    if not all(holds for _, holds in checks):
        raise typer.Exit(1)


if __name__ == "__main__":
    run_command(_command)
