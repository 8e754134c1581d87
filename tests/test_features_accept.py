"""From drafts to accepted lines: reasons, returns, order ids, line numbers, currency."""

from datetime import UTC, datetime

import polars as pl
import pytest

from features.accept import accept_lines, chosen_currency
from features.drafts import Draft, draft_lines
from features.report import DataError, Report

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = datetime(2026, 11, 1, 10, tzinfo=UTC)


def draft(rows: list[dict[str, object]], **details: object) -> Draft:
    """Lay out lines in major units: customer c1, one hour, amount 10, unless said otherwise."""
    full = [{"customer_id": "c1", "ordered_at": HOUR, "amount": 10, "quantity": 1} | row for row in rows]

    def column(name: str, kind: type[pl.DataType] | pl.DataType) -> pl.Series:
        return pl.Series(name, [row.get(name) for row in full], dtype=kind)

    lines = draft_lines(
        row=pl.Series(range(2, len(full) + 2)),
        ordered_at=column("ordered_at", pl.Datetime("us", "UTC")),
        amount_minor=column("amount", pl.Float64).cast(pl.Int64) * 10_000,
        quantity_minor=column("quantity", pl.Int64) * 1_000,
        is_return=column("is_return", pl.Boolean),
        **{n: column(n, pl.String) for n in ("customer_id", "order_id", "line_id", "product_id", "left_out")},
    )
    return Draft(lines, **details)  # type: ignore[arg-type]


def accept(*drafts: Draft, time_zone: str = "UTC") -> tuple[pl.DataFrame, Report]:
    report = Report()
    return accept_lines(drafts, time_zone=time_zone, now=NOW, report=report).lines, report


def left_out(report: Report) -> dict[str, int]:
    return {item.reason: item.line_count for item in report.left_out}


def test_every_line_left_out_has_one_reason_and_its_money() -> None:
    lines, report = accept(
        draft(
            [
                {"order_id": "o1"},
                {"customer_id": None},
                {"customer_id": "x" * 257},
                {"customer_id": "a\nb"},
                {"ordered_at": None},
                {"ordered_at": datetime(2026, 11, 24, tzinfo=UTC)},
                {"amount": None},
                {"amount": 1e11 + 1},
                {"left_out": "cancelled_order", "amount": -7},
            ]
        )
    )
    assert lines.height == report.lines_accepted == 1
    assert left_out(report) == {
        "unusable_customer_id": 2,
        "amount_out_of_range": 1,
        "cancelled_order": 1,
        "future_date": 1,
        "missing_amount": 1,
        "missing_customer_id": 1,
        "missing_date": 1,
    }
    money = {item.reason: item.amount for item in report.left_out}
    assert money["unusable_customer_id"] == 20
    assert money["cancelled_order"] == -7
    assert report.rows_read == 9


@pytest.mark.parametrize(
    ("time_zone", "instant", "is_kept"),
    [
        ("UTC", datetime(2026, 11, 23, 23, 59, tzinfo=UTC), True),
        ("UTC", datetime(2026, 11, 24, tzinfo=UTC), False),
        ("Asia/Seoul", datetime(2026, 11, 23, 14, 59, tzinfo=UTC), True),
        ("Asia/Seoul", datetime(2026, 11, 23, 15, tzinfo=UTC), False),
    ],
)
def test_later_than_tomorrow_in_the_shops_days_is_future(
    time_zone: str, instant: datetime, is_kept: bool
) -> None:
    _, report = accept(draft([{}, {"ordered_at": instant}]), time_zone=time_zone)
    assert left_out(report) == ({} if is_kept else {"future_date": 1})


@pytest.mark.parametrize(("year", "is_kept"), [(1, False), (26, False), (1899, False), (1970, True)])
def test_a_year_before_1970_is_a_placeholder(year: int, is_kept: bool) -> None:
    _, report = accept(draft([{}, {"ordered_at": datetime(year, 1, 1, tzinfo=UTC)}]))
    assert left_out(report) == ({} if is_kept else {"date_before_1970": 1})


def test_no_usable_line_is_an_error_that_says_why() -> None:
    with pytest.raises(DataError, match="no usable order line in 2 rows; 2: no customer id"):
        accept(draft([{"customer_id": None}, {"customer_id": None}]))
    with pytest.raises(DataError, match="a header and no rows"):
        accept(draft([]))


