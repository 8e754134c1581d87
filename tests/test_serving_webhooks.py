"""Webhooks end to end: real receivers on this machine, real signatures, a clock that the test turns."""

import asyncio
import json
import logging
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from change_runs import at, log_of, made_state, row, run
from pytest_httpserver import HTTPServer
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError
from werkzeug import Request, Response

from features.console import run_command
from features.settings import ChangeSettings, Layout
from serving import deliver, webhooks
from serving.courier import MASTER_FILE, Courier, Tally
from serving.cursor import load_secret
from serving.databases import open_state
from serving.environment import Environment
from serving.lifecycle import EVENTS
from serving.state.deliveries import GIVE_UP_AFTER, WAITS_SECONDS, Deliveries
from serving.state.tables import DELIVERIES
from serving.state.webhooks import Endpoint, WebhookError, Webhooks
from serving.webhook_sender import signing_secret

NOW = datetime.now(UTC).replace(microsecond=0)


class Clock:
    """A clock that stands still until it is turned."""

    def __init__(self) -> None:
        self.at = NOW

    def __call__(self) -> datetime:
        return self.at

    def turn(self, **by: float) -> None:
        self.at += timedelta(**by)


class Shop:
    """A state with a log and webhooks; private addresses are allowed unless told otherwise."""

    def __init__(self, root: Path) -> None:
        self.state = made_state(root)
        self.layout = Layout(root)
        self.clock = Clock()
        self.webhooks = Webhooks(self.state, now=self.clock)
        self._runs = 0
        self.report([row("c1")])

    def report(self, rows: Sequence[Any]) -> None:
        self._runs += 1
        log_of(self.state).report_run(rows, run(self._runs))

    def order(self, count: int = 5) -> None:
        """Let c1 make so many orders: 5 and 10 are events."""
        self.report([row("c1", historic_number_of_orders=count, last_order_at=at(0))])

    def deliver(self, *, resolve: Any = None, tls: ssl.SSLContext | None = None, **rules: Any) -> Tally:
        settings = ChangeSettings(
            **{"webhook_private_addresses": True, "webhook_timeout_seconds": 5.0, **rules}
        )
        courier = Courier(self.state, self.layout, settings, resolve=resolve, tls=tls, now=self.clock)
        try:
            return asyncio.run(courier.drain())
        finally:
            courier.close()

    def secret(self, endpoint: Endpoint) -> str:
        return signing_secret(load_secret(self.layout.private, name=MASTER_FILE), endpoint)

    def waiting(self) -> list[Any]:
        with self.state.reading() as connection:
            return list(connection.execute(sa.select(DELIVERIES).order_by(DELIVERIES.c.sequence)).all())


@pytest.fixture
def shop(tmp_path: Path, database: str) -> Shop:
    return Shop(tmp_path)


class Receiver:
    """A receiver that answers with the statuses given, the last one again and again."""

    def __init__(self, server: HTTPServer, *statuses: int, headers: dict[str, str] | None = None) -> None:
        self.received: list[Request] = []
        self._statuses = list(statuses or (204,))
        self._headers = headers or {}
        server.expect_request("/in").respond_with_handler(self._answer)
        self.url = server.url_for("/in")

    def _answer(self, request: Request) -> Response:
        request.get_data()
        self.received.append(request)
        status = self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]
        return Response(status=status, headers=self._headers)

    @property
    def ids(self) -> list[str]:
        return [request.headers["webhook-id"] for request in self.received]


def test_a_message_is_thin_signed_and_sent_once(shop: Shop, httpserver: HTTPServer) -> None:
    receiver = Receiver(httpserver)
    endpoint = shop.webhooks.add(receiver.url, set(EVENTS))
    assert shop.deliver() == Tally()  # what was said before is none of its business
    shop.order()
    assert shop.deliver() == Tally(sent=1)
    (request,) = receiver.received
    body = Webhook(shop.secret(endpoint)).verify(request.get_data(), dict(request.headers))
    assert body == {
        "type": "nth_order",
        "timestamp": body["timestamp"],
        "data": {
            "customer_id": "c1",
            "sequence": 3,
            "as_of": "2026-11-22",
            "score_run_id": "s_0002",
            "number": 5,
            "ordered_at": at(0),
        },
    }
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-id"].startswith("msg_")
    assert shop.deliver() == Tally()
    assert shop.waiting() == []


