"""Messages folded into a history: the same lines as files, in any sequence, as often as one likes."""

import random
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
from inbound_words import shopify_order, track, woocommerce_order
from tests_rows import rows_of

from features.drafts import Conventions
from features.fold import FUTURE, OTHER_CURRENCY, UNKNOWN_ORDER, Folded, Heard, fold
from features.history import History
from features.importers import shopify, woocommerce
from features.layout import Layout
from features.messages import Event, OrderWord
from features.report import Report
from serving.inbound.people import People
from serving.inbound.segment import read_track
from serving.inbound.shopify import read_order as read_shopify
from serving.inbound.woocommerce import read_order as read_woocommerce

UTC_ZONE = ZoneInfo("UTC")
NOW = datetime(2026, 7, 1, tzinfo=UTC)
SEEN = ["customer_id", "order_id", "ordered_at", "product_id", "amount_minor", "quantity_minor", "is_return"]


def heard(*calls: dict[str, object]) -> list[Heard]:
    people = People(Path("nowhere"))
    messages = [read_track(call, people, zone=UTC_ZONE)[0] for call in calls]
    return [Heard(number, message, key_of(message)) for number, message in enumerate(messages, start=1)]


def key_of(message: Event | OrderWord) -> str | None:
    return None if isinstance(message, Event) else f"{message.customer_id}/{message.order_id}"


def folded(root: Path, messages: Sequence[Heard], now: datetime = NOW) -> Folded:
    return fold(messages, Layout(root), time_zone="UTC", announce=lambda _: None, now=now)


def lines(root: Path) -> list[tuple[object, ...]]:
    table = History.open(Layout(root).history).read("order_lines")
    return table.select(SEEN).sort(SEEN).rows()


def goods(*products: tuple[str, float]) -> list[dict[str, object]]:
    return [{"product_id": product, "price": price} for product, price in products]


STREAM = [
    track(messageId="1"),
    track("Order Updated", messageId="2", timestamp="2026-06-30T12:00:00Z"),
    track("Order Refunded", messageId="3", timestamp="2026-06-30T13:00:00Z", properties={"order_id": "A-1"}),
    track(messageId="4", userId="c2", properties={"order_id": "A-1", "products": goods(("p1", 4))}),
    track(messageId="5", userId="c2", properties={"order_id": "B", "products": goods(("p2", 3), ("p3", 1))}),
    track(
        "Order Cancelled",
        messageId="6",
        userId="c2",
        timestamp="2026-06-30T11Z",
        properties={"order_id": "B"},
    ),
    track("Product Viewed", messageId="7", properties={"product_id": "p9"}),
]


def test_orders_and_events_become_history(tmp_path: Path) -> None:
    result = folded(tmp_path, heard(*STREAM))
    at, back = datetime(2026, 6, 30, 10, tzinfo=UTC), datetime(2026, 6, 30, 13, tzinfo=UTC)
    assert lines(tmp_path) == [
        ("c1", "A-1", at, "p00", 200_000, 2000, False),
        ("c1", "A-1", back, "p00", -200_000, -2000, True),
        ("c2", "A-1", at, "p1", 40_000, 1000, False),
    ]
    history = History.open(Layout(tmp_path).history)
    assert history.read("events").select("customer_id", "event_type", "product_id").rows() == [
        ("c1", "product_viewed", "p9")
    ]
    assert history.read("products").select("product_id", "name").row(0) == ("p00", "Pen")
    assert (history.manifest.currency, result.aside) == ("EUR", {})


def test_a_stream_shuffled_doubled_and_in_parts_gives_the_same_history(tmp_path: Path) -> None:
    clean = heard(*STREAM)
    folded(tmp_path / "clean", clean)
    wanted = History.open(Layout(tmp_path / "clean").history).manifest.data_hash
    for seed in range(8):
        dice, root = random.Random(seed), tmp_path / str(seed)
        stream = [*clean, *dice.sample(clean, 3)]
        dice.shuffle(stream)
        half = dice.randrange(len(stream))
        folded(root, stream[:half])
        # what comes later is folded with all that was heard of the same orders, as the inbox gives it
        folded(root, stream)
        assert History.open(Layout(root).history).manifest.data_hash == wanted


def test_a_cancelled_order_leaves_the_history_that_held_it(tmp_path: Path) -> None:
    folded(tmp_path, heard(*STREAM[:5]))
    assert any(row[1] == "B" for row in lines(tmp_path))
    folded(tmp_path, heard(STREAM[5]))
    assert not any(row[1] == "B" for row in lines(tmp_path))