@pytest.mark.parametrize(
    ("stated", "amount", "quantity", "expected"),
    [
        (None, 10, 1, (False, 10, 1)),
        (None, -10, 1, (True, -10, 1)),  # a negative price is an adjustment: the goods stay
        (None, -10, -1, (True, -10, -1)),
        (None, 10, -1, (True, -10, -1)),  # a refund with the sign forgotten
        (None, 0, 1, (False, 0, 1)),
        (True, 10, 1, (True, -10, -1)),
        (True, -10, -1, (True, -10, -1)),
        (False, -10, 1, (False, -10, 1)),  # the column outranks the sign
    ],
)
def test_returns(stated: bool | None, amount: int, quantity: int, expected: tuple[bool, int, int]) -> None:
    lines, _ = accept(draft([{"is_return": stated, "amount": amount, "quantity": quantity}]))
    returned, minor, pieces = lines.select("is_return", "amount_minor", "quantity_minor").row(0)
    assert (returned, minor / 10_000, pieces / 1_000) == expected


def test_money_of_returns_and_free_items_is_counted() -> None:
    _, report = accept(draft([{}, {"amount": -4}, {"amount": -3}, {"amount": 0}]))
    assert (report.returns.line_count, report.returns.amount) == (2, -7)
    assert report.free_items.line_count == 1


def test_lines_without_an_order_id_are_one_order_an_instant_or_day() -> None:
    later = datetime(2026, 11, 1, 11, 0, 0, 500_000, tzinfo=UTC)
    lines, _ = accept(draft([{}, {}, {"ordered_at": later}, {"order_id": "given"}], has_order_ids=False))
    assert lines["order_id"].sort().to_list() == [
        "c1@2026-11-01T10:00:00Z",
        "c1@2026-11-01T10:00:00Z",
        "c1@2026-11-01T11:00:00.500Z",
        "given",
    ]
    midnight = datetime(2026, 10, 31, 15, tzinfo=UTC)
    days, _ = accept(draft([{"ordered_at": midnight}], is_date_only=True), time_zone="Asia/Seoul")
    assert days["order_id"].to_list() == ["c1@2026-11-01"]


def test_lines_are_numbered_by_what_they_say() -> None:
    rows: list[dict[str, object]] = [{"order_id": "o", "product_id": p} for p in ("b", "a", "a", "c")]
    forward, _ = accept(draft(rows))
    backward, _ = accept(draft(rows[::-1]))
    assert forward.equals(backward)
    assert forward.select("product_id", "line_id").rows() == [("a", "1"), ("a", "2"), ("b", "3"), ("c", "4")]


def test_a_repeated_line_id_counts_once_the_last() -> None:
    rows: list[dict[str, object]] = [{"order_id": "o", "line_id": "1", "amount": a} for a in (5, 6)]
    lines, report = accept(draft([*rows, {"order_id": "p", "line_id": "1"}]))
    assert lines["amount_minor"].to_list() == [60_000, 100_000]
    assert left_out(report) == {"repeated_line_id": 1}


def test_an_order_comes_from_the_last_source_that_has_it() -> None:
    first = draft(
        [{"order_id": "o", "amount": 1}, {"order_id": "o", "amount": 2}, {"order_id": "p", "amount": 3}]
    )
    lines, report = accept(first, draft([{"order_id": "o", "amount": 4}]))
    assert lines.select("order_id", "amount_minor").rows() == [("o", 40_000), ("p", 30_000)]
    assert left_out(report) == {"replaced_in_later_file": 2}


@pytest.mark.parametrize(
    ("counts", "history", "expected", "found"),
    [
        ({"EUR": 3}, None, "EUR", []),
        ({"EUR": 3}, "EUR", "EUR", []),
        ({"EUR": 3}, "XXX", "EUR", [("warning", "currency_assumed")]),
        ({}, "EUR", "EUR", [("warning", "currency_assumed")]),
        ({}, "XXX", "XXX", [("advice", "no_currency")]),
        ({}, None, "XXX", [("advice", "no_currency")]),
        ({"EUR": 3, "USD": 1}, None, "EUR", [("error", "mixed_currencies")]),
        ({"USD": 3}, "EUR", "USD", [("error", "other_currency")]),
    ],
)
def test_one_currency(
    counts: dict[str, int], history: str | None, expected: str, found: list[tuple[str, str]]
) -> None:
    report = Report()
    assert chosen_currency([draft([], currencies=counts)], history=history, report=report) == expected
    assert [(finding.severity, finding.name) for finding in report.findings] == found
