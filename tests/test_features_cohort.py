"""The cohort, the default date and the headline horizon."""

from datetime import date
from pathlib import Path

import pytest
from features_shop import line, write_shop

from features.cohort import (
    AsOfError,
    ReturnGaps,
    build_cohort,
    default_as_of,
    headline_for,
    propose_headline_days,
    read_as_of,
    read_return_gaps,
)
from features.history import HistoryError
from features.snapshot import Snapshot


def test_the_cohort_is_everyone_with_an_order_before_the_snapshot(tmp_path: Path) -> None:
    history = write_shop(
        tmp_path,
        [
            line("late", "a", "2026-02-01", 1.0),
            line("zoe", "b", "2026-01-31T23:59", 1.0),
            line("ann", "c", "2025-01-01", 1.0),
            line("only returns", "d", "2026-01-01", -1.0),
        ],
    )
    cohort = build_cohort(history, Snapshot(date(2026, 2, 1)))
    assert cohort.rows() == [("ann", date(2026, 2, 1)), ("zoe", date(2026, 2, 1))]


@pytest.mark.parametrize(
    ("newest", "zone", "expected"),
    [
        ("2026-03-01T12:00", "UTC", date(2026, 3, 2)),
        ("2026-03-01T16:00", "Asia/Seoul", date(2026, 3, 3)),
        ("2026-03-01T00:00", "America/New_York", date(2026, 3, 1)),
        ("2026-05-01T00:00", "UTC", date(2026, 3, 11)),
    ],
)
def test_default_date_is_the_day_after_the_newest_order(
    tmp_path: Path, newest: str, zone: str, expected: date
) -> None:
    history = write_shop(tmp_path, [line("ann", "a", "2026-01-01", 1.0), line("ann", "b", newest, 1.0)])
    assert default_as_of(history, zone, today=date(2026, 3, 10)) == expected


def test_an_empty_history_has_no_default_date(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match="holds no order"):
        default_as_of(write_shop(tmp_path, []), "UTC")


def test_gaps_lie_between_order_days_that_are_known(tmp_path: Path) -> None:
    history = write_shop(
        tmp_path,
        [
            line("ann", "a", "2026-01-01T08:00", 1.0),
            line("ann", "b", "2026-01-01T20:00", 1.0),
            line("ann", "c", "2026-01-11T08:00", 1.0),
            line("ann", "d", "2026-02-10T08:00", 1.0),
            line("ann", "e", "2026-06-01T08:00", 1.0),
            line("bob", "f", "2026-01-01T00:00", 1.0),
            line("bob", "g", "2026-01-05T00:00", -1.0),
        ],
    )
    gaps = read_return_gaps(history, Snapshot(date(2026, 3, 1)))
    assert gaps == ReturnGaps(count=2, median_days=20.0, p95_days=30.0, history_days=59.0)
    assert propose_headline_days(history, Snapshot(date(2026, 3, 1))) == 30


@pytest.mark.parametrize(
    ("p95_days", "history_days", "expected"),
    [
        (20.0, 365.0, 30),
        (31.0, 365.0, 60),
        (124.0, 282.0, 90),
        (400.0, 2000.0, 365),
        (None, 365.0, 90),
        (9.0, 40.0, 30),
    ],
)
def test_headline_fits_the_gaps_and_a_third_of_the_history(
    p95_days: float | None, history_days: float, expected: int
) -> None:
    gaps = ReturnGaps(count=10, median_days=p95_days, p95_days=p95_days, history_days=history_days)
    assert headline_for(gaps) == expected


def test_nobody_came_back(tmp_path: Path) -> None:
    history = write_shop(tmp_path, [line("ann", "a", "2026-01-01", 1.0)])
    gaps = read_return_gaps(history, Snapshot(date(2026, 12, 1)))
    assert gaps == ReturnGaps(count=0, median_days=None, p95_days=None, history_days=334.0)
    assert propose_headline_days(history, Snapshot(date(2026, 12, 1))) == 90


def test_a_date_after_tomorrow_cannot_be_asked_for(tmp_path: Path) -> None:
    history = write_shop(tmp_path, [line("ann", "a", "2026-01-01", 1.0)])
    today = date(2026, 3, 1)
    assert read_as_of("2026-03-02", history, "UTC", today=today) == date(2026, 3, 2)
    with pytest.raises(AsOfError, match="latest date that can be asked for is 2026-03-02"):
        read_as_of("2026-03-03", history, "UTC", today=today)


def test_gaps_do_not_depend_on_the_buckets(tmp_path: Path) -> None:
    days = [
        (name, day)
        for name in ("ann", "bob", "cat", "dan")
        for day in ("2026-01-05", "2026-01-19", "2026-02-20")
    ]
    rows = [line(name, f"{name}{day}", day, 5.0) for name, day in days[:-1]]
    found = [
        read_return_gaps(
            write_shop(tmp_path / str(count), rows, bucket_count=count), Snapshot(date(2026, 3, 1))
        )
        for count in (1, 3)
    ]
    # Four gaps of 14 days, three of 32.
    assert found[0] == found[1] == ReturnGaps(count=7, median_days=14.0, p95_days=32.0, history_days=55.0)
