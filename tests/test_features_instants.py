"""Dates and times: what is read, what is refused, and local times where clocks change."""

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.instants import days_of, localize, parse_instants, suggested_format
from features.snapshot import days_since_epoch


def read(cell: str, time_zone: str = "UTC", *formats: str) -> datetime | None:
    (value,) = parse_instants(pl.Series([cell]), time_zone=time_zone, formats=formats).values.to_list()
    return None if value is None else value.astimezone(UTC)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("2026.11.22 오후 3:05", utc(2026, 11, 22, 6, 5)),
        ("2026. 11. 22. 오전 12:05:09", utc(2026, 11, 21, 15, 5, 9)),
        ("2026년 11월 22일 15시 5분", utc(2026, 11, 22, 6, 5)),
        ("2026-11-22 15:05:00 +0900", utc(2026, 11, 22, 6, 5)),
        ("2026-11-22T15:05:00Z", utc(2026, 11, 22, 15, 5)),
        ("2026-11-22T15:05:00.123456-05:00", utc(2026, 11, 22, 20, 5, 0, 123456)),
        ("2026-11-22 15:05:00 UTC", utc(2026, 11, 22, 15, 5)),
        ("2026-11-22 15:05:00", utc(2026, 11, 22, 6, 5)),
        ("2026-11-22 15:05", utc(2026, 11, 22, 6, 5)),
        ("2026-11-22 3:05 PM", utc(2026, 11, 22, 6, 5)),
        ("2026/11/22", utc(2026, 11, 21, 15)),
        ("2026/1/2 3:04", utc(2026, 1, 1, 18, 4)),
        ("2026-11-22", utc(2026, 11, 21, 15)),
        ("20261122", utc(2026, 11, 21, 15)),
        (" 2026-11-22 ", utc(2026, 11, 21, 15)),
    ],
)
def test_year_first_and_iso_are_read_without_a_format(cell: str, expected: datetime) -> None:
    assert read(cell, "Asia/Seoul") == expected


@pytest.mark.parametrize(
    "cell", ["1700000000", "1700000000000", "2026-02-30", "yesterday", "2026-11-22 25:00", "2026-13-01"]
)
def test_epochs_and_impossible_dates_are_not_read(cell: str) -> None:
    assert read(cell) is None


@pytest.mark.parametrize("cell", ["22.11.2026", "11/22/2026", "1/2/26 3:04"])
def test_day_or_month_first_needs_a_format(cell: str) -> None:
    found = parse_instants(pl.Series([cell, "2026-01-01"]))
    assert found.values.is_null().to_list() == [True, False]
    assert found.ambiguous.to_list() == [True, False]


def test_explicit_formats_are_tried_in_turn() -> None:
    cells = pl.Series(["22.11.2026", "22.11.2026 오후 3:05", "22.11.2026 15:05 +0100", "2026-11-22"])
    formats = ("%d.%m.%Y", "%d.%m.%Y %p %I:%M", "%d.%m.%Y %H:%M %z")
    values = parse_instants(cells, formats=formats).values.to_list()
    assert values == [utc(2026, 11, 22), utc(2026, 11, 22, 15, 5), utc(2026, 11, 22, 14, 5), None]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["12/1/2010 8:26", "12/13/2010 8:26"], '"%m/%d/%Y %H:%M"'),
        (["13.12.2010", "01.12.2010"], '"%d.%m.%Y"'),
        (["1/2/10"], '"%d/%m/%y" or "%m/%d/%y"'),
        (["1/13/2010 3:04:05 PM"], '"%m/%d/%Y %I:%M:%S %p"'),
    ],
)
def test_the_format_to_set_is_proposed(cells: list[str], expected: str) -> None:
    assert suggested_format(pl.Series(cells)) == expected


def test_dates_alone_are_known_as_such() -> None:
    assert parse_instants(pl.Series(["2026-11-22", None])).is_date_only
    assert not parse_instants(pl.Series(["2026-11-22", "2026-11-22 00:01"])).is_date_only
    assert parse_instants(pl.Series([date(2026, 11, 22)])).is_date_only
    assert not parse_instants(pl.Series(["2026-11-22T00:00:00Z"])).is_date_only


def test_typed_columns() -> None:
    naive = pl.Series([datetime(2026, 11, 22, 15, 5)])
    aware = pl.Series([datetime(2026, 11, 22, 15, 5, tzinfo=timezone(timedelta(hours=9)))])
    assert parse_instants(naive, time_zone="Asia/Seoul").values.to_list() == [utc(2026, 11, 22, 6, 5)]
    assert parse_instants(aware).values.to_list() == [utc(2026, 11, 22, 6, 5)]
    assert parse_instants(pl.Series([1700000000])).values.to_list() == [None]


@pytest.mark.parametrize(
    ("zone", "local", "expected"),
    [
        ("Europe/Berlin", datetime(2024, 10, 27, 2, 30), utc(2024, 10, 27, 0, 30)),  # twice: the earlier
        ("Europe/Berlin", datetime(2024, 3, 31, 2, 30), utc(2024, 3, 31, 1, 30)),  # never: an hour later
        (
            "Australia/Lord_Howe",
            datetime(2024, 10, 6, 2, 15),
            utc(2024, 10, 5, 16, 15),
        ),  # a gap of half an hour
        ("Pacific/Apia", datetime(2011, 12, 30, 12), utc(2011, 12, 30, 22)),  # a day that never was
    ],
)
def test_clock_changes_are_settled_one_way(zone: str, local: datetime, expected: datetime) -> None:
    assert localize(pl.Series([local]), zone).to_list() == [expected]


@given(st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2035, 1, 1)))
def test_local_times_agree_with_the_standard_library(moment: datetime) -> None:
    zone = ZoneInfo("America/New_York")
    there = moment.replace(microsecond=0, tzinfo=zone)
    if (
        there.astimezone(UTC).astimezone(zone) != there
        or there.utcoffset() != there.replace(fold=1).utcoffset()
    ):
        return  # a clock change, covered above
    assert read(f"{moment:%Y-%m-%d %H:%M:%S}", "America/New_York") == there.astimezone(UTC)


def test_an_instant_has_one_number_of_days_however_many_rows_stand_beside_it() -> None:
    at = datetime(2026, 6, 30, 10, tzinfo=UTC)
    for count in (1, 2, 7):
        rows = pl.DataFrame({"at": [at] * count}, schema={"at": pl.Datetime("us", "UTC")})
        found = rows.select(days_of(pl.col("at"))).to_series().unique().to_list()
        assert found == [days_since_epoch(at)]
