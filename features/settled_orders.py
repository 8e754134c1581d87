"""What an order is after all that was said of it, in whatever sequence the words came.

The latest word on an order's lines counts, then refunds that were told apart are taken from it. Ties are
broken by what the words say: a stream that is shuffled, doubled or late settles as the clean one does.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from features.messages import Cancellation, Line, Order, OrderWord, Refund

REFUND_LINE: Final = "refund "


def settle_order(words: Iterable[OrderWord], stored: Order | None = None) -> Order | None:
    """Return an order as it stands after some words about it; None where it is cancelled or not known.

    `stored` is the order as it was known before, without refunds told apart: its lines count where no word
    tells them. An order was made when it was first heard of: later versions do not move it.
    """
    heard = list(words)
    last = latest_version(heard) or stored
    if last is None or isinstance(last, Cancellation):
        return None
    lines = list(last.lines)
    for refund in _refunds(heard):
        lines += _given_back(refund, lines)
    known = [word for word in (*heard, stored) if isinstance(word, Order)]
    first = min(word.ordered_at for word in known)
    return last.model_copy(update={"lines": tuple(lines), "ordered_at": first})


def latest_version(words: Iterable[OrderWord]) -> Order | Cancellation | None:
    """Return the latest word on an order as a whole; of two at one instant a cancellation counts."""
    versions = [word for word in words if isinstance(word, Order | Cancellation)]
    return max(versions, key=_rank, default=None)


def _rank(word: Order | Cancellation) -> tuple[float, bool, str]:
    return word.said_at.timestamp(), isinstance(word, Cancellation), word.model_dump_json()


def _refunds(words: Sequence[OrderWord]) -> list[Refund]:
    """Return refunds in the order of their instants; of two with one id the first counts."""
    refunds = [word for word in words if isinstance(word, Refund)]
    ordered = sorted(refunds, key=lambda refund: (refund.said_at, refund.refund_id, refund.model_dump_json()))
    return list({refund.refund_id: refund for refund in reversed(ordered)}.values())[::-1]


def _given_back(refund: Refund, lines: Sequence[Line]) -> list[Line]:
    """Return a refund as lines; more than is left of the order's money is not its lines' and is cut off."""
    left = max(sum(line.amount_minor for line in lines), 0)
    returned = refund.lines or _unnamed(refund, lines, left)
    found = []
    for number, line in enumerate(returned, start=1):
        amount = min(abs(line.amount_minor), left)
        left -= amount
        found.append(
            line.model_copy(
                update={
                    "amount_minor": -amount,
                    "quantity_minor": None if line.quantity_minor is None else -abs(line.quantity_minor),
                    "discount_minor": None,
                    "line_id": f"{REFUND_LINE}{refund.refund_id} {number}",
                    "returned_at": refund.said_at,
                }
            )
        )
    return found


def _unnamed(refund: Refund, lines: Sequence[Line], left: int) -> Sequence[Line]:
    """Return what a refund without lines gives back: every line where it is all, else money alone."""
    amount = left if refund.amount_minor is None else min(abs(refund.amount_minor), left)
    is_whole = amount == left and not any(line.returned_at for line in lines)
    if is_whole and all(line.amount_minor >= 0 for line in lines):
        return lines
    return [Line(amount_minor=amount)] if amount else []