def test_what_cannot_be_folded_yet_is_set_aside_and_tried_again(tmp_path: Path) -> None:
    ahead = track(messageId="a", timestamp="2026-07-09T10:00:00Z")
    other = track(messageId="b", userId="c3", properties={"order_id": "Z", "currency": "USD", "revenue": 3})
    lonely = track("Order Refunded", messageId="c", userId="c4", properties={"order_id": "L"})
    messages = heard(STREAM[3] | {"properties": {"order_id": "1", "currency": "EUR", "revenue": 5}}, ahead, other, lonely)  # fmt: skip # noqa: E501
    result = folded(tmp_path, messages)
    assert result.aside == {2: FUTURE, 3: OTHER_CURRENCY, 4: UNKNOWN_ORDER}
    assert [finding.message for finding in result.report.findings if finding.name.startswith("aside_")] == [
        "1 message is dated later than tomorrow; kept until then",
        "1 message is in another currency than the shop's, EUR; not taken",
        "1 message is about an order that is not known; kept until it is",
    ]
    assert [row[0] for row in lines(tmp_path)] == ["c2"]
    later = folded(tmp_path, messages, now=datetime(2026, 7, 9, tzinfo=UTC))
    assert later.aside == {3: OTHER_CURRENCY, 4: UNKNOWN_ORDER}
    assert [row[0] for row in lines(tmp_path)] == ["c1", "c2"]


def test_nothing_but_what_must_wait_writes_no_history(tmp_path: Path) -> None:
    result = folded(tmp_path, heard(track("Order Refunded", properties={"order_id": "L"})))
    assert result.aside == {1: UNKNOWN_ORDER}
    assert not Layout(tmp_path).history.exists()


def test_a_late_update_keeps_the_day_of_an_order_from_a_file(tmp_path: Path) -> None:
    folded(tmp_path, heard(track()))
    update = track(
        "Order Updated",
        messageId="9",
        timestamp="2026-07-01T09:00:00Z",
        properties={"order_id": "A-1", "products": goods(("p5", 7))},
    )
    folded(tmp_path, heard(update))
    assert [(row[2].date(), row[3]) for row in lines(tmp_path)] == [(date(2026, 6, 30), "p5")]  # type: ignore[attr-defined]


SHOPIFY_ROWS = """
Name|Email|Financial Status|Currency|Subtotal|Shipping|Total|Discount Amount|Created at|Lineitem quantity|Lineitem name|Lineitem price|Lineitem sku|Refunded Amount|Lineitem discount|Vendor
#1|canary.person@example.com|paid|EUR|27.00|5.00|32.00|3.00|2026-01-05 10:00:00 +0900|2|Pen|10.00|P1|0.00|0.00|Maker
#1||||||||2026-01-05 10:00:00 +0900|1|Ink|10.00||0.00||Other
"""  # noqa: E501
WOOCOMMERCE_ROWS = """
order_number|order_date|status|order_currency|order_total|billing_email|item_total|quantity|sku|product_name
727|2026-01-05 01:00:00|processing|EUR|23.00|canary.person@example.com|18.00|2|P1|Pen
"""


def test_webhooks_and_files_of_one_shop_tell_the_same(tmp_path: Path) -> None:
    people = People(tmp_path / "private")
    pepper = people._read_pepper
    conventions = Conventions("UTC", pepper=pepper)
    cases: list[tuple[OrderWord, pl.DataFrame]] = [
        (
            read_shopify(shopify_order(), people, zone=UTC_ZONE)[0],
            shopify.read(rows_of(SHOPIFY_ROWS), conventions, report=Report()).lines,
        ),
        (
            read_woocommerce(woocommerce_order(), people, zone=UTC_ZONE)[0],
            woocommerce.read(rows_of(WOOCOMMERCE_ROWS), conventions, report=Report()).lines,
        ),
    ]
    for number, (message, from_file) in enumerate(cases):
        root = tmp_path / str(number)
        folded(root, [Heard(1, message, "key")])
        wanted = from_file.select(SEEN).sort(SEEN).rows()
        assert summary(lines(root)) == summary(wanted)


def summary(rows: Iterable[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """Return what must agree: person, order, instant, product, money and pieces."""
    return sorted((row[0], row[1], row[2], row[3], row[4], row[5]) for row in rows)