def test_a_signature_of_another_secret_body_or_id_does_not_count(shop: Shop, httpserver: HTTPServer) -> None:
    receiver = Receiver(httpserver)
    endpoint, other = (shop.webhooks.add(receiver.url, {"nth_order"}) for _ in range(2))
    shop.webhooks.remove(other.endpoint_id)
    shop.order()
    shop.deliver()
    (request,) = receiver.received
    headers, data = dict(request.headers), request.get_data()
    right = Webhook(shop.secret(endpoint))
    right.verify(data, headers)
    for verifier, sent, shown in (
        (Webhook(shop.secret(other)), data, headers),
        (right, data.replace(b'"number":5', b'"number":6'), headers),
        (right, data, {**headers, "Webhook-Id": "msg_other"}),
        (right, data, {**headers, "Webhook-Timestamp": str(int(NOW.timestamp()) + 1)}),
    ):
        with pytest.raises(WebhookVerificationError):
            verifier.verify(sent, shown)


def test_an_endpoint_is_told_of_what_it_asked_for(shop: Shop, httpserver: HTTPServer) -> None:
    receiver = Receiver(httpserver)
    shop.webhooks.add(receiver.url, {"scores", "removed"})
    shop.report([row("c2", historic_number_of_orders=1)])
    shop.deliver()
    bodies = [json.loads(request.get_data()) for request in receiver.received]
    assert [(body["type"], body["data"]["customer_id"]) for body in bodies] == [
        ("scores", "c2"),
        ("removed", "c1"),
    ]
    assert "churn_probability" in bodies[0]["data"]["changed"]
    assert "scores" not in bodies[0]["data"]


def test_after_a_change_of_secret_both_count_until_the_next(shop: Shop, httpserver: HTTPServer) -> None:
    receiver = Receiver(httpserver)
    first = shop.webhooks.add(receiver.url, {"nth_order"})
    second = shop.webhooks.change_secret(first.endpoint_id)
    assert shop.secret(first) != shop.secret(second)
    shop.order()
    shop.deliver()
    third = shop.webhooks.change_secret(first.endpoint_id)
    shop.order(10)
    shop.deliver()
    earlier, later = receiver.received
    for endpoint in (first, second):
        Webhook(shop.secret(endpoint)).verify(earlier.get_data(), dict(earlier.headers))
    for endpoint in (second, third):
        Webhook(shop.secret(endpoint)).verify(later.get_data(), dict(later.headers))
    with pytest.raises(WebhookVerificationError):
        Webhook(shop.secret(first)).verify(later.get_data(), dict(later.headers))


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 404, 429, 500, 503])
def test_anything_but_success_is_tried_again_with_the_same_id(
    shop: Shop, httpserver: HTTPServer, status: int
) -> None:
    elsewhere = httpserver.url_for("/elsewhere")
    receiver = Receiver(httpserver, status, 204, headers={"location": elsewhere})
    shop.webhooks.add(receiver.url, {"nth_order"})
    shop.order()
    assert shop.deliver() == Tally(failed=1)
    assert shop.deliver() == Tally()  # not before its time
    shop.clock.turn(seconds=4)
    assert shop.deliver() == Tally()
    shop.clock.turn(seconds=1)
    assert shop.deliver() == Tally(sent=1)
    assert len(set(receiver.ids)) == 1
    assert [request.path for request, _ in httpserver.log] == ["/in", "/in"]
    stamps = [int(request.headers["webhook-timestamp"]) for request in receiver.received]
    assert stamps[1] - stamps[0] == 5


def test_the_waits_grow_and_make_a_day() -> None:
    assert sum(WAITS_SECONDS) == 86_400
    assert timedelta(days=1) == GIVE_UP_AFTER
    assert list(WAITS_SECONDS) == sorted(WAITS_SECONDS)


def test_an_endpoint_that_fails_for_a_day_is_disabled_and_says_so(
    shop: Shop, httpserver: HTTPServer, caplog: pytest.LogCaptureFixture
) -> None:
    receiver = Receiver(httpserver, 500)
    endpoint = shop.webhooks.add(receiver.url + "?token=canary", {"nth_order"})
    shop.order()
    for wait in WAITS_SECONDS:
        assert shop.deliver() == Tally(failed=1)
        shop.clock.turn(seconds=wait)
    with caplog.at_level(logging.DEBUG):
        tally = shop.deliver()
    assert tally == Tally(failed=1, disabled=((endpoint.endpoint_id, "it failed for 24 hours"),))
    assert len(set(receiver.ids)) == 1
    assert len(receiver.ids) == 1 + len(WAITS_SECONDS)
    assert f"webhook {endpoint.endpoint_id} is disabled: it failed for 24 hours" in caplog.text
    assert "canary" not in "".join(
        record.getMessage() for record in caplog.records if record.name != "werkzeug"
    )
    shop.clock.turn(days=3)
    shop.order(10)
    assert shop.deliver() == Tally()
    ((listed, waiting),) = shop.webhooks.list_all()
    assert (listed.disabled_reason, waiting) == ("it failed for 24 hours", 1)


