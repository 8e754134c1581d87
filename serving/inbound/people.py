"""Who a message speaks of: the id that the sender gives, else the keyed hash of an address.

Addresses go to a journal beside the identities, readable for its owner alone, and nowhere else.
"""

import fcntl
import json
import os
import re
from collections.abc import Iterable, Iterator
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

    def keep(self, people: Iterable[Person]) -> None:
        """Write down who is behind ids; on the disk when this returns. Raises `OSError`."""
        lines = [
            json.dumps(person._asdict(), ensure_ascii=False)
            for person in dict.fromkeys(people)
            if person.email or person.phone
        ]
        if not lines:
            return
        path = self._private / JOURNAL
        with (
            locked_journal(self._private),
            os.fdopen(os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600), "ab") as stream,
        ):
            stream.write(("\n".join(lines) + "\n").encode())
            stream.flush()
            os.fsync(stream.fileno())

    def _read_pepper(self) -> bytes:
        if self._pepper is None:
            self._pepper = read_pepper(self._private)
        return self._pepper
