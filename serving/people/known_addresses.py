"""Which customer ids are known with an address: a small index beside the identities, by keyed hash.

    private/addresses.sqlite      (key of the address, customer id); no address is in it

Whoever changes the identities writes it anew (`serving.people.address_index`); what came by calls since then
stands in the journal. A serving process reads both, without a dataframe engine.
"""

import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

from features.errors import UserError
from features.person_keys import customer_key, read_pepper
from serving.inbound.people import JOURNAL, TAKEN, Person

INDEX: Final = "addresses.sqlite"
_AT_ONCE: Final = 500


class AddressesError(UserError):
    """The index of addresses cannot be read or written."""


class KnownAddresses:
    """Looks up ids in the private folder of a data set."""

    def __init__(self, private: Path) -> None:
        self._private = private

    def ids_of(self, address_keys: Sequence[str]) -> tuple[str, ...]:
        """Return the ids that are known with addresses, given by their keys; each once.

        Raises `AddressesError`.
        """
        found = self.by_key(address_keys)
        return tuple(dict.fromkeys(each for key in address_keys for each in found.get(key, ())))

    def by_key(self, address_keys: Sequence[str]) -> dict[str, list[str]]:
        """Return the same for each key, the newest id last; keys that nobody is known with are left out."""
        try:
            found = self._in_index(address_keys)
        except sqlite3.Error as error:
            raise AddressesError(
                f"{self._private / INDEX} cannot be read ({error}); remove it, "
                "and `make score` writes it anew"
            ) from None
        for key, customer_id in self._in_journal(set(address_keys)):
            ids = found.setdefault(key, [])
            if customer_id not in ids:
                ids.append(customer_id)
        return found

    def _in_index(self, address_keys: Sequence[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        path = self._private / INDEX
        if path.exists():
            address = f"file:{quote(str(path))}?mode=ro&immutable=1"
            with closing(sqlite3.connect(address, uri=True)) as connection:
                for start in range(0, len(address_keys), _AT_ONCE):
                    some = address_keys[start : start + _AT_ONCE]
                    query = (
                        "SELECT address_key, customer_id FROM addresses WHERE address_key IN "  # noqa: S608 - marks only
                        f"({','.join('?' * len(some))}) ORDER BY rowid"
                    )
                    for key, customer_id in connection.execute(query, some):
                        found.setdefault(key, []).append(customer_id)
        return found

    def _in_journal(self, wanted: set[str]) -> list[tuple[str, str]]:
        lines = []
        for name in (JOURNAL, TAKEN):
            path = self._private / name
            if path.exists():
                lines += path.read_text(encoding="utf-8").splitlines()
        if not lines:
            return []
        key_of = address_keys_of(self._private)
        people = [person for person in map(_read, lines) if person is not None]
        return [
            (key, person.customer_id)
            for person in people
            for key in key_of(person.email, person.phone)
            if key in wanted
        ]


def address_keys_of(private: Path) -> Callable[[str | None, str | None], list[str]]:
    """Return what makes the keys of somebody's e-mail address and phone number, each alone."""
    pepper = read_pepper(private)

    def keys(email: str | None, phone: str | None) -> list[str]:
        both = (customer_key(email, None, pepper), customer_key(None, phone, pepper))
        return [key for key in both if key is not None]

    return keys


def _read(line: str) -> Person | None:
    try:
        return Person(**json.loads(line))
    except (ValueError, TypeError):
        return None  # cut off by a crash: it was never acknowledged
