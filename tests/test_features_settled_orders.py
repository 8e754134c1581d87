"""What an order is after all that was said of it: hand-made words, and streams in any sequence."""

import random
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from features.messages import Cancellation, Line, Order, OrderWord, Refund
from features.settled_orders import settle_order

DAY = datetime(2026, 11, 1, 12, tzinfo=UTC)


def order(day: int, *amounts: int, made: int = 0, products: str = "ab") -> Order:
    lines = [
        Line(product_id=product, line_id=str(n), amount_minor=amount, quantity_minor=1000)
        for n, (product, amount) in enumerate(zip(products, amounts, strict=False))
    ]
    return Order(
        customer_id="c1",
        order_id="o1",
        said_at=DAY + timedelta(days=day),
        ordered_at=DAY + timedelta(days=made),
        lines=tuple(lines),
    )


def refund(day: int, name: str = "r1", amount: int | None = None, *lines: Line) -> Refund:
    at = DAY + timedelta(days=day)
    return Refund(
        customer_id="c1", order_id="o1", said_at=at, refund_id=name, amount_minor=amount, lines=lines
    )


def cancelled(day: int) -> Cancellation:
    return Cancellation(customer_id="c1", order_id="o1", said_at=DAY + timedelta(days=day))


def money(*words: OrderWord, stored: Order | None = None) -> list[tuple[str | None, int, bool]] | None:
    settled = settle_order(words, stored)
    if settled is None:
        return None
    return [(line.product_id, line.amount_minor, line.returned_at is not None) for line in settled.lines]


def test_the_latest_version_counts_whole() -> None:
    assert money(order(0, 100, 50), order(2, 70), order(1, 5)) == [("a", 70, False)]


def test_a_later_version_does_not_move_the_order() -> None:
    settled = settle_order([order(3, 100, made=3), order(0, 90, made=0)])
    assert settled is not None
    assert (settled.ordered_at, settled.lines[0].amount_minor) == (DAY, 100)


def test_a_cancelled_order_is_none_until_it_stands_again() -> None:
    assert money(order(0, 100), cancelled(1)) is None
    assert money(cancelled(1), order(2, 100)) == [("a", 100, False)]
    assert money(order(1, 100), cancelled(1)) is None  # at one instant the cancellation counts
    assert money(cancelled(0)) is None


def test_refunds_are_taken_from_the_order_and_never_more() -> None:
    whole = [("a", 100, False), ("b", 50, False)]
    assert money(order(0, 100, 50), refund(1)) == [*whole, ("a", -100, True), ("b", -50, True)]
    assert money(order(0, 100, 50), refund(1, amount=60)) == [*whole, (None, -60, True)]
    assert money(order(0, 100, 50), refund(1, amount=150)) == [*whole, ("a", -100, True), ("b", -50, True)]
    assert money(order(0, 100, 50), refund(1, amount=900)) == [*whole, ("a", -100, True), ("b", -50, True)]
    second = money(order(0, 100, 50), refund(1, amount=60), refund(2, "r2", amount=900))
    assert second == [*whole, (None, -60, True), (None, -90, True)]
    line = Line(product_id="b", amount_minor=500, quantity_minor=1000)
    assert money(order(0, 100, 50), refund(1, "r1", None, line)) == [*whole, ("b", -150, True)]


def test_a_refund_is_told_once_and_of_a_stored_order_too() -> None:
    twice = money(refund(1, amount=60), refund(1, amount=60), stored=order(0, 100))
    assert twice == [("a", 100, False), (None, -60, True)]
    assert money(refund(1, amount=60)) is None


@given(st.integers(0, 10_000))
def test_a_stream_in_any_sequence_and_doubled_settles_as_the_clean_one(seed: int) -> None:
    dice = random.Random(seed)
    words: list[OrderWord] = []
    for number in range(dice.randrange(1, 7)):
        day = dice.randrange(5)
        words.append(
            dice.choice(
                [
                    order(day, dice.randrange(1, 200), dice.randrange(1, 200), made=dice.randrange(3)),
                    cancelled(day),
                    refund(day, f"r{number % 3}", dice.choice([None, dice.randrange(1, 300)])),
                ]
            )
        )
    clean = settle_order(words)
    again = [*words, *dice.sample(words, len(words) // 2)]
    dice.shuffle(again)
    assert settle_order(again) == clean
    if clean is not None:
        assert sum(line.amount_minor for line in clean.lines) >= 0
