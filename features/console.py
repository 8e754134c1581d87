"""What every command shares: exit codes, one-line errors and progress on standard error."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from features.errors import UserError

Announce = Callable[[str], None]


def run_command(command: Callable[..., None]) -> None:
    """Run one typer command: a `UserError` becomes one line on standard error and exit code 2."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(command)
    run_app(app)


def run_app(app: typer.Typer) -> None:
    """Run a typer application under the same rules as `run_command`."""
    try:
        app()
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
