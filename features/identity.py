"""People: where a source's only key is an e-mail or a phone number, the customer id is its keyed hash.

The pepper is `$REGULARS_PEPPER`, or a file made once in the private folder. Who is behind an id stands in
`private/identities.parquet` alone, which features, models and MLflow never read. Files and webhooks derive
the same key from the same address: `customer_key` is the one place where that is done.
"""

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Callable
from pathlib import Path

import polars as pl

IDENTITY_SCHEMA = {"customer_id": pl.String, "email": pl.String, "phone": pl.String}
EMAIL_PATTERN = r"^\s*[^@\s,;<>]+@[^@\s,;<>]+\.[^@\s,;<>]+\s*$"
_PHONE_DIGITS_MIN = 6


def normal_email(email: str | None) -> str | None:
    """Return an e-mail address trimmed and in lower case, or None where it is none.

    >>> normal_email(" Ann@Example.com ")
    'ann@example.com'
    """
    if email is None or not re.match(EMAIL_PATTERN, email):
        return None
    return email.strip().lower()


def normal_phone(phone: str | None) -> str | None:
    """Return a phone number as its digits, with + where the country is stated (+ or 00), or None.

    >>> normal_phone("'+44 2000 012423"), normal_phone("0044-2000-012423"), normal_phone("n/a")
    ('+442000012423', '+442000012423', None)
    """
    if phone is None:
        return None
    text = phone.strip().lstrip("'").strip()
    digits = re.sub(r"\D", "", text)
    if len(digits) < _PHONE_DIGITS_MIN:
        return None
    if text.startswith("+"):
        return f"+{digits}"
    return f"+{digits[2:]}" if digits.startswith("00") else digits


def customer_key(email: str | None, phone: str | None, pepper: bytes) -> str | None:
    """Return the customer id of an e-mail address, else of a phone number; None where there is neither.

    HMAC-SHA256 of the normal form under the pepper, first 128 bits, as 32 hexadecimal digits after `h_`.
    """
    address, number = normal_email(email), normal_phone(phone)
    if address is None and number is None:
        return None
    message = f"email:{address}" if address else f"phone:{number}"
    return "h_" + hmac.new(pepper, message.encode(), hashlib.sha256).hexdigest()[:32]


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
    return pl.read_parquet(path) if path.exists() else pl.DataFrame(schema=IDENTITY_SCHEMA)


def merge_identities(private: Path, rows: pl.DataFrame) -> None:
    """Add identities to those of earlier loads, replacing the file whole; newer addresses win."""
    if rows.is_empty():
        return
    known = read_identities(private)
    merged = _newest(pl.concat([known, rows.select(IDENTITY_SCHEMA.keys())])).sort("customer_id")
    if merged.equals(known):
        return
    _make_private(private)
    partial = private / "identities.parquet.partial"
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as stream:
        merged.write_parquet(stream)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(private / "identities.parquet")


def read_pepper(private: Path) -> bytes:
    """Return the key of all hashes: `$REGULARS_PEPPER`, else `private/pepper`, made at first use."""
    given = os.environ.get("REGULARS_PEPPER")
    if given:
        return given.encode()
    path = private / "pepper"
    if not path.exists():
        _make_private(private)
        partial = private / f"pepper.{os.getpid()}"
        with os.fdopen(os.open(partial, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as stream:
            stream.write(secrets.token_hex(32))
        try:
            os.link(partial, path)
        except FileExistsError:
            pass  # another process made it first: theirs counts
        finally:
            partial.unlink()
    return path.read_bytes().strip()


def _make_private(private: Path) -> None:
    private.mkdir(parents=True, exist_ok=True)
    private.chmod(0o700)


def _newest(rows: pl.DataFrame) -> pl.DataFrame:
    latest = [pl.col(name).drop_nulls().last() for name in ("email", "phone")]
    return rows.group_by("customer_id", maintain_order=True).agg(latest)
