"""Where PostgreSQL is: `REGULARS_DATABASE_URL`, checked, and never shown with what is secret in it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from features.errors import UserError

# What is given in the address wins.
_DEFAULTS: Final = {"connect_timeout": "3", "keepalives_idle": "30", "application_name": "regulars"}
# A server that does not answer must not hold up callers for minutes.
_HASTY: Final = {"tcp_user_timeout": "5000"}
_HOST: Final = re.compile(r"[A-Za-z0-9.:_,-]*|(/[^@]*)")
_PORT: Final = re.compile(r"[0-9,]*")
_DATABASE: Final = re.compile(r"[^@:/?\s]*")
_FORM: Final = (
    "REGULARS_DATABASE_URL is no address of a PostgreSQL database: write "
    "postgresql://user:password@host:5432/database, in the password %XX for what is neither letter nor digit"
)


class AddressError(UserError):
    """The address of the database cannot be understood; the message repeats nothing of it."""


@dataclass(frozen=True, slots=True)
class PgAddress:
    """The address of a database; printing it shows server and database only."""

    name: str
    _parts: dict[str, str] = field(repr=False)

    @classmethod
    def of(cls, url: str) -> "PgAddress":
        """Read an address; raises `AddressError`."""
        if not url.startswith(("postgresql://", "postgres://")):
            raise AddressError(_FORM)
        try:
            parts = {name: str(value) for name, value in conninfo_to_dict(url).items()}
        except psycopg.Error:
            raise AddressError(_FORM) from None
        host, port, database = (parts.get(name, "") for name in ("host", "port", "dbname"))
        # A password with `@`, `:` or `/` in it spills over into these, which are shown.
        if not (_HOST.fullmatch(host) and _PORT.fullmatch(port) and _DATABASE.fullmatch(database)):
            raise AddressError(_FORM)
        name = f"PostgreSQL database {database!r} on {host or 'this machine'}"
        return cls(f"{name}:{port}" if port else name, parts)

    def conninfo(self, settings: Mapping[str, str], *, is_hasty: bool = True) -> str:
        """Return what libpq connects with, password included; `settings` are the session's own.

        A hasty connection is given up where the server is silent for five seconds.
        """
        given = _DEFAULTS | (_HASTY if is_hasty else {}) | self._parts
        options = [given.get("options", ""), *(f"-c {name}={value}" for name, value in settings.items())]
        return make_conninfo(**(given | {"options": " ".join(options).strip()}))

    def __repr__(self) -> str:
        return f"PgAddress({self.name})"

    __str__ = __repr__
