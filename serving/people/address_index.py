"""Writes the index of addresses (`serving.people.known_addresses`) anew from the identities."""

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from features.identity import read_identities
from serving.people.known_addresses import INDEX, AddressesError, address_keys_of


def write_index(private: Path) -> None:
    """Replace the index whole, readable for its owner alone; without identities there is none.

    Raises `AddressesError`; the old index then stands as it was.
    """
    path, identities = private / INDEX, private / "identities.parquet"
    if not identities.exists():
        path.unlink(missing_ok=True)
        return
    partial = private / f".{INDEX}.partial"
    partial.unlink(missing_ok=True)
    try:
        _fill(partial, private)
    except sqlite3.Error as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise AddressesError(f"{path} cannot be written ({error}); the one that stood there stays") from None
    partial.replace(path)


def _fill(partial: Path, private: Path) -> None:
    key_of = address_keys_of(private)
    os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    with closing(sqlite3.connect(partial)) as connection, connection:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("CREATE TABLE addresses (address_key TEXT NOT NULL, customer_id TEXT NOT NULL)")
        rows = (
            (key, customer_id)
            for customer_id, email, phone in read_identities(private).iter_rows()
            for key in key_of(email, phone)
        )
        connection.executemany("INSERT INTO addresses VALUES (?, ?)", rows)
        connection.execute("CREATE INDEX by_key ON addresses (address_key)")
    with partial.open("rb") as stream:
        os.fsync(stream.fileno())


def is_current(private: Path) -> bool:
    """Say whether the index is no older than the identities."""
    path, identities = private / INDEX, private / "identities.parquet"
    if not identities.exists():
        return not path.exists()
    return path.exists() and path.stat().st_mtime_ns >= identities.stat().st_mtime_ns
