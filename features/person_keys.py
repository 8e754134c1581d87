"""Who somebody is to the shop: the keyed hash of an e-mail address or a phone number.

Files and events derive the same key from the same address: `customer_key` is the one place where that is
done. The pepper is `$REGULARS_PEPPER`, or a file made once in the private folder.
"""

import hashlib
import hmac
import os
import re
import secrets
from pathlib import Path

from features.private_files import made_once

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


def read_pepper(private: Path) -> bytes:
    """Return the key of all hashes: `$REGULARS_PEPPER`, else `private/pepper`, made at first use."""
    given = os.environ.get("REGULARS_PEPPER")
    if given:
        return given.encode()
    return made_once(private / "pepper", lambda: secrets.token_hex(32).encode()).strip()
