"""Who a message speaks of: the id that the sender gives, else the keyed hash of an address.

Addresses go to a journal beside the identities, readable for its owner alone, and nowhere else.
"""

import fcntl
import json
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from features.person_keys import (
    EMAIL_PATTERN,
    customer_key,
    normal_email,
    normal_phone,
    read_pepper,
)
from features.private_files import make_private

JOURNAL: Final = "identities.jsonl"
TAKEN: Final = "identities.taken"


class Person(NamedTuple):
    """A customer id, and the addresses behind it, if any were told."""

    customer_id: str
    email: str | None = None
    phone: str | None = None


@contextmanager
def locked_journal(private: Path) -> Iterator[Path]:
    """Hold the journal of a private folder alone, so that nothing is written to one that is being taken."""
    make_private(private)
    lock = os.open(private / "identities.lock", os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield private / JOURNAL
    finally:
        os.close(lock)


def erase_from_journal(private: Path, customer_ids: Collection[str]) -> int:
    """Take people out of the journal, which the caller has locked; return how many lines went."""
    removed = 0
    for path in (private / JOURNAL, private / TAKEN):
        if not path.exists():
            continue
        lines = path.read_text(encoding="utf-8").splitlines()
        # A line that was cut off by a crash says nothing that was acknowledged: it goes too.
        kept = [line for line in lines if _speaks_of_others(line, customer_ids)]
        if len(kept) < len(lines):
            partial = path.with_name(f".{path.name}.partial")
            partial.unlink(missing_ok=True)
            if kept:
                _append(partial, kept)
                partial.replace(path)
            else:
                path.unlink()
            removed += len(lines) - len(kept)
    return removed


def _speaks_of_others(line: str, customer_ids: Collection[str]) -> bool:
    try:
        return json.loads(line)["customer_id"] not in customer_ids
    except ValueError:
        return False


LeftOut = Callable[[set[str]], Collection[str]]


def _nobody(_: set[str]) -> Collection[str]:
    return ()


def _append(path: Path, lines: Iterable[str]) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "ab") as stream:
        # A line of its own, where a full disk or a kill left half of the one before.
        begin = "" if _ends_whole(path) else "\n"
        stream.write((begin + "\n".join(lines) + "\n").encode())
        stream.flush()
        os.fsync(stream.fileno())


class People:
    """Finds customer ids, and keeps who is behind them in the private folder of a data set."""

    def __init__(self, private: Path) -> None:
        self._private = private
        self._pepper: bytes | None = None

    def find(self, given: str | None, *, email: str | None = None, phone: str | None = None) -> Person | None:
        """Return who is meant; None where neither an id nor a usable address is given.

        An id that is itself an e-mail address is keyed as one, as in files.
        """
        if given is not None and re.match(EMAIL_PATTERN, given):
            given, email = None, given
        address, number = normal_email(email), normal_phone(phone)
        if given is not None:
            return Person(given, address, number)
        if address is None and number is None:
            return None
        key = customer_key(address, number, self._read_pepper())
        return None if key is None else Person(key, address, number)

    def keep(self, people: Iterable[Person], *, left_out: LeftOut = _nobody) -> None:
        """Write down who is behind ids; on the disk when this returns. Raises `OSError`.

        `left_out` says of whom nothing may be kept; it is asked while nobody else touches the journal, so
        that what was erased from it does not come back.
        """
        reachable = [person for person in dict.fromkeys(people) if person.email or person.phone]
        if not reachable:
            return
        with locked_journal(self._private) as path:
            gone = left_out({person.customer_id for person in reachable})
            lines = [
                json.dumps(person._asdict(), ensure_ascii=False)
                for person in reachable
                if person.customer_id not in gone
            ]
            if lines:
                _append(path, lines)

    def _read_pepper(self) -> bytes:
        if self._pepper is None:
            self._pepper = read_pepper(self._private)
        return self._pepper


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - 1))
        return stream.read() in {b"", b"\n"}
