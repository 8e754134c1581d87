"""Webhooks end to end: real receivers on this machine, real signatures, a clock that the test turns."""

import asyncio
import json
import logging
from datetime import timedelta
from pathlib import Path

import pytest
from change_runs import at, log_of, row, run
from pytest_httpserver import HTTPServer
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError
from webhook_shop import Receiver, Shop
from werkzeug import Request, Response

from features.delivery_settings import ChangeSettings
from serving.changes.lifecycle import EVENTS
from serving.databases import open_state
from serving.environment import Environment
from serving.outbound.courier import Courier, Tally
from serving.state.deliveries import GIVE_UP_AFTER, WAITS_SECONDS, Deliveries
from serving.state.webhooks import WebhookError


@pytest.fixture
def shop(tmp_path: Path, database: str) -> Shop:
    return Shop(tmp_path)


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
        (right, data, {**headers, "Webhook-Timestamp": str(int(shop.clock.at.timestamp()) + 1)}),
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
    ((failing, _),) = shop.webhooks.list_all()
    assert (failing.failures, failing.last_failure) == (len(WAITS_SECONDS), "it answered 500")
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