def test_one_that_is_enabled_again_gets_all_that_it_missed(shop: Shop, httpserver: HTTPServer) -> None:
    receiver = Receiver(httpserver, 410, 204)
    endpoint = shop.webhooks.add(receiver.url, {"nth_order"})
    shop.order(5)
    tally = shop.deliver()
    assert tally.disabled == ((endpoint.endpoint_id, "it answered 410, gone"),)
    shop.order(10)
    assert shop.deliver() == Tally()
    shop.webhooks.enable(endpoint.endpoint_id)
    assert shop.deliver() == Tally(sent=2)
    numbers = [json.loads(request.get_data())["data"]["number"] for request in receiver.received]
    assert numbers == [5, 5, 10]


def test_a_message_that_is_refused_alone_holds_up_nothing_and_is_dropped_after_a_day(
    shop: Shop, httpserver: HTTPServer
) -> None:
    taken: list[str] = []

    def answer(request: Request) -> Response:
        body = json.loads(request.get_data())
        if body["type"] == "nth_order":
            return Response(status=400)
        taken.append(body["data"]["customer_id"])
        return Response(status=204)

    httpserver.expect_request("/in").respond_with_handler(answer)
    shop.webhooks.add(httpserver.url_for("/in"), {"nth_order", "first_order"})
    shop.order(5)
    assert shop.deliver() == Tally(failed=1)
    for step, wait in enumerate(WAITS_SECONDS):
        assert len(shop.waiting()) == 1
        shop.clock.turn(seconds=wait)
        log_of(shop.state).report([row(f"n{step}", historic_number_of_orders=1)], run(2))
        assert shop.deliver() == Tally(sent=1, failed=1)
    assert shop.waiting() == []
    assert taken == [f"n{step}" for step in range(len(WAITS_SECONDS))]
    ((endpoint, _),) = shop.webhooks.list_all()
    assert endpoint.disabled_at is None


def test_a_receiver_says_when_to_come_again(shop: Shop, httpserver: HTTPServer) -> None:
    receiver = Receiver(httpserver, 503, 204, headers={"retry-after": "60"})
    shop.webhooks.add(receiver.url, {"nth_order"})
    shop.order()
    shop.deliver()
    shop.clock.turn(seconds=59)
    assert shop.deliver() == Tally()
    shop.clock.turn(seconds=1)
    assert shop.deliver() == Tally(sent=1)


def test_what_waits_survives_a_restart_and_a_kill(shop: Shop, httpserver: HTTPServer, tmp_path: Path) -> None:
    receiver = Receiver(httpserver, 500, 204)
    shop.webhooks.add(receiver.url, {"nth_order"})
    shop.order()
    shop.deliver()
    # Killed while it sent: the endpoint is still taken, for two minutes.
    shop.clock.turn(seconds=5)
    again = Deliveries(open_state(Environment(var=tmp_path)), now=shop.clock)
    assert [endpoint.failures for endpoint in again.lease_due()] == [1]
    assert shop.deliver() == Tally()
    shop.clock.turn(seconds=120)
    assert shop.deliver() == Tally(sent=1)
    assert len(set(receiver.ids)) == 1


def test_two_couriers_send_nothing_twice(shop: Shop, httpserver: HTTPServer) -> None:
    receiver = Receiver(httpserver)
    shop.webhooks.add(receiver.url, {"first_order"})
    shop.report([row("c1"), *(row(f"n{number}", historic_number_of_orders=1) for number in range(30))])
    settings = ChangeSettings(webhook_private_addresses=True)
    couriers = [Courier(shop.state, shop.layout, settings, now=shop.clock) for _ in range(2)]

    async def both() -> list[Tally]:
        return list(await asyncio.gather(*(courier.drain() for courier in couriers)))

    tallies = asyncio.run(both())
    for courier in couriers:
        courier.close()
    assert sum(tally.sent for tally in tallies) == 30
    assert len(receiver.ids) == len(set(receiver.ids)) == 30
    sequences = [json.loads(request.get_data())["data"]["sequence"] for request in receiver.received]
    assert sequences == sorted(sequences)


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
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
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


def test_a_person_who_is_erased_is_in_no_message_any_more(shop: Shop, httpserver: HTTPServer) -> None:
    receiver = Receiver(httpserver, 500)
    shop.webhooks.add(receiver.url, {"nth_order"})
    shop.order()
    shop.deliver()
    log_of(shop.state).forget(["c1"])
    assert shop.waiting() == []
    shop.clock.turn(days=1)
    assert shop.deliver() == Tally()


def test_there_are_at_most_fifty(shop: Shop) -> None:
    for number in range(50):
        shop.webhooks.add(f"https://hooks.example.com/{number}", {"nth_order"})
    with pytest.raises(WebhookError, match="at most 50"):
        shop.webhooks.add("https://hooks.example.com/51", {"nth_order"})


