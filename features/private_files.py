"""Files of the private folder: made once, readable for their owner alone."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path


def make_private(private: Path) -> None:
    """Make the private folder where there is none; only its owner may look into it."""
    private.mkdir(parents=True, exist_ok=True)
    private.chmod(0o700)


def made_once(path: Path, make: Callable[[], bytes]) -> bytes:
    """Return what a private file holds, made at first use: mode 0600 in a folder of mode 0700.

    Several processes may begin at once: the first to link the file in wins, and the others read it.
    """
    if not path.exists():
        make_private(path.parent)
        partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(make())
            stream.flush()
            os.fsync(stream.fileno())
        try:
            os.link(partial, path)
        except FileExistsError:
            pass  # another process made it first: theirs counts
        finally:
            partial.unlink()
    return path.read_bytes()
