"""Erasing people from back-ups: each is written anew where it lies, with new sums.

A back-up that cannot be reached is told, with what a person has to do.
"""

import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from features import ledger, suppression
from features.errors import UserError
from features.layout import Layout
from serving.audiences.control_group import ControlGroup
from serving.backups.files import FILES, MANIFEST, CopiedFile, Manifest, flushed_sum, write_manifest
from serving.backups.list import ListedBackup, list_backups
from serving.databases import open_copied_state, open_copied_store
from serving.people.erasure import Places, Touched, erase_files, erase_state

_UNDER_WAY: Final = ".erasing"
_LOCKS: Final = ("*.lock",)
_UNREACHED: Final = (
    "not found where it was made: if it was moved or is not mounted, put it back and erase again; if it was "
    "deleted, take it off the list (python -m serving.privacy --backup-gone FOLDER)"
)


def erase_backups(places: Places, customer_ids: Collection[str]) -> list[Touched]:
    """Erase from every back-up that was made of a data set."""
    found = list_backups(places.layout.private)
    return [_erase_listed(places.layout, backup, customer_ids) for backup in found]


def _erase_listed(layout: Layout, backup: ListedBackup, customer_ids: Collection[str]) -> Touched:
    # Its name and time, not its path: a receipt is read by others than those who run the machine.
    store = f"backup {backup.folder.name} of {backup.made_at:%Y-%m-%dT%H:%M:%SZ}"
    try:
        manifest = Manifest.model_validate_json((backup.folder / MANIFEST).read_text(encoding="utf-8"))
        row_count = _erase_in(layout, backup.folder, manifest, customer_ids)
    except (FileNotFoundError, NotADirectoryError):
        return Touched(store, note=_UNREACHED)
    except (OSError, ValidationError, UserError) as error:
        reason = error.strerror if isinstance(error, OSError) else type(error).__name__
        note = f"cannot be written anew ({reason}): delete it, and make a new one (make backup TO=…)"
        return Touched(store, note=note)
    return Touched(store, row_count, 1)


def _erase_in(layout: Layout, folder: Path, manifest: Manifest, customer_ids: Collection[str]) -> int:
    copied, marker = Layout(folder / FILES), folder / _UNDER_WAY
    # What a stopped erasure changed nobody knows: every sum is made anew.
    before = {} if marker.exists() else _stamps(copied.root)
    marker.touch(mode=0o600)
    places = Places(copied, open_copied_state(copied), open_copied_store(copied.scores))
    row_count = _row_count(erase_files(places, customer_ids))
    if (copied.state / "state.sqlite").exists():
        row_count += _row_count(erase_state(places, customer_ids))
    if (copied.scores / "runs").exists():
        with places.store.hold() as eraser:
            row_count += eraser.forget(customer_ids, ControlGroup.of(copied.private)).row_count
    row_count += ledger.forget(copied.ledger, customer_ids)
    if (layout.private / suppression.FILE).exists():
        copied.private.mkdir(mode=0o700, exist_ok=True)
        shutil.copyfile(layout.private / suppression.FILE, copied.private / suppression.FILE)
        (copied.private / suppression.FILE).chmod(0o600)
    for pattern in _LOCKS:
        for path in copied.root.rglob(pattern):
            path.unlink()
    write_manifest(folder, manifest.model_copy(update={"files": _sums(copied.root, manifest, before)}))
    marker.unlink()
    return row_count


def _row_count(touched: Collection[Touched]) -> int:
    return sum(each.row_count for each in touched)


def _stamps(root: Path) -> dict[str, tuple[int, int, int]]:
    return {path.relative_to(root).as_posix(): _stamp(path) for path in root.rglob("*") if path.is_file()}


def _stamp(path: Path) -> tuple[int, int, int]:
    about = path.stat()
    return about.st_ino, about.st_size, about.st_mtime_ns


def _sums(root: Path, manifest: Manifest, before: dict[str, tuple[int, int, int]]) -> dict[str, CopiedFile]:
    """Return what a back-up's files are now; those that were not touched keep their sums."""
    files = {}
    for name, stamp in sorted(_stamps(root).items()):
        known, path = manifest.files.get(name), root / name
        if known is not None and before.get(name) == stamp:
            files[name] = known
            continue
        mode = known.mode if known is not None else path.stat().st_mode & 0o777
        path.chmod(mode & 0o600)
        files[name] = CopiedFile(byte_count=stamp[1], mode=mode, sha256=flushed_sum(path))
    return files
