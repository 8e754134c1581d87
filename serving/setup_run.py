"""From an uploaded file to scores: the commands of the README in turn, with their progress in a file.

    python -m serving.setup_run --var var

The console's set-up starts it and shows `setup/status.json`. It goes on where the server ends, and removes
the uploaded file once its orders are in the history.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, Literal

import typer
from pydantic import BaseModel, ConfigDict

from features.console import run_command
from features.layout import Layout
from features.whole import write_whole

STEPS: Final = ("data", "train", "evaluate", "promote", "score")
"""What is done in turn; the names of `make` targets."""
_MODULES: Final = {
    "train": "training.train",
    "evaluate": "training.backtest",
    "promote": "training.promote",
    "score": "serving.score",
}
MAPPING: Final = "mapping.toml"
STATUS: Final = "status.json"
_TOLD_MAX: Final = 20_000


class SetupStatus(BaseModel):
    """How far the set-up is.

    `step` counts from 0; `line` is what the step said last; `report` is what was found in the file; `error`
    is why it failed. `pid` is the process that works, or worked.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    state: Literal["running", "failed", "done"]
    pid: int
    step: int = 0
    line: str = ""
    report: str = ""
    error: str = ""

    @property
    def is_alive(self) -> bool:
        """Whether the process that works is there."""
        try:
            os.kill(self.pid, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return True


def read_status(folder: Path) -> SetupStatus | None:
    """Return how far the set-up is, None where none was begun; one whose process is gone has failed."""
    try:
        status = SetupStatus.model_validate_json((folder / STATUS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if status.state == "running" and not status.is_alive:
        return status.model_copy(update={"state": "failed", "error": "it was stopped; begin again"})
    return status


def uploaded(folder: Path) -> Path | None:
    """Return the file that was uploaded, None without one."""
    return next(iter(sorted(folder.glob("orders.*"))), None)


class Runner:
    """Runs the steps, and keeps the status."""

    def __init__(self, layout: Layout, *, format_name: str | None, mode: str) -> None:
        self._layout = layout
        self._format = format_name
        self._mode = mode
        self._status = SetupStatus(state="running", pid=os.getpid())

    def run(self) -> bool:
        """Run every step; say whether all went well."""
        for number, step in enumerate(STEPS):
            self._note(step=number, line="")
            code, said, complaint = self._do(step)
            if code != 0:
                self._note(state="failed", error=complaint[-_TOLD_MAX:] or f"make {step} ended with {code}")
                return False
            if step == "data":
                self._note(report=said[-_TOLD_MAX:])
                source = uploaded(self._layout.setup)
                if source is not None:
                    source.unlink()
        self._note(state="done")
        return True

    def _do(self, step: str) -> tuple[int, str, str]:
        """Run a step; return its exit code, what it printed, and what it complained of."""
        command = [sys.executable, "-m", *self._words(step), "--var", str(self._layout.root)]
        # Into a file: a pipe that nobody empties while the other one is read would stop the step.
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
            with subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
            ) as child:
                assert child.stderr is not None  # noqa: S101 - asked for above
                complaints = list(self._listen(child.stderr, prefix=f"[{step}] "))
            said.seek(0)
            return child.returncode, said.read(), "\n".join(complaints)

    def _words(self, step: str) -> list[str]:
        if step != "data":
            return [_MODULES[step]]
        source = uploaded(self._layout.setup)
        words = ["features.ingest", "--file", str(source), "--mode", self._mode]
        if self._format is not None:
            words += ["--format", self._format]
        return [*words, "--mapping", str(self._layout.setup / MAPPING)]

    def _listen(self, lines: Iterator[str], *, prefix: str) -> Iterator[str]:
        """Note what a step says of its progress, and yield the rest."""
        for line in lines:
            text = line.rstrip("\n")
            if text.startswith(prefix):
                self._note(line=text.removeprefix(prefix))
            elif text:
                yield text

    def _note(self, **changes: object) -> None:
        self._status = self._status.model_copy(update=changes)
        write_whole(self._layout.setup / STATUS, self._status.model_dump_json())


def _command(
    *,
    format_name: Annotated[str | None, typer.Option("--format", help="layout of a known tool")] = None,
    mode: Annotated[str, typer.Option(help="upsert or replace")] = "upsert",
    var: Annotated[Path, typer.Option(envvar="VAR", help="where everything that is written lies")] = Path(
        "var"
    ),
) -> None:
    """Load the uploaded file, train, evaluate, promote and score."""
    if not Runner(Layout(var), format_name=format_name, mode=mode).run():
        raise typer.Exit(1)


if __name__ == "__main__":
    run_command(_command)
