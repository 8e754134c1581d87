"""People: the same key for the same address, nothing readable in it, and a private table that only grows."""

import stat
from pathlib import Path

import polars as pl
import pytest

from features.identity import customer_keys, merge_identities, people_of, read_identities
from features.person_keys import customer_key, normal_email, normal_phone, read_pepper

PEPPER = b"salt and pepper"


def test_the_key_is_pinned() -> None:
    # HMAC-SHA256 of "email:ann@example.com" under the pepper, made with openssl
    assert customer_key("ann@example.com", None, PEPPER) == "h_1bd7e9530e5da7dd431be4b23a8fa8b1"


def test_one_address_one_key() -> None:
    key = customer_key("ann@example.com", None, PEPPER)
    assert customer_key(" Ann@Example.COM ", "+44123456", PEPPER) == key
    assert customer_key("ann@example.com", None, b"other") != key
    assert customer_key(None, "'+44 2000 012423", PEPPER) == customer_key("", "0044-2000-012423", PEPPER)
    assert customer_key("n/a", "none", PEPPER) is None


@pytest.mark.parametrize(
    ("phone", "expected"),
    [
        ("'+442000012423", "+442000012423"),
        ("0049 (30) 123456", "+4930123456"),
        ("010-1234-5678", "01012345678"),
        ("12", None),
        (None, None),
    ],
)
def test_phones_become_digits(phone: str | None, expected: str | None) -> None:
    assert normal_phone(phone) == expected


@pytest.mark.parametrize("text", ["", "ann", "ann@", "@x.com", "a b@c.de", "a@b", None])
def test_what_is_no_email_is_none(text: str | None) -> None:
    assert normal_email(text) is None


def test_columns_are_keyed_like_single_cells() -> None:
    emails = pl.Series(["a@b.de", None, None, "A@B.de"], dtype=pl.String)
    phones = pl.Series([None, "+49123456", None, "+1"], dtype=pl.String)
    keys = customer_keys(emails, phones, PEPPER)
    assert keys.to_list() == [customer_key(e, p, PEPPER) for e, p in zip(emails, phones, strict=True)]


def test_given_ids_stay_and_addresses_are_keyed() -> None:
    nothing = pl.Series([None, None, None], dtype=pl.String)
    ids, people = people_of(
        pl.Series(["c1", "ann@b.de", None], dtype=pl.String), nothing, nothing, pepper=lambda: PEPPER
    )
    assert ids.to_list() == ["c1", customer_key("ann@b.de", None, PEPPER), None]
    assert people is not None
    assert people.filter(pl.col("email").is_not_null()).rows() == [(ids[1], "ann@b.de", None)]


def test_plain_ids_ask_for_no_pepper() -> None:
    def refuse() -> bytes:
        raise AssertionError

    nothing = pl.Series([None], dtype=pl.String)
    assert people_of(pl.Series(["c1"]), nothing, nothing, pepper=refuse)[1] is None


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_pepper_is_made_once_and_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REGULARS_PEPPER", raising=False)
    first = read_pepper(tmp_path / "private")
    assert first == read_pepper(tmp_path / "private")
    assert len(first) == 64
    assert (mode(tmp_path / "private"), mode(tmp_path / "private/pepper")) == (0o700, 0o600)
    monkeypatch.setenv("REGULARS_PEPPER", "mine")
    assert read_pepper(tmp_path / "private") == b"mine"


def test_identities_grow_and_newer_addresses_win(tmp_path: Path) -> None:
    schema = ["customer_id", "email", "phone"]
    merge_identities(
        tmp_path,
        pl.DataFrame([("a", "a@x.de", None), ("b", "b@x.de", "1234567")], schema=schema, orient="row"),
    )
    merge_identities(
        tmp_path, pl.DataFrame([("a", None, "7654321"), ("b", "new@x.de", None)], schema=schema, orient="row")
    )
    assert read_identities(tmp_path).rows() == [("a", "a@x.de", "7654321"), ("b", "new@x.de", "1234567")]
    assert mode(tmp_path / "identities.parquet") == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["identities.parquet"]
