"""The inbox: what was acknowledged is there, once, whatever comes again and whoever is killed."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from features.messages import Cancellation, Event, Line, Order
from serving.databases import open_state
from serving.environment import Environment
from serving.state.database import StateError
from serving.state.inbox import ASIDE, FOLDED, Inbox, Incoming
from serving.state.migrate import make

AT = datetime(2026, 6, 30, 10, tzinfo=UTC)


@pytest.fixture
def inbox(tmp_path: Path, database: str) -> Inbox:
    state = open_state(Environment(var=tmp_path))
    make(state)
    return Inbox(state)


def view(name: str, customer: str = "c1") -> Incoming:
    return Incoming(Event(customer_id=customer, event_type="product_viewed", occurred_at=AT), "events", name)


def order(name: str, customer: str = "c1", order_id: str = "A", *products: str, scope: str = "") -> Incoming:
    lines = tuple(Line(product_id=product, amount_minor=1) for product in products)
    message = Order(customer_id=customer, order_id=order_id, said_at=AT, ordered_at=AT, lines=lines)
    return Incoming(message, "events", name, order_scope=scope)


def test_a_message_is_kept_once_by_its_source_and_id(inbox: Inbox) -> None:
    assert inbox.put([view("m1"), view("m2"), view("m1", "c2")]) == [True, True, False]
    assert inbox.put([view("m2"), view("m3")]) == [False, True]
    other = Incoming(view("m1").message, "hook main", "m1")
    assert inbox.put([other]) == [True]
    stored = inbox.list_after(0, limit=10)
    assert [each.sequence for each in stored] == [1, 2, 3, 4]
    assert stored[0].message == view("m1").message
    assert inbox.newest() == 4


def test_thousands_at_once_keep_their_sequence(inbox: Inbox) -> None:
    assert all(inbox.put([view(f"m{number}", f"c{number}") for number in range(2_500)]))
    stored = inbox.list_after(0, limit=5_000)
    assert [each.message.customer_id for each in stored] == [f"c{number}" for number in range(2_500)]


def test_words_about_one_order_are_found_together(inbox: Inbox) -> None:
    gone = Cancellation(customer_id="c1", order_id="A", said_at=AT)
    inbox.put([order("1", "c1", "A"), order("2", "c2", "A"), order("3", "c1", "B")])
    inbox.settle(dict.fromkeys((1, 2, 3), (FOLDED, None)))
    assert inbox.list_unfolded() == []
    inbox.put([Incoming(gone, "events", "4")])
    # c2 has an order of the same number: in a batch of events order ids are the customer's own
    assert [each.sequence for each in inbox.list_unfolded()] == [1, 4]
    # a shop's are the shop's: whoever they come under
    inbox.put([order("5", "c1", "7", scope="hook main"), order("6", "c9", "7", scope="hook main")])
    assert [each.sequence for each in inbox.list_of(["c9"], after=0)] == [5, 6]


def test_how_far_the_inbox_is_folded(inbox: Inbox) -> None:
    assert inbox.folded_through() == 0
    inbox.put([view("1"), view("2"), view("3"), view("4")])
    assert inbox.folded_through() == 0
    inbox.settle({1: (FOLDED, None), 2: (ASIDE, "future"), 4: (FOLDED, None)})
    assert inbox.folded_through() == 2
    inbox.settle({3: (FOLDED, None)})
    assert inbox.folded_through() == 4
    assert [each.sequence for each in inbox.list_unfolded()] == [2]
    assert [each.sequence for each in inbox.list_after(0, limit=9)] == [1, 3, 4]


def test_what_was_bought_since(inbox: Inbox) -> None:
    inbox.put([order("1", "c1", "A", "p1", "p2"), order("2", "c1", "B", "p2", "p2", "p3"), view("3")])
    assert inbox.bought_since("c1", 0) == ["p1", "p2", "p3"]
    assert inbox.bought_since("c1", 1) == ["p2", "p3"]
    assert inbox.bought_since("c2", 0) == []


def test_old_messages_that_are_history_are_forgotten(inbox: Inbox) -> None:
    now = datetime(2026, 7, 1, tzinfo=UTC)
    inbox.put([order("1", "c1", "A", "p1"), view("2")], now=now - timedelta(days=91))
    inbox.put([view("3")], now=now)
    inbox.settle({1: (FOLDED, None), 3: (FOLDED, None)})
    assert inbox.prune(received_before=now - timedelta(days=90)) == 1
    assert [each.sequence for each in inbox.list_after(0, limit=9)] == [2, 3]
    assert inbox.bought_since("c1", 0) == []
    assert inbox.put([view("4")]) == [True]
    assert inbox.newest() == 4  # a number is never given twice


def test_a_message_that_cannot_be_kept_is_not_half_kept(tmp_path: Path) -> None:
    inbox = Inbox(open_state(Environment(var=tmp_path)))
    with pytest.raises(StateError):
        inbox.put([view("1")])
    assert not (tmp_path / "state").exists()
