"""What every command shares: exit codes, one-line errors and progress on standard error."""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from features.errors import UserError
from features.spark_faults import explain_fault

Announce = Callable[[str], None]
# What is wrong with the words of a command: of its kinds typer names this one alone.
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]


def run_command(command: Callable[..., None]) -> None:
    """Run one typer command: a `UserError` becomes one line on standard error and exit code 2."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(command)
    run_app(app)


def run_app(app: typer.Typer) -> None:
    """Run a typer application under the same rules as `run_command`."""
    try:
        code = _run(app)
    except _UsageError as error:
        sys.stderr.write(f"error: {_as_asked(error.format_message())}\n")  # type: ignore[attr-defined]
        raise SystemExit(2) from None
    except typer.Abort:
        raise SystemExit(130) from None
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(2) from None
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        sys.stderr.write(f"error: {error.strerror or error}{where}\n")
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        sys.stderr.write("stopped: nothing half-written was kept\n")
        raise SystemExit(130) from None
    raise SystemExit(code if isinstance(code, int) else 0)


def _run(app: typer.Typer) -> object:
    """Run an application; what Spark raises while it computes is a user's matter like any other mistake."""
    try:
        return app(standalone_mode=False)
    except Exception as error:
        told = explain_fault(error)
        if told is None:
            raise
        raise UserError(told) from None


def _as_asked(message: str) -> str:
    """Return what is wrong with the words of a command, in one line, with what `make` calls its options.

    >>> _as_asked("Missing option '--as-of'.")
    "Missing option '--as-of' (make: AS_OF=…)"
    """
    line = " ".join(message.split()).removesuffix(".")
    return re.sub(r"'--([a-z-]+)'", _with_make_name, line, count=1)


def _with_make_name(found: "re.Match[str]") -> str:
    return f"{found[0]} (make: {found[1].upper().replace('-', '_')}=…)"


@contextmanager
def progress(title: str, *, total: int) -> Iterator[Announce]:
    """Show long work: a bar on a terminal, else one line a step.

    Yields a function to call with a step's name when the step begins; `total` is the number of steps.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda step: _print_line(f"[{title}] {step}")
        return
    columns = (
        TextColumn("[bold]{task.fields[title]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, TextColumn("{task.description}"), console=console, transient=False) as bar:
        task = bar.add_task("", total=total, title=title)
        started = 0

        def announce(step: str) -> None:
            nonlocal started
            bar.update(task, completed=started, description=step)
            started += 1

        yield announce
        bar.update(task, completed=total, description="done")


def _print_line(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
