"""One attempt to deliver a message: resolved, checked, signed, sent to a checked address, not redirected."""

import asyncio
import base64
import hashlib
import hmac
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from datetime import UTC, datetime
from typing import Final, NamedTuple

import httpx2
from standardwebhooks import Webhook

from serving.outbound.webhook_address import AddressError, Rules, check_address, read_url
from serving.state.deliveries import Delivery
from serving.state.webhooks import Endpoint

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Return the IP addresses of a host; raises `OSError`."""

GONE: Final = 410
_ADDRESSES_MAX: Final = 3


class Outcome(NamedTuple):
    """What came of an attempt: the status answered, or None and the reason why there is none."""

    status: int | None
    reason: str = ""
    retry_after: float | None = None

    @property
    def is_taken(self) -> bool:
        """Whether the receiver has the message."""
        return self.status is not None and 200 <= self.status < 300


def signing_secret(master: bytes, endpoint: Endpoint, *, number: int | None = None) -> str:
    """Return an endpoint's newest secret, or an earlier one, as Standard Webhooks writes it.

    It is derived from `master`, the installation's own (`VAR/private/webhooks.key`), and kept nowhere.
    """
    text = f"{endpoint.endpoint_id}.{number or endpoint.secret_number}"
    digest = hmac.new(master, text.encode(), hashlib.sha256).digest()
    return "whsec_" + base64.b64encode(digest).decode()


def signed_headers(master: bytes, endpoint: Endpoint, delivery: Delivery, *, at: datetime) -> dict[str, str]:
    """Return the headers of an attempt at a moment; two signatures where the secret was changed.

    So a receiver may take the new secret whenever it likes. Whoever has the old one can forge nothing for a
    receiver who has the new one.
    """
    numbers = [number for number in (endpoint.secret_number, endpoint.secret_number - 1) if number]
    secrets = [signing_secret(master, endpoint, number=number) for number in numbers]
    signatures = [Webhook(secret).sign(delivery.message_id, at, delivery.body) for secret in secrets]
    return {
        "content-type": "application/json",
        "user-agent": "regulars-webhooks/1",
        "webhook-id": delivery.message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


class Sender:
    """Sends messages; whatever a receiver does, an attempt ends after `timeout_seconds`."""

    def __init__(
        self,
        master: bytes,
        rules: Rules,
        *,
        timeout_seconds: float,
        resolve: Resolve,
        tls: ssl.SSLContext | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._master = master
        self._rules = rules
        self._timeout_seconds = timeout_seconds
        self._resolve = resolve
        self._tls = tls or ssl.create_default_context()
        self._now = now

    def line(self) -> httpx2.AsyncHTTPTransport:
        """Return what connects to one endpoint, to be closed; a connection is used again while it lasts.

        Below the client: no redirect, no cookie, no proxy of the environment, and no address in its log.
        """
        return httpx2.AsyncHTTPTransport(verify=self._tls, trust_env=False)

    async def attempt(
        self, endpoint: Endpoint, delivery: Delivery, line: httpx2.AsyncHTTPTransport
    ) -> Outcome:
        """Try once; every failure is an outcome."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await self._send(endpoint, delivery, line)
        except TimeoutError:
            return Outcome(None, f"no answer within {self._timeout_seconds:g} seconds")
        except AddressError as error:
            return Outcome(None, str(error))
        except (OSError, UnicodeError):
            return Outcome(None, "the host has no address")
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            # The name alone: the message of an error may hold the address.
            return Outcome(None, f"the connection failed ({type(error).__name__})")

    async def _send(self, endpoint: Endpoint, delivery: Delivery, line: httpx2.AsyncHTTPTransport) -> Outcome:
        target = read_url(endpoint.url, self._rules)
        addresses = list(dict.fromkeys(await self._resolve(target.host, target.port)))[:_ADDRESSES_MAX]
        if not addresses:
            raise OSError
        for address in addresses:
            check_address(address, self._rules)
        headers = signed_headers(self._master, endpoint, delivery, at=self._now())
        headers["host"] = target.authority
        for number, address in enumerate(addresses, start=1):
            request = httpx2.Request(
                "POST",
                target.at(address),
                content=delivery.body.encode(),
                headers=headers,
                extensions={"sni_hostname": target.host},
            )
            try:
                answer = await line.handle_async_request(request)
            except httpx2.ConnectError:
                if number == len(addresses):
                    raise
                continue
            await answer.aclose()  # what it says beside its status is nobody's concern
            return Outcome(answer.status_code, "", _seconds(answer.headers.get("retry-after")))
        raise AssertionError("the last address returns or raises")


def resolver(executor: Executor) -> Resolve:
    """Return a resolver that asks the system, in threads of an executor."""

    async def resolve(host: str, port: int) -> list[str]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(executor, _resolve, host, port)
        return [str(entry[4][0]) for entry in found]

    return resolve


def _resolve(host: str, port: int) -> list[tuple[int, int, int, str, tuple[str | int, ...]]]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)  # type: ignore[return-value]


def _seconds(text: str | None) -> float | None:
    """Read a Retry-After in seconds; a date is not waited for."""
    return float(text) if text is not None and text.isascii() and text.isdigit() else None
