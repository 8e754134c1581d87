"""A folder for what a scoring run puts down between its steps; it is gone when the run is over.

    VAR/scoring/run-x4f…/          rows of customers, so nobody else may read it (mode 0700)
    VAR/scoring/run-x4f….lock      held as long as its process lives

A killed run leaves its folder behind; the next one finds it by the lock that nobody holds any more.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_FOLDER: Final = "scoring"
_PREFIX: Final = "run-"


@contextmanager
def working_folder(root: Path) -> Iterator[Path]:
    """Yield an empty folder under `VAR`; it is removed at the end, and so is what killed runs left."""
    remove_leftovers(root)
    parent = root / _FOLDER
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=_PREFIX, suffix=".lock", dir=parent)
    lock, folder = Path(name), Path(name).with_suffix("")
    try:
        # Before there is a folder: whoever looks for leftovers never finds one without its holder.
        fcntl.flock(handle, fcntl.LOCK_EX)
        folder.mkdir(mode=0o700)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.unlink(missing_ok=True)
        os.close(handle)


def remove_leftovers(root: Path) -> None:
    """Remove the folders of scoring runs that were killed; those at work keep theirs."""
    for folder in (root / _FOLDER).glob(f"{_PREFIX}*"):
        # A lock is made before its folder, and goes after it.
        if folder.suffix != ".lock" and not folder.with_suffix(".lock").exists():
            shutil.rmtree(folder, ignore_errors=True)
    for lock in (root / _FOLDER).glob(f"{_PREFIX}*.lock"):
        try:
            handle = os.open(lock, os.O_RDWR)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
            lock.unlink(missing_ok=True)
        finally:
            os.close(handle)
