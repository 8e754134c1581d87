"""Where back-ups of a data set lie: a list beside the identities, so that people can be erased from them too.

private/backups.json
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from features.errors import UserError
from features.private_files import make_private

FILE: Final = "backups.json"


class BackupListError(UserError):
    """The list of back-ups is damaged."""


class ListedBackup(BaseModel):
    """A folder that holds a back-up, or held one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path
    made_at: datetime


_LIST: Final = TypeAdapter(list[ListedBackup])


def list_backups(private: Path) -> list[ListedBackup]:
    """Return where back-ups were made; raises `BackupListError`."""
    path = private / FILE
    try:
        return _LIST.validate_json(path.read_bytes())
    except FileNotFoundError:
        return []
    except ValidationError:
        raise BackupListError(
            f"{path} is damaged, and back-ups hold people who are erased: write it anew, "
            '[{"folder": "/where/it/lies", "made_at": "2026-11-22T00:00:00Z"}, …]'
        ) from None


@contextmanager
def listed(private: Path, folder: Path) -> Iterator[None]:
    """Put a back-up on the list before it is made: none is ever missing; one that fails is taken off.

    One that stood there before stays on it: where a second one cannot be made, the first still lies there.
    """
    entry = ListedBackup(folder=folder.absolute(), made_at=datetime.now(UTC))
    before = list_backups(private)
    _write(private, [*(each for each in before if each.folder != entry.folder), entry])
    try:
        yield
    except BaseException:
        _write(private, before)
        raise


def take_off(private: Path, folder: Path) -> bool:
    """Take a back-up that was deleted off the list; say whether it was on it."""
    found = list_backups(private)
    left = [each for each in found if each.folder != folder.absolute()]
    if len(left) < len(found):
        _write(private, left)
    return len(left) < len(found)


def _write(private: Path, backups: list[ListedBackup]) -> None:
    path = private / FILE
    if not backups:
        path.unlink(missing_ok=True)
        return
    make_private(private)
    partial = private / f".{FILE}.partial"
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as stream:
        stream.write(_LIST.dump_json(backups, indent=1))
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)