def test_a_courier_that_follows_delivers_what_comes_and_stops(shop: Shop, httpserver: HTTPServer) -> None:
    receiver = Receiver(httpserver)
    shop.webhooks.add(receiver.url, {"nth_order"})
    courier = Courier(shop.state, shop.layout, ChangeSettings(webhook_private_addresses=True), now=shop.clock)

    async def follow() -> None:
        stop = asyncio.Event()
        task = asyncio.create_task(courier.follow(stop, poll_seconds=0.02))
        for count in (5, 10):
            await asyncio.to_thread(shop.order, count)
            while len(receiver.received) < count // 5:
                await asyncio.sleep(0.01)
        stop.set()
        await task

    asyncio.run(asyncio.wait_for(follow(), 30))
    courier.close()
    assert courier.tally == Tally(sent=2)


Asked = Callable[..., tuple[int, str, str]]


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Asked:
    """Run a command; return its exit code, standard output, standard error."""

    def call(*words: str, command: Any = webhooks._command) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["webhooks", *words, "--var", str(tmp_path)])
        monkeypatch.chdir(tmp_path)
        code: object = 0
        try:
            run_command(command)
        except SystemExit as stopped:
            code = stopped.code
        shown = capsys.readouterr()
        return code if isinstance(code, int) else 0, shown.out, shown.err

    return call


def for_development(folder: Path) -> None:
    (folder / "regulars.toml").write_text("[changes]\nwebhook_private_addresses = true\n")


def test_the_command_makes_lists_changes_and_removes(
    tmp_path: Path, ask: Asked, httpserver: HTTPServer
) -> None:
    for_development(tmp_path)
    assert ask()[1].startswith("no webhooks: make webhook URL=")
    receiver = Receiver(httpserver)
    code, out, err = ask("--url", receiver.url + "?token=canary", "--events", "all")
    assert code == 0
    secret = out.strip()
    assert secret.startswith("whsec_")
    assert secret not in err
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or secret[6:].encode() not in path.read_bytes()
    assert (tmp_path / "private/webhooks.key").stat().st_mode & 0o777 == 0o600
    listed = ask()[1]
    endpoint_id = listed.split()[0]
    assert "canary" not in listed + err
    assert "band_changed,first_order" in listed
    assert "working, 0 waiting" in listed
    log = log_of(open_state(Environment(var=tmp_path)))
    log.report_run([row("c1")], run(1))
    log.report_run([row("c1", historic_number_of_orders=5)], run(2))
    assert ask(command=deliver._command) == (0, "1 taken, 0 failed and to be tried again\n", "")
    (request,) = receiver.received
    Webhook(secret).verify(request.get_data(), dict(request.headers))
    new = ask("--rotate", endpoint_id)[1].strip()
    assert new.startswith("whsec_")
    assert new != secret
    assert ask("--enable", endpoint_id) == (0, f"{endpoint_id} is tried again\n", "")
    assert ask("--remove", endpoint_id) == (0, f"{endpoint_id} is forgotten\n", "")
    assert ask()[1].startswith("no webhooks")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--url", "https://hooks.example.com/"], "a webhook needs EVENTS; choose from band_changed"),
        (["--url", "https://hooks.example.com/", "--events", "everything"], "EVENTS=everything is unknown"),
        (["--url", "http://hooks.example.com/", "--events", "all"], "goes over https"),
        (["--url", "https://127.0.0.1/", "--events", "all"], "this one is private or reserved"),
        (["--url", "https://u:canary@hooks.example.com/", "--events", "all"], "no user and no password"),
        (["--events", "all"], "a new webhook needs a URL"),
        (["--remove", "wh_nobody"], "there are no webhooks"),
        (["--remove", "wh_1", "--enable", "wh_2"], "one at a time"),
    ],
)
def test_a_mistake_is_one_clear_line_and_makes_nothing(
    tmp_path: Path, ask: Asked, words: list[str], message: str
) -> None:
    code, out, err = ask(*words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err
    assert "canary" not in err
    assert not (tmp_path / "state").exists()


def test_a_webhook_that_nobody_knows_is_named(tmp_path: Path, ask: Asked) -> None:
    made_state(tmp_path)
    for word in ("--remove", "--enable", "--rotate"):
        code, _, err = ask(word, "wh_nobody")
        assert (code, err) == (2, "error: no webhook has the id 'wh_nobody'; `make webhook` lists them\n")


def test_without_a_state_there_is_nothing_to_deliver(ask: Asked) -> None:
    code, out, err = ask(command=deliver._command)
    assert (code, out) == (2, "")
    assert "there are no webhooks" in err
