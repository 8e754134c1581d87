"""Who is not to be stored, scored or listed: keyed hashes of customer ids, never the ids themselves.

    private/suppressed      the check of the pepper, then one hash a line

The pepper is `$REGULARS_PRIVACY_PEPPER`, or a file outside the data (`$REGULARS_PRIVACY_PEPPER_FILE`, by
default `~/.config/regulars/privacy.pepper`), made at the first request. Whoever gets hold of the data alone
cannot tell whom a hash stands for.
"""

import hmac
import os
import secrets
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from features.errors import UserError
from features.private_files import make_private

FILE: Final = "suppressed"
_CHECKED: Final = b"regulars privacy pepper"
_CHECK_DIGITS: Final = 16
_LENGTH_MIN: Final = 16


class PepperError(UserError):
    """The pepper of suppressions is missing, is another one, or lies where it must not."""


@dataclass(frozen=True, slots=True)
class Marker:
    """Makes the mark of a customer id; `check` tells one pepper from another and tells nothing of it."""

    pepper: bytes
    check: str

    @classmethod
    def of(cls, pepper: bytes) -> "Marker":
        """Return the marker of a pepper; raises `PepperError` for a short one."""
        if len(pepper) < _LENGTH_MIN:
            raise PepperError(
                f"the pepper of suppressions has {len(pepper)} characters; give it {_LENGTH_MIN} or more "
                "(REGULARS_PRIVACY_PEPPER, or the file of REGULARS_PRIVACY_PEPPER_FILE)"
            )
        return cls(pepper, hmac.digest(pepper, _CHECKED, "sha256").hex()[:_CHECK_DIGITS])

    def mark(self, customer_id: str) -> str:
        """Return the HMAC-SHA256 of an id under the pepper, as 64 hexadecimal digits.

        >>> Marker.of(b"sixteen or more!").mark("00123") == Marker.of(b"sixteen or more!").mark("123")
        False
        """
        digest: bytes = hmac.digest(self.pepper, b"customer:" + customer_id.encode(), "sha256")
        return digest.hex()


@dataclass(frozen=True, slots=True)
class Suppressed:
    """The people who are suppressed; `customer_id in suppressed` costs one hash, and none without anybody."""

    marks: frozenset[str] = frozenset()
    marker: Marker | None = None

    def __contains__(self, customer_id: object) -> bool:
        return (
            self.marker is not None and bool(self.marks) and self.marker.mark(str(customer_id)) in self.marks
        )

    def __bool__(self) -> bool:
        return bool(self.marks)

    def among(self, customer_ids: Iterable[str]) -> set[str]:
        """Return those of some ids who are suppressed."""
        return {each for each in customer_ids if each in self} if self.marks else set()


NOBODY: Final = Suppressed()


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Suppressed people who were found beforehand, for who may not know the pepper."""

    customer_ids: frozenset[str]

    def among(self, customer_ids: Iterable[str]) -> set[str]:
        """Return those of some ids who are suppressed."""
        return {*customer_ids} & self.customer_ids


def pepper_path() -> Path:
    """Return where the pepper lies if it is not given itself; raises `PepperError`."""
    given = os.environ.get("REGULARS_PRIVACY_PEPPER_FILE")
    if given:
        return Path(given)
    folder = os.environ.get("XDG_CONFIG_HOME")
    try:
        return (Path(folder) if folder else Path.home() / ".config") / "regulars" / "privacy.pepper"
    except RuntimeError:
        raise PepperError(
            "this user has no home folder for the pepper of suppressions: name a file outside of the data "
            "(REGULARS_PRIVACY_PEPPER_FILE)"
        ) from None


def read_marker(root: Path, *, make: bool = False) -> Marker:
    """Return the marker of this installation, of which `root` holds the data; `make` makes a pepper.

    Raises `PepperError` where there is none, it cannot be made, or it lies among the data.
    """
    given = os.environ.get("REGULARS_PRIVACY_PEPPER")
    if given:
        return Marker.of(given.encode())
    path = pepper_path()
    if path.resolve().is_relative_to(root.resolve()):
        raise PepperError(
            f"the pepper of suppressions {path} lies among the data it protects; name a file outside of "
            f"{root} (REGULARS_PRIVACY_PEPPER_FILE)"
        )
    try:
        if make and not path.exists():
            _make_pepper(path)
        return Marker.of(path.read_bytes().strip())
    except OSError as error:
        doing = "made" if make else "read"
        raise PepperError(
            f"the pepper of suppressions {path} cannot be {doing} ({error.strerror or error}); put its copy "
            "back, or name another place outside of the data (REGULARS_PRIVACY_PEPPER_FILE)"
        ) from None


def _make_pepper(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as stream:
        stream.write(secrets.token_hex(32))
        stream.flush()
        os.fsync(stream.fileno())
    try:
        # The first of several processes to link it in wins; the others read it.
        with suppress(FileExistsError):
            os.link(partial, path)
    finally:
        partial.unlink()


def suppressed_people(marks: Collection[str], checks: Collection[str], root: Path) -> Suppressed:
    """Return who is suppressed by marks made under a pepper with these checks; raises `PepperError`."""
    if not marks:
        return NOBODY
    marker = read_marker(root)
    if set(checks) != {marker.check}:
        raise PepperError(
            "the pepper of suppressions is not the one that they were made with: nobody can tell who is "
            "suppressed; put the first one back (REGULARS_PRIVACY_PEPPER, REGULARS_PRIVACY_PEPPER_FILE)"
        )
    return Suppressed(frozenset(marks), marker)


def read_marks(private: Path) -> tuple[list[str], str]:
    """Return the marks that lie beside the identities, and the check of their pepper ("" without any)."""
    try:
        check, *marks = (private / FILE).read_text(encoding="ascii").split()
    except (FileNotFoundError, ValueError):
        return [], ""
    return marks, check


def read_suppressed(root: Path, private: Path) -> Suppressed:
    """Return who is suppressed as files are loaded; raises `PepperError`."""
    marks, check = read_marks(private)
    return suppressed_people(marks, {check}, root)


def write_marks(private: Path, marks: Iterable[str], check: str) -> None:
    """Write the marks beside the identities, replacing the file whole; readable for its owner alone."""
    lines = [check, *sorted(marks)]
    if read_marks(private) == (lines[1:], check):
        return
    make_private(private)
    partial = private / f".{FILE}.{secrets.token_hex(8)}"
    with os.fdopen(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as stream:
        stream.write("\n".join(lines) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(private / FILE)
