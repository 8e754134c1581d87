"""A back-up as a folder: copied files, and a manifest with the sha256 sum of each.

    backup/manifest.json       when, of which folder, every file with size, mode and sum
    backup/files/…             as they lay under VAR

It is written under another name and renamed when it is whole.
"""

import fcntl
import hashlib
import os
import shutil
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Final, Self, TextIO
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, ValidationError

from features.errors import UserError

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
FILES: Final = "files"
_CHUNK_BYTES: Final = 1 << 20
_WAIT_SECONDS: Final = 30.0


class BackupError(UserError):
    """A back-up cannot be made, or is not what was made."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CopiedFile(_Record):
    """One file: its size, its permissions, its sum."""

    byte_count: int
    mode: int
    sha256: str


class Manifest(_Record):
    """What a back-up holds; names are relative to `VAR`, with slashes."""

    format: int = FORMAT
    made_at: datetime
    root: str
    files: dict[str, CopiedFile]

    @property
    def byte_count(self) -> int:
        """Bytes of all files."""
        return sum(file.byte_count for file in self.files.values())


class BackupWriter:
    """A back-up being made; leaving the block without `commit` drops it."""

    def __init__(self, root: Path, folder: Path) -> None:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise BackupError(f"{folder} is there already; name a new folder: make backup TO=…")
        self._root = root
        self._folder = folder
        self._partial = folder.with_name(f".{folder.name}.partial")
        self._pins = root / ".backup"
        self._files: dict[str, CopiedFile] = {}

    def __enter__(self) -> Self:
        self._lock = _take_lock(self._root / ".backup.lock")
        self._clear()
        self._partial.mkdir(mode=0o700, parents=True)
        return self

    def __exit__(self, *details: object) -> None:
        self._clear()
        self._lock.close()

    def _clear(self) -> None:
        for folder in (self._partial, self._pins):
            shutil.rmtree(folder, ignore_errors=True)

    def pin(self, path: Path) -> Path:
        """Hold a file that is never changed in place, by a second name; return that name.

        Whoever replaces or removes it meanwhile takes nothing from the back-up. Raises `FileNotFoundError`.
        """
        pinned = self._pins / path.relative_to(self._root)
        if not pinned.exists():
            pinned.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(path, pinned)
            except (PermissionError, NotImplementedError):
                shutil.copy2(path, pinned)  # a file system without second names
        return pinned

    def copy(self, paths: Iterable[Path]) -> None:
        """Copy files that are never changed in place; raises `FileNotFoundError` where one is gone."""
        for path, pinned in [(path, self.pin(path)) for path in paths]:
            target = self._target(path)
            shutil.copyfile(pinned, target)
            self._add(path, target, mode=pinned.stat().st_mode)
            pinned.unlink()

    def copy_database(self, path: Path) -> None:
        """Copy an SQLite database as it is at one moment, while others read and write it."""
        target = self._target(path)
        target.unlink(missing_ok=True)
        address = f"file:{quote(str(path.resolve()))}?mode=ro"
        source = sqlite3.connect(address, uri=True, timeout=_WAIT_SECONDS)
        problem: object
        try:
            with closing(source), closing(sqlite3.connect(target)) as copy:
                source.backup(copy)
                problem = copy.execute("PRAGMA integrity_check").fetchone()[0]
        except sqlite3.Error as error:
            problem = error
        if problem != "ok":
            raise BackupError(f"{path} is damaged ({problem}); put the last back-up back")
        self._add(path, target, mode=path.stat().st_mode)

    def forget(self, paths: Iterable[str]) -> None:
        """Drop what was copied under these names, to copy it anew."""
        for name in paths:
            for copied in [known for known in self._files if PurePosixPath(known).is_relative_to(name)]:
                del self._files[copied]
            for folder in (self._partial / FILES / name, self._pins / name):
                shutil.rmtree(folder, ignore_errors=True)

    def commit(self) -> Manifest:
        """Write the manifest and give the back-up its name."""
        manifest = Manifest(made_at=datetime.now(UTC), root=str(self._root.resolve()), files=self._files)
        write_manifest(self._partial, manifest)
        if self._folder.exists():
            self._folder.rmdir()
        self._partial.rename(self._folder)
        return manifest

    def _target(self, path: Path) -> Path:
        target = self._partial / FILES / path.relative_to(self._root)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return target

    def _add(self, path: Path, target: Path, *, mode: int) -> None:
        name, size = path.relative_to(self._root).as_posix(), target.stat().st_size
        target.chmod(mode & 0o600)
        self._files[name] = CopiedFile(byte_count=size, mode=mode & 0o777, sha256=flushed_sum(target))


def _take_lock(path: Path) -> TextIO:
    lock = path.open("w", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise BackupError("another back-up is being made; wait for it to end") from None
    return lock


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest of a back-up, replacing an older one whole."""
    partial = folder / f".{MANIFEST}.partial"
    with partial.open("w", encoding="utf-8") as stream:
        stream.write(manifest.model_dump_json(indent=1))
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(folder / MANIFEST)


def verified(folder: Path) -> Manifest:
    """Read a back-up's manifest and check every file against it; raises `BackupError` naming the first."""
    path = folder / MANIFEST
    try:
        manifest = Manifest.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        raise BackupError(f"{folder} is no back-up: {path.name} cannot be read ({_brief(error)})") from None
    if manifest.format != FORMAT:
        raise BackupError(f"{folder} has format {manifest.format}, this release reads {FORMAT}")
    files = folder / FILES
    found = {each.relative_to(files).as_posix() for each in files.rglob("*") if not each.is_dir()}
    if found != manifest.files.keys():
        odd = sorted(found ^ manifest.files.keys())[0]
        raise BackupError(f"{folder}: {odd} is {'too much' if odd in found else 'missing'}; use another one")
    for name, expected in manifest.files.items():
        if (files / name).is_symlink() or flushed_sum(files / name) != expected.sha256:
            raise BackupError(f"{folder}: {name} is not what was backed up; use another one")
    return manifest


def flushed_sum(path: Path) -> str:
    """Return the sha256 sum of a file that is on the disk."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _brief(error: Exception) -> str:
    return error.strerror or "?" if isinstance(error, OSError) else type(error).__name__
