"""Who is behind the ids: `private/identities.parquet`, which features, models and MLflow never read.

Where a source's only key is an e-mail or a phone number, the customer id is its keyed hash
(`features.person_keys`).
"""

import os
from collections.abc import Callable
from pathlib import Path

import polars as pl

from features.person_keys import EMAIL_PATTERN, customer_key, normal_email, normal_phone
from features.private_files import make_private

IDENTITY_SCHEMA = {"customer_id": pl.String, "email": pl.String, "phone": pl.String}


def customer_keys(emails: pl.Series, phones: pl.Series, pepper: bytes) -> pl.Series:
    """Return the customer ids of many rows; each distinct pair is hashed once."""
    pairs = pl.DataFrame({"email": emails, "phone": phones}, schema={"email": pl.String, "phone": pl.String})
    distinct = pairs.unique()
    keys = [customer_key(email, phone, pepper) for email, phone in distinct.iter_rows()]
    keyed = distinct.with_columns(pl.Series("key", keys, dtype=pl.String))
    return pairs.join(keyed, on=["email", "phone"], how="left", nulls_equal=True, maintain_order="left")[
        "key"
    ]


def people_of(
    ids: pl.Series, emails: pl.Series, phones: pl.Series, *, pepper: Callable[[], bytes]
) -> tuple[pl.Series, pl.DataFrame | None]:
    """Return (customer ids, identities): the id given, else the key of the e-mail, else of the phone.

    An id that is itself an e-mail address is keyed as one; `pepper` is asked for only then. Identities are
    None where a source has no address at all.
    """
    written = ids.str.contains(EMAIL_PATTERN).fill_null(False)
    if not written.any() and emails.null_count() == len(emails) and phones.null_count() == len(phones):
        return ids, None
    addresses = ids.zip_with(written, emails.cast(pl.String))
    given = ids.set(written, None)
    keys = given if given.null_count() == 0 else customer_keys(addresses, phones, pepper())
    customer_ids = given.zip_with(given.is_not_null(), keys)
    return customer_ids, identities_of(customer_ids, addresses, phones.cast(pl.String))


def identities_of(customer_ids: pl.Series, emails: pl.Series, phones: pl.Series) -> pl.DataFrame:
    """Return one row per customer id: the last e-mail and phone seen, in normal form."""
    rows = pl.DataFrame(
        {"customer_id": customer_ids, "email": emails, "phone": phones}, schema=IDENTITY_SCHEMA
    )
    distinct = rows.filter(pl.col("customer_id").is_not_null()).unique(maintain_order=True)
    normal = distinct.with_columns(
        pl.Series("email", [normal_email(cell) for cell in distinct["email"]], dtype=pl.String),
        pl.Series("phone", [normal_phone(cell) for cell in distinct["phone"]], dtype=pl.String),
    )
    return _newest(normal)


def read_identities(private: Path) -> pl.DataFrame:
    """Read who is behind the ids; empty where nobody is known."""
    path = private / "identities.parquet"
    return pl.read_parquet(path, glob=False) if path.exists() else pl.DataFrame(schema=IDENTITY_SCHEMA)


def merge_identities(private: Path, rows: pl.DataFrame) -> None:
    """Add identities to those of earlier loads, replacing the file whole; newer addresses win."""
    if rows.is_empty():
        return
    known = read_identities(private)
    merged = _newest(pl.concat([known, rows.select(IDENTITY_SCHEMA.keys())])).sort("customer_id")
    if not merged.equals(known):
        replace_identities(private, merged)


def replace_identities(private: Path, rows: pl.DataFrame) -> None:
    """Replace the identities whole; readable for their owner alone."""
    make_private(private)
    partial = private / "identities.parquet.partial"
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as stream:
        try:
            rows.write_parquet(stream)
        except pl.exceptions.ComputeError as error:  # what Polars makes of a full disk
            raise OSError(f"{partial} cannot be written ({error})") from None
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(private / "identities.parquet")


def _newest(rows: pl.DataFrame) -> pl.DataFrame:
    latest = [pl.col(name).drop_nulls().last() for name in ("email", "phone")]
    return rows.group_by("customer_id", maintain_order=True).agg(latest)
