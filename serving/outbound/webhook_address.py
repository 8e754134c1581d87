"""Where a webhook may go: an https address of a public host, checked as text and again once it is resolved.

Whoever registers a webhook chooses where this service connects to. So that nobody reaches what only this
machine or its network reaches, a name is resolved once an attempt, every address it has is checked, and the
connection goes to a checked address and nowhere else.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from features.errors import UserError

URL_LENGTH_MAX: Final = 2_048
_PRINTABLE: Final = re.compile(r"[\x21-\x7e]+")
_LABEL: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.IGNORECASE)
_NUMBER: Final = re.compile(r"(0x[0-9a-f]*|[0-9]+)", re.IGNORECASE)
_PRIVATE_NAMES: Final = (
    "localhost",
    "local",
    "internal",
    "intranet",
    "lan",
    "home",
    "corp",
    "localdomain",
    "arpa",
    "onion",
)
# Public addresses at which clouds answer their own machines.
_METADATA: Final = frozenset(
    ipaddress.ip_address(text)
    for text in ("168.63.129.16", "192.0.0.192", "100.100.100.200", "169.254.169.254")
)
# What the internet routes; the rest of IPv6 is local, reserved or stands for another address.
_ROUTED: Final = ipaddress.ip_network("2000::/3")
_STANDS_FOR_IPV4: Final = tuple(map(ipaddress.ip_network, ("2001::/32", "2002::/16")))


class AddressError(UserError):
    """A webhook may not go to an address."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Which ports an address may name; `allows_private`, for tests and development, allows everything."""

    ports: Sequence[int] = (443, 8443)
    allows_private: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """A checked address, taken apart; `host` is a name, or an IP address without brackets."""

    scheme: str
    host: str
    port: int
    path: str

    def at(self, address: str) -> str:
        """Return the URL with an IP address in the host's place: a connection to it resolves nothing."""
        literal = f"[{address}]" if ":" in address else address
        return f"{self.scheme}://{literal}:{self.port}{self.path}"

    @property
    def authority(self) -> str:
        """The host as the Host header names it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == {"https": 443, "http": 80}[self.scheme] else f"{host}:{self.port}"


def read_url(url: str, rules: Rules) -> Target:
    """Check an address as text and take it apart; raises `AddressError`, which does not repeat it."""
    if len(url) > URL_LENGTH_MAX or not _PRINTABLE.fullmatch(url) or "\\" in url:
        raise AddressError(
            f"a webhook's URL has at most {URL_LENGTH_MAX} printable ASCII characters, no backslash"
        )
    try:
        parts = urlsplit(url)
        port = parts.port
        host = parts.hostname or ""
    except ValueError:
        raise AddressError("this is no URL; write https://host/path") from None
    schemes = ("https", "http") if rules.allows_private else ("https",)
    if parts.scheme not in schemes:
        raise AddressError("a webhook goes over https: write https://host/path")
    if "@" in parts.netloc:
        raise AddressError(
            "a webhook's URL holds no user and no password; the signature is what receivers check"
        )
    if "#" in url:
        raise AddressError("a webhook's URL has no fragment (#)")
    port = {"https": 443, "http": 80}[parts.scheme] if port is None else port
    if port not in rules.ports and not rules.allows_private:
        raise AddressError(f"a webhook goes to port {' or '.join(map(str, rules.ports))}")
    _check_host(host, rules)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port, path)


def _check_host(host: str, rules: Rules) -> None:
    try:
        literal = ipaddress.ip_address(host)
    except ValueError:
        _check_name(host, rules)
        return
    if "%" in host:
        raise AddressError("a webhook's host names no network interface (%)")
    check_address(str(literal), rules)


def _check_name(host: str, rules: Rules) -> None:
    labels = host.removesuffix(".").split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise AddressError("a webhook's host is a name of letters, digits and hyphens, or an IP address")
    # Resolvers read 2130706433, 0x7f.1 and 0177.0.0.1 as addresses.
    if _NUMBER.fullmatch(labels[-1]):
        raise AddressError("a webhook's host is a name, or an IP address in its usual form")
    is_private = len(labels) == 1 or labels[-1].lower() in _PRIVATE_NAMES
    if is_private and not rules.allows_private:
        raise AddressError("a webhook goes to a public host; this name is a private one")


def check_address(address: str, rules: Rules) -> None:
    """Raise `AddressError` unless an IP address is one that anybody on the internet reaches alike."""
    if not rules.allows_private and not is_public(address):
        raise AddressError("a webhook goes to a public address; this one is private or reserved")


def is_public(address: str) -> bool:
    """Say whether an IP address is public: routed, of one host, not a cloud's own.

    >>> [is_public(each) for each in ("93.184.215.14", "10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1")]
    [True, False, False, False]
    """
    found = ipaddress.ip_address(address)
    if isinstance(found, ipaddress.IPv6Address) and (
        found not in _ROUTED or any(found in network for network in _STANDS_FOR_IPV4)
    ):
        return False
    return found.is_global and not (found.is_multicast or found.is_reserved or found in _METADATA)
