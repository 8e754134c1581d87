"""Webhooks over a network that means no good: slow receivers, private addresses, wrong certificates."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from change_runs import row
from pytest_httpserver import HTTPServer
from webhook_shop import Receiver, Shop
from werkzeug import Response

from features.delivery_settings import ChangeSettings
from serving.outbound.courier import Courier, Tally


@pytest.fixture
def shop(tmp_path: Path, database: str) -> Shop:
    return Shop(tmp_path)


@pytest.fixture
def silent() -> Iterator[str]:
    """Return the address of a receiver that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/in"


@pytest.fixture
def dripping() -> Iterator[str]:
    """Return the address of a receiver that answers a byte at a time, and never to its end."""
    ending = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)

        def drip() -> None:
            held = []
            while not ending.is_set():
                with suppress(TimeoutError):
                    held.append(listener.accept()[0])
                for connection in held:
                    try:
                        connection.send(b"H")
                    except OSError:
                        held.remove(connection)
                        connection.close()
            for connection in held:
                connection.close()

        thread = threading.Thread(target=drip)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/in"
        ending.set()
        thread.join()


def test_slow_receivers_hold_up_nobody(
    shop: Shop, httpserver: HTTPServer, silent: str, dripping: str
) -> None:
    arrived: list[float] = []
    httpserver.expect_request("/in").respond_with_handler(
        lambda _: arrived.append(1) or Response(status=204)  # type: ignore[func-returns-value]
    )
    for url in (silent, dripping, *[silent] * 10, httpserver.url_for("/in")):
        shop.webhooks.add(url, {"first_order"})
    shop.report([row("c1"), *(row(f"n{number}", historic_number_of_orders=1) for number in range(50))])
    settings = ChangeSettings(webhook_private_addresses=True, webhook_timeout_seconds=60)
    courier = Courier(shop.state, shop.layout, settings, now=shop.clock)

    async def until_arrived() -> None:
        task = asyncio.create_task(courier.drain())
        while len(arrived) < 50:  # the slow ones have a minute each: nobody waits for them
            await asyncio.sleep(0.01)
        task.cancel()

    asyncio.run(asyncio.wait_for(until_arrived(), 30))
    courier.close()
    assert courier.tally.failed == 0


@pytest.mark.parametrize("kind", ["silent", "dripping"])
def test_an_attempt_has_an_end_whatever_the_receiver_does(
    shop: Shop, kind: str, request: pytest.FixtureRequest
) -> None:
    shop.webhooks.add(request.getfixturevalue(kind), {"nth_order"})
    shop.order()
    assert shop.deliver(webhook_timeout_seconds=0.2) == Tally(failed=1)


def resolving(*answers: list[str]) -> tuple[Any, list[str]]:
    """Return a resolver that gives these answers in turn, and what it was asked."""
    asked: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return answers[min(len(asked), len(answers)) - 1]

    return resolve, asked


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["10.1.2.3"],
        ["169.254.169.254"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["fe80::1%lo"],
        ["93.184.215.14", "127.0.0.1"],
        ["0.0.0.0"],  # noqa: S104 - refused
    ],
)
def test_a_name_that_leads_to_a_private_address_is_not_connected_to(
    shop: Shop, httpserver: HTTPServer, addresses: list[str]
) -> None:
    shop.webhooks.add(f"https://hooks.example.com:{httpserver.port}/in", {"nth_order"})
    shop.order()
    resolve, asked = resolving(addresses)
    tally = shop.deliver(resolve=resolve, webhook_private_addresses=False, webhook_ports=(httpserver.port,))
    assert (tally, asked, httpserver.log) == (Tally(failed=1), ["hooks.example.com"], [])


def test_a_name_is_resolved_once_and_the_connection_goes_there(shop: Shop, httpserver: HTTPServer) -> None:
    """A second look would be the moment to answer with another address (DNS rebinding)."""
    receiver = Receiver(httpserver)
    shop.webhooks.add(f"http://hooks.example.com:{httpserver.port}/in?a=1", {"nth_order"})
    shop.order()
    resolve, asked = resolving(["127.0.0.1"], ["203.0.113.9"])
    assert shop.deliver(resolve=resolve) == Tally(sent=1)
    assert asked == ["hooks.example.com"]
    (request,) = receiver.received
    assert request.headers["host"] == f"hooks.example.com:{httpserver.port}"
    assert request.query_string == b"a=1"


def test_an_address_that_refuses_is_followed_by_the_next(shop: Shop, httpserver: HTTPServer) -> None:
    receiver = Receiver(httpserver)
    shop.webhooks.add(f"http://hooks.example.com:{httpserver.port}/in", {"nth_order"})
    shop.order()
    resolve, _ = resolving(["127.0.0.9", "127.0.0.1"])
    assert shop.deliver(resolve=resolve) == Tally(sent=1)
    assert len(receiver.received) == 1


def test_a_proxy_of_the_environment_is_not_used(
    shop: Shop, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    receiver = Receiver(httpserver)
    shop.webhooks.add(receiver.url, {"nth_order"})
    shop.order()
    assert shop.deliver() == Tally(sent=1)


def test_a_receiver_with_the_certificate_of_another_name_gets_nothing(shop: Shop, tmp_path: Path) -> None:
    server_tls, client_tls = certificates(tmp_path, "hooks.example.com")
    with HTTPServer(ssl_context=server_tls) as server:
        receiver = Receiver(server)
        resolve, _ = resolving(["127.0.0.1"])
        right = shop.webhooks.add(f"https://hooks.example.com:{server.port}/in", {"nth_order"})
        shop.order()
        assert shop.deliver(resolve=resolve, tls=client_tls) == Tally(sent=1)
        assert shop.deliver(resolve=resolve) == Tally()
        shop.webhooks.remove(right.endpoint_id)
        shop.webhooks.add(f"https://other.example.com:{server.port}/in", {"nth_order"})
        shop.order(10)
        assert shop.deliver(resolve=resolve, tls=client_tls) == Tally(failed=1)
        assert len(receiver.received) == 1


def certificates(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return the TLS settings of a server of a name and of a client that trusts its certificate."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "receiver.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(secret + certificate.public_bytes(serialization.Encoding.PEM))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    return server, ssl.create_default_context(cafile=str(path))
