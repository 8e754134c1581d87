"""Batches of track calls: what is accepted is in the inbox, what is not is told with place and code."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from inbound_words import EMAIL, NAME, PHONE, track
from serving_runs import publish
from starlette.testclient import TestClient
from test_serving_guard import lose

from features.history import History
from features.identity import read_identities
from features.layout import Layout
from features.person_keys import customer_key, read_pepper
from features.suppression import NOBODY
from serving.api import create_app
from serving.databases import open_state
from serving.environment import Environment
from serving.fold import fold_inbox, take_journal
from serving.inbound.people import JOURNAL
from serving.routes.events import BODY_BYTES_MAX, EVENTS_MAX
from serving.schemas.received import EventReceipt
from serving.state.inbox import Inbox
from serving.state.migrate import make

PATH = "/v1/events/batch"


def made_var(folder: Path) -> Path:
    publish(folder)
    make(open_state(Environment(var=folder)))
    return folder


def open_client(var: Path) -> TestClient:
    app = create_app(Environment(var=var))
    return TestClient(app, base_url="http://127.0.0.1:8000", raise_server_exceptions=False)


@pytest.fixture
def var(tmp_path: Path, database: str) -> Path:
    return made_var(tmp_path)


@pytest.fixture
def client(var: Path) -> Iterator[TestClient]:
    with open_client(var) as opened:
        yield opened


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TestClient, Path]]:
    """One service for the calls that are read before any database is asked."""
    folder = made_var(tmp_path_factory.mktemp("var"))
    with open_client(folder) as opened:
        yield opened, folder


def send(client: TestClient, *calls: Any) -> dict[str, Any]:
    answer = client.post(PATH, json={"batch": list(calls)})
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = EventReceipt.model_validate(answer.json()).model_dump()
    return found


def stored(var: Path) -> list[Any]:
    return [each.message for each in Inbox(open_state(Environment(var=var))).list_after(0, limit=10_000)]


def test_what_is_accepted_is_kept_once(client: TestClient, var: Path) -> None:
    assert send(client, track(), track(), track("Product Viewed", messageId="m2")) == {
        "accepted": 2,
        "duplicates": 1,
        "suppressed": 0,
        "rejected": [],
    }
    assert send(client, track())["duplicates"] == 1
    order, view = stored(var)
    assert (order.order_id, order.lines[0].amount_minor, order.currency) == ("A-1", 200_000, "EUR")
    assert (view.event_type, view.customer_id) == ("product_viewed", "c1")


def properties(**changes: Any) -> dict[str, Any]:
    return track(properties=track()["properties"] | changes)


BAD: list[tuple[Any, str, str]] = [
    (7, "/", "no_object"),
    (track(type="identify"), "/type", "unsupported_type"),
    (track(messageId=None), "/messageId", "missing"),
    (track(messageId="a\x00b"), "/messageId", "unusable_id"),
    (track(messageId="x" * 257), "/messageId", "unusable_id"),
    (track(messageId=["m"]), "/messageId", "no_id"),
    (track(userId=None), "/userId", "missing"),
    (track(userId="\x1b[31m"), "/userId", "unusable_id"),
    (track(userId={"id": 1}), "/userId", "no_id"),
    (track(event=None), "/event", "missing"),
    (track(event="***"), "/event", "missing"),
    (track(timestamp=None), "/timestamp", "missing"),
    (track(timestamp="yesterday"), "/timestamp", "no_instant"),
    (track(timestamp="2026-02-30T10:00:00Z"), "/timestamp", "no_instant"),
    (track(timestamp=1782813600), "/timestamp", "no_instant"),
    (track(timestamp="0001-01-01T00:00:00+14:00"), "/timestamp", "no_instant"),
    (track(timestamp="1969-12-31T23:59:59Z"), "/timestamp", "before_1970"),
    (track(properties=[1]), "/properties", "no_object"),
    (properties(order_id=None), "/properties/order_id", "missing"),
    (properties(currency="euros"), "/properties/currency", "no_currency"),
    (properties(products={}), "/properties/products", "no_list"),
    (properties(products=[None]), "/properties/products/0", "no_object"),
    (properties(products=[{"product_id": "p"}]), "/properties/products/0/price", "missing"),
    (properties(products=[{"price": "1e400"}]), "/properties/products/0/price", "out_of_range"),
    (properties(products=[{"price": "NaN"}]), "/properties/products/0/price", "no_number"),
    (properties(products=[{"price": True}]), "/properties/products/0/price", "no_number"),
    (properties(products=[{"price": "9" * 41}]), "/properties/products/0/price", "no_number"),
    (properties(products=[{"price": 1}] * 1001), "/properties/products", "too_many"),
    (properties(products=None), "/properties/products", "missing"),
    (track("Order Refunded", properties={}), "/properties/order_id", "missing"),
    (track(properties={"order_id": "A", "note": "x" * 33_000}), "/", "too_large"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "pointer", "code"), BAD, ids=[f"{p}-{c}-{n}" for n, (_, p, c) in enumerate(BAD)])  # fmt: skip # noqa: E501
def test_a_call_that_cannot_be_read_is_rejected_alone(
    shared: tuple[TestClient, Path], call: Any, pointer: str, code: str
) -> None:
    client, var = shared
    before = len(stored(var))
    found = send(client, track(messageId=f"good {before}"), call)
    assert found["rejected"] == [{"index": 1, "pointer": pointer, "code": code}]
    assert found["accepted"] == 1
    assert len(stored(var)) == before + 1


def test_a_batch_that_is_none_is_refused_whole(client: TestClient, var: Path) -> None:
    for body in ([], {}, {"batch": {}}, {"batch": []}, {"batch": [track()] * (EVENTS_MAX + 1)}):
        answer = client.post(PATH, json=body)
        assert answer.status_code in (413, 422), answer.text
    assert client.post(PATH, content=b"x" * (BODY_BYTES_MAX + 1)).status_code in (413, 415)
    assert stored(var) == []


def test_times_without_an_offset_are_the_shops(var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (var / "regulars.toml").write_text('[shop]\ntime_zone = "Asia/Seoul"\n')
    monkeypatch.chdir(var)
    app = create_app(Environment(var=var))
    with TestClient(app, base_url="http://127.0.0.1:8000") as client:
        send(client, track(timestamp="2026-06-30T10:00:00"))
    (order,) = stored(var)
    assert order.ordered_at.isoformat() == "2026-06-30T01:00:00+00:00"


def test_an_address_is_nowhere_but_with_the_identities(client: TestClient, var: Path) -> None:
    traits = {"email": EMAIL, "phone": PHONE, "name": NAME}
    calls = [
        track(messageId="1", userId=None, context={"traits": traits}),
        track(messageId="2", userId=EMAIL.upper()),
        track(messageId="3", userId="c7", context={"traits": traits}),
    ]
    assert send(client, *calls)["accepted"] == 3
    key = customer_key(EMAIL, None, read_pepper(var / "private"))
    assert [each.customer_id for each in stored(var)] == [key, key, "c7"]
    journal = var / "private" / JOURNAL
    assert journal.stat().st_mode & 0o777 == 0o600
    people = [json.loads(line) for line in journal.read_text().splitlines()]
    assert {(each["customer_id"], each["email"]) for each in people} == {(key, EMAIL), ("c7", EMAIL)}
    fold_inbox(Environment(var=var), time_zone="UTC")
    assert not journal.exists()
    for path in (path for path in var.rglob("*") if path.is_file() and path.parent.name != "private"):
        content = path.read_bytes()
        assert not any(word.encode() in content for word in (EMAIL, PHONE, NAME, EMAIL.upper())), path
    assert key in History.open(Layout(var).history).read("order_lines")["customer_id"]


def test_folding_twice_changes_nothing_and_says_so(client: TestClient, var: Path) -> None:
    send(client, track(), track("Order Refunded", messageId="m2", properties={"order_id": "A-1"}))
    folded = fold_inbox(Environment(var=var), time_zone="UTC")
    assert folded is not None
    assert folded.report.orders.new == 1  # type: ignore[union-attr]
    assert fold_inbox(Environment(var=var), time_zone="UTC") is None
    assert Inbox(open_state(Environment(var=var))).folded_through() == 2


@pytest.mark.slow
def test_what_cannot_be_kept_is_not_acknowledged(client: TestClient, var: Path, database: str) -> None:
    state = open_state(Environment(var=var))
    with state.writing():
        answer = client.post(PATH, json={"batch": [track()]})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert send(client, track())["accepted"] == 1
    lose(state, database, "gone")
    # Without a key the open door closes as well, as soon as the loss is seen.
    assert client.post(PATH, json={"batch": [track(messageId="m9")]}).status_code in (401, 503)


def test_what_was_bought_leaves_the_lists_at_once(client: TestClient) -> None:
    path = "/v1/customers/c1/recommendations?kind=for_you"
    before = client.get(path)
    first, *rest = [place["product_id"] for place in before.json()["lists"]["for_you"]]
    bought = track(properties={"order_id": "now", "products": [{"product_id": first, "price": 1}]})
    send(client, bought)
    after = client.get(path, headers={"if-none-match": before.headers["etag"]})
    assert after.status_code == 200
    assert [place["product_id"] for place in after.json()["lists"].get("for_you", [])] == rest
    other = client.get("/v1/customers/c2/recommendations?kind=for_you").json()
    assert first in [place["product_id"] for place in other["lists"]["for_you"]]
    included = client.get("/v1/customers/c1/predictions?include=recommendations").json()["recommendations"]
    assert first not in [place["product_id"] for place in included.get("for_you", [])]


def test_half_a_line_of_an_address_harms_no_other(client: TestClient, var: Path) -> None:
    """What a full disk left: nobody was told that it is kept; what came before and after is read."""
    given = [
        track(messageId=f"m{n}", userId=f"c{n}", context={"traits": {"email": f"c{n}@x.org"}}) for n in (1, 2)
    ]
    send(client, given[0])
    with (var / "private" / JOURNAL).open("ab") as stream:
        stream.write('{"customer_id": "c9", "email": "\u00e9'.encode()[:-1])
    send(client, given[1])
    take_journal(var / "private", NOBODY)
    assert read_identities(var / "private")["customer_id"].to_list() == ["c1", "c2"]
