"""Texts before anything is made of them: packed or not, how they are encoded, and how they begin."""

import codecs
import gzip
import shutil
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Final, cast

from features.readers import FORMAT_HINT, first_line, refusal, require_file

_BLOCK_BYTES: Final = 1 << 20
_HEAD_LETTERS: Final = 1 << 20
# What codecs raise of bytes that are not theirs, and those that are not for the blocks of a text.
_NOT_SO_WRITTEN: Final = (ValueError, LookupError, TypeError, AttributeError)
_BINARY_STARTS: Final = {
    b"PAR1": "a Parquet file",
    b"PK\x03\x04": "a zip or xlsx file",
    b"\xd0\xcf\x11\xe0": "an old Excel file",
    b"%PDF": "a PDF",
    b"SQLite": "an SQLite database",
}


def guess_encoding(path: Path) -> str | None:
    """Return the encoding of a text that can only be guessed, for a person to look at; else None."""
    _check_start(path)
    return "cp1252" if _detected(path) is None and _look_as(path, "cp1252") else None


@contextmanager
def as_file(path: Path) -> Iterator[Path]:
    """Yield a path that can be read again and again: a pipe's bytes are put into a file of its name."""
    require_file(path)
    if path.is_file():
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        spooled = Path(folder) / path.name
        with path.open("rb") as source, spooled.open("wb") as target:
            shutil.copyfileobj(source, target)
        yield spooled


def is_packed(path: Path) -> bool:
    """Say whether a file is packed with gzip."""
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def opened(path: Path) -> BinaryIO:
    """Open a file, packed with gzip or not, for its bytes."""
    return cast("BinaryIO", gzip.open(path)) if is_packed(path) else path.open("rb")


def _check_start(path: Path) -> None:
    """Raise `DataError` where there is no such file, or it begins as one that is no text."""
    require_file(path)
    start = _start(path)
    for sign, kind in _BINARY_STARTS.items():
        if start.startswith(sign):
            raise refusal(path, "not_text", f"this is {kind}, not text", FORMAT_HINT)


def _start(path: Path) -> bytes:
    return next(_blocks(path), b"")


def _blocks(path: Path) -> Iterator[bytes]:
    """Yield a file's bytes, unpacked, a block at a time; raises `DataError` where they cannot be read."""
    try:
        with opened(path) as file:
            while block := file.read(_BLOCK_BYTES):
                yield block
    except (OSError, EOFError, zlib.error) as error:
        reason = f"the file cannot be read ({first_line(error)})"
        raise refusal(path, "unreadable_file", reason, "check its rights") from None


@dataclass(frozen=True, slots=True)
class _Look:
    """What was seen of a text: its beginning, without a byte order mark, and what is in all of it."""

    head: str
    is_blank: bool
    has_nul: bool


def _look_at(path: Path, encoding: str) -> _Look:
    """Decode a whole file; raises one of `_NOT_SO_WRITTEN` where that cannot be done."""
    "a".encode(encoding)  # raises where it is the name of no encoding of texts
    decoder = codecs.getincrementaldecoder(encoding)()
    head, is_blank, has_nul = "", True, False
    for block in chain(_blocks(path), (b"",)):
        text = decoder.decode(memoryview(block), final=not block)
        head += text[: _HEAD_LETTERS - len(head)]
        is_blank = is_blank and not text.removeprefix("\ufeff").strip()
        has_nul = has_nul or "\0" in text
    return _Look(head.removeprefix("\ufeff"), is_blank, has_nul)


def _look_as(path: Path, encoding: str) -> _Look | None:
    try:
        return _look_at(path, encoding)
    except UnicodeError:
        return None


def _detected(path: Path) -> tuple[str, _Look] | None:
    """Return the encoding that a text shows, and what was seen of it; None where it shows none."""
    if _start(path).startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16", _read_as(path, "utf-16")
    for encoding in ("utf-8", "cp949"):
        look = _look_as(path, encoding)
        if look is not None and (encoding == "utf-8" or _is_korean(look.head)):
            return encoding, look
    return None


def _read_as(path: Path, encoding: str) -> _Look:
    try:
        return _look_at(path, encoding)
    except _NOT_SO_WRITTEN as error:
        mend = "set another `encoding` in the mapping file"
        reason = f"the text is not {encoding} ({first_line(error)})"
        raise refusal(path, "wrong_encoding", reason, mend) from None


def _given(path: Path, encoding: str) -> tuple[str, _Look]:
    """Look a text through as it is said to be written; UTF-16 without a mark is in this machine's order."""
    marks = {"utf-16": codecs.BOM_UTF16, "utf-32": codecs.BOM_UTF32}
    mark = marks.get(_codec_name(encoding), b"")
    if mark and not _start(path).startswith((mark, bytes(reversed(mark)))):
        encoding = f"{_codec_name(encoding)}-{'le' if sys.byteorder == 'little' else 'be'}"
    return encoding, _read_as(path, encoding)


def _codec_name(encoding: str) -> str:
    try:
        return codecs.lookup(encoding).name
    except (LookupError, ValueError):
        return encoding


def look_through(path: Path, encoding: str | None) -> tuple[str, str]:
    """Return a text's encoding, detected unless given, and its beginning without a byte order mark.

    Raises `DataError` where it is missing, no text, in another or an unknown encoding, or empty.
    """
    _check_start(path)
    found = _given(path, encoding) if encoding else _detected(path)
    if found is None:
        mend = 'say which it is in the mapping file, e.g. encoding = "cp1252"'
        raise refusal(path, "unknown_encoding", "the text is neither UTF-8, UTF-16 nor CP949", mend)
    name, look = found
    if look.has_nul:
        mend = "is it a text file? export it as CSV, UTF-8"
        raise refusal(path, "nul_bytes", "the file contains NUL bytes", mend)
    if look.is_blank:
        mend = "export it with a header row and one row per order line"
        raise refusal(path, "empty_file", "the file is empty", mend)
    return name, look.head


def _is_korean(head: str) -> bool:
    """Say whether what reads as CP949 is, by its letters: Western text makes rare ones of it (Är: 훣)."""
    letters = [each for each in head if not each.isascii()]
    # The usual ones have two bytes in EUC-KR, too; it writes the rare ones in eight.
    return 2 * sum(len(each.encode("euc_kr", errors="ignore")) == 2 for each in letters) >= len(letters)
