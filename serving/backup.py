"""Back up everything that cannot be made again, while the service runs; and put it back.

    python -m serving.backup --to backups/2026-11-23        make one
    python -m serving.backup --check backups/2026-11-23     hold it against its sums
    python -m serving.backup --restore backups/2026-11-23   put it back into an empty VAR

Scores, state and history are copied in this order: the run in the copy has read no event that the copied
state does not hold, and what that state calls folded is in the copied history.
"""

import os
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import orjson
import typer

from features import suppression
from features.console import run_command
from features.layout import Layout
from serving.backups.files import FILES, BackupError, BackupWriter, Manifest, verified
from serving.backups.list import listed
from serving.databases import open_copied_store, open_state
from serving.environment import Environment
from serving.state.migrate import migrate
from serving.state.suppressions import Suppressions
from serving.store.errors import NoRunError

_TRIES: Final = 50
_TREES: Final = ("ledger", "reports", "backtest", "bundles", "outcomes")
_NOT_IN_IT: Final = (
    "keys, inbox, jobs, webhooks and score runs lie in PostgreSQL and are not in it: take them with pg_dump "
    "before this, so that the history holds all that they call folded\n"
)
# Where MLflow keeps addresses of files that lie under its own folder.
_ADDRESSES: Final = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "model_versions": ("source", "storage_location"),
    "logged_models": ("artifact_location",),
}


def back_up(layout: Layout, folder: Path) -> Manifest:
    """Copy a layout into a new folder; raises `BackupError` where that is not possible."""
    if not layout.root.is_dir() or not any(layout.root.iterdir()):
        raise BackupError(f"{layout.root} holds nothing; say VAR=… where the data lies")
    with listed(layout.private, folder), BackupWriter(layout.root, folder) as writer:
        _copy_tree(layout.private, writer)
        _again(partial(_copy_scores_and_state, layout, writer), ("scores", "state"), writer)
        _again(partial(_copy_history, layout, writer), ("history",), writer)
        _copy_mlflow(layout, writer)
        for name in _TREES:
            _again(partial(_copy_tree, layout.root / name, writer), (name,), writer)
        if layout.headline.exists():
            writer.copy([layout.headline])
        return writer.commit()


def _again(copy: Callable[[], bool], names: tuple[str, ...], writer: BackupWriter) -> None:
    """Copy what belongs together until nothing changed meanwhile."""
    for _ in range(_TRIES):
        try:
            if copy():
                return
        except FileNotFoundError:
            pass  # replaced by something newer meanwhile
        writer.forget(names)
    raise BackupError(f"{' and '.join(names)} changed all the time; try again when less is written")


def _copy_scores_and_state(layout: Layout, writer: BackupWriter) -> bool:
    control, runs = layout.scores / "control.sqlite", layout.scores / "runs"
    live = _live_run_id(layout.scores)
    if live is not None:
        held = open_copied_store(writer.pin(control).parent).list_runs()
        paths = [control, *(runs / f"{run.score_run_id}.sqlite" for run in held)]
        for path in paths:
            writer.pin(path)
    for database in sorted(layout.state.glob("*.sqlite")):
        writer.copy_database(database)
    # A run that was published in between would be known to the copied state alone.
    is_of_one_moment = _live_run_id(layout.scores) == live
    if is_of_one_moment and live is not None:
        writer.copy(paths)
    return is_of_one_moment


def _live_run_id(scores: Path) -> str | None:
    try:
        return open_copied_store(scores).live_run_id()
    except NoRunError:
        return None


def _copy_history(layout: Layout, writer: BackupWriter) -> bool:
    manifest = layout.history / "manifest.json"
    if not manifest.exists():
        return True
    # Read as plain JSON: a machine that only serves has no dataframe engine, which `features.history` needs.
    held: dict[str, list[str]] = orjson.loads(writer.pin(manifest).read_bytes())["files"]
    named = {layout.history / name for names in held.values() for name in names}
    writer.copy([manifest, *sorted(named)])
    return True


def _copy_mlflow(layout: Layout, writer: BackupWriter) -> None:
    # The database first: what it names was written before it was named.
    for database in sorted(layout.mlflow.glob("*.db")):
        writer.copy_database(database)
    _copy_tree(layout.mlflow / "artifacts", writer)


def _copy_tree(folder: Path, writer: BackupWriter) -> bool:
    writer.copy(sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()))
    return True


def restore(folder: Path, layout: Layout) -> Manifest:
    """Check a back-up and put it into an empty place; raises `BackupError` where there is something."""
    root = layout.root
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise BackupError(
            f"{root} is not empty: stop the service and move the folder away (mv {root} {root}.old) first"
        )
    manifest = verified(folder)
    staged = root.resolve().with_name(f".{root.name}.restored")
    shutil.rmtree(staged, ignore_errors=True)
    for name, file in manifest.files.items():
        target = staged / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / FILES / name, target)
        target.chmod(file.mode)
    for closed in (Layout(staged).private, Layout(staged).state):
        if closed.exists():
            closed.chmod(0o700)
    _move_addresses(Layout(staged), old=Path(manifest.root), new=root.resolve())
    if root.exists():
        root.rmdir()
    staged.rename(root.resolve())
    return manifest


def _move_addresses(layout: Layout, *, old: Path, new: Path) -> None:
    """Make MLflow's addresses point to where its files lie now."""
    for database in sorted(layout.mlflow.glob("*.db")) if old != new else ():
        before, after = (Layout(root).mlflow.as_uri() for root in (old, new))
        with closing(sqlite3.connect(database)) as connection, connection:
            there = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
            for table, columns in _ADDRESSES.items():
                for column in columns if table in there else ():
                    statement = f"UPDATE {table} SET {column} = replace({column}, ?, ?)"  # noqa: S608 - our own
                    connection.execute(statement, (before + "/", after + "/"))


def _suppress_again(environment: Environment) -> None:
    """Let whoever was erased from the back-up be suppressed in the restored state, which may be older."""
    state, layout = open_state(environment), environment.layout
    if (layout.private / suppression.FILE).exists() and state.exists():
        migrate(state)
        Suppressions(state, layout.root).copy_to(layout.private)


def _told(manifest: Manifest) -> str:
    count, megabytes = len(manifest.files), manifest.byte_count / 1e6
    return f"{count:,} files, {megabytes:,.1f} MB, of {manifest.made_at:%Y-%m-%d %H:%M} UTC"


def _command(
    *,
    to: Annotated[Path | None, typer.Option(help="make a back-up in this new folder")] = None,
    check: Annotated[
        Path | None, typer.Option(help="hold the back-up in this folder against its sums")
    ] = None,
    source: Annotated[
        Path | None, typer.Option("--restore", help="put the back-up in this folder back into VAR")
    ] = None,
    var: Annotated[Path, typer.Option(envvar="VAR", help="where everything that is written lies")] = Path(
        "var"
    ),
) -> None:
    """Make a back-up, check one, or put one back."""
    if sum(folder is not None for folder in (to, check, source)) != 1:
        raise BackupError("say one of TO=… (make backup) and FROM=… (make restore), or --check")
    if to is not None:
        sys.stdout.write(f"{to}: {_told(back_up(Layout(var), to))}\n")
        if os.environ.get("REGULARS_DATABASE_URL"):
            sys.stdout.write(_NOT_IN_IT)
    elif check is not None:
        sys.stdout.write(f"{check} is whole: {_told(verified(check))}\n")
    elif source is not None:
        sys.stdout.write(f"{var} is restored: {_told(restore(source, Layout(var)))}\n")
        _suppress_again(Environment(var=var))


if __name__ == "__main__":
    run_command(_command)
