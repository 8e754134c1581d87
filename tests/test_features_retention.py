"""Retention and churn against counts made by hand, and against the worked examples of the trade."""

import json
from dataclasses import asdict
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from features_shop import line, write_shop
from hypothesis import given
from hypothesis import strategies as st

from features.cohort_table import build_cohort_table, count_cohorts
from features.order_times import Months, iterate_order_times
from features.retention import (
    ChurnRate,
    churn_definition,
    count_activity,
    count_repurchase,
    read_churn,
    read_cohorts,
    read_repurchases,
    read_retention,
    retention_rate,
    whole_periods,
)
from features.settings import FeatureSettings, Settings
from features.shares import Share, wilson_interval
from features.snapshot import Snapshot, add_months, local_midnight_days

JANUARY, MARCH = date(2026, 1, 1), date(2026, 3, 1)


def order(customer: str, at: str, amount: float = 1.0) -> dict[str, object]:
    return line(customer, f"{customer}-{at}", at, amount)


def test_the_formula_of_the_trade_gives_78_percent_and_not_81() -> None:
    """50,000 at the start, 1,000 new, 40,000 at the end; 40,000 ÷ (50,000 − 1,000) is not what is asked."""
    assert retention_rate(50_000, 40_000, 1_000) == 0.78
    assert round(40_000 / 49_000, 2) == 0.82


@pytest.mark.parametrize(
    ("start", "end", "new", "rate"),
    [(100, 100, 0, 1.0), (100, 30, 30, 0.0), (0, 5, 5, None), (0, 0, 0, None)],
)
def test_the_formula_at_its_edges(start: int, end: int, new: int, rate: float | None) -> None:
    assert retention_rate(start, end, new) == rate


@pytest.mark.parametrize(("start", "end", "new"), [(10, 12, 1), (10, 3, 4), (-1, 0, 0), (10, 5, -1)])
def test_counts_that_cannot_be_are_refused(start: int, end: int, new: int) -> None:
    with pytest.raises(ValueError, match="count everybody as new"):
        retention_rate(start, end, new)


def test_900_of_2000_who_buy_again_within_two_months_are_45_percent(tmp_path: Path) -> None:
    """A customer of 15 January counts nowhere in 1 January to 28 February, however often they come back."""
    old = [order(f"c{number:04d}", "2025-11-05T10:00") for number in range(2_000)]
    again = [order(f"c{number:04d}", "2026-02-28T23:59") for number in range(900)]
    too_late = [order(f"c{number:04d}", "2026-03-01T00:00") for number in range(900, 950)]
    new = [order("new", "2026-01-15T12:00"), order("new", "2026-02-02T12:00"), order("new", "2026-02-09")]
    history = write_shop(tmp_path, [*old, *again, *too_late, *new])
    (found,) = read_repurchases(
        history, [(JANUARY, MARCH)], snapshot=Snapshot(date(2026, 4, 1)), settings=Settings()
    )
    assert (found.repurchased.count, found.repurchased.total, found.repurchased.share) == (900, 2_000, 0.45)
    assert found.new_count == 1
    assert (found.start_date, found.end_date) == ("2026-01-01", "2026-03-01")


def test_a_period_is_one_of_the_shops_own_days(tmp_path: Path) -> None:
    """15:00 UTC on 31 December is New Year's Day in Seoul: who first ordered then is new there."""
    history = write_shop(tmp_path, [order("ann", "2025-12-31T15:00"), order("ann", "2026-01-20T00:00")])
    found = {
        zone: read_repurchases(
            history, [(JANUARY, MARCH)], snapshot=Snapshot(MARCH, zone), settings=Settings()
        )[0]
        for zone in ("UTC", "Asia/Seoul")
    }
    assert (found["UTC"].repurchased.count, found["UTC"].repurchased.total, found["UTC"].new_count) == (
        1,
        1,
        0,
    )
    assert found["Asia/Seoul"].repurchased == Share(0, 0, None, None, None)
    assert found["Asia/Seoul"].new_count == 1


@pytest.mark.parametrize("period", [(MARCH, JANUARY), (JANUARY, JANUARY), (JANUARY, date(2026, 3, 2))])
def test_a_period_that_is_not_over_is_refused(tmp_path: Path, period: tuple[date, date]) -> None:
    history = write_shop(tmp_path, [order("ann", "2025-12-01")])
    with pytest.raises(ValueError, match="is no period that is over on 2026-03-01"):
        read_repurchases(history, [period], snapshot=Snapshot(MARCH), settings=Settings())


# As of 2026-07-01, 30 days: active at the start is who ordered in [05-02, 06-01), since is [06-01, 07-01).
ACTIVITY = [
    order("kept", "2026-05-02T00:00"),
    order("kept", "2026-06-30T23:00"),
    order("gone", "2026-05-31T23:59"),
    order("gone for longer", "2026-05-01T23:59"),
    order("new", "2026-06-01T00:00"),
    order("won back", "2026-04-01T00:00"),
    order("won back", "2026-06-10T00:00"),
    order("tomorrow", "2026-07-01T00:00"),
    order("returns only", "2026-05-10T00:00", -5.0),
]


@pytest.mark.parametrize("engine", ["polars", "duckdb"])
def test_churn_counts_who_was_active_and_has_not_ordered_since(tmp_path: Path, engine: str) -> None:
    settings = Settings(features=FeatureSettings(engine=engine))  # type: ignore[arg-type]
    history = write_shop(tmp_path, ACTIVITY)
    rates = read_churn(history, Snapshot(date(2026, 7, 1)), settings=settings, days=(30, 90))
    # Wilson's interval of 1 of 2.
    assert rates[0].churned == Share(
        1, 2, 0.5, pytest.approx(0.09453, abs=1e-5), pytest.approx(0.90547, abs=1e-5)
    )
    assert (rates[0].start_count, rates[0].end_count, rates[0].new_count, rates[0].won_back_count) == (
        2,
        3,
        1,
        1,
    )
    assert rates[0].retention_rate == 0.5
    # The history begins on 1 April, after D − 180.
    assert (rates[1].churned.share, rates[1].retention_rate, rates[1].reason) == (
        None,
        None,
        "history_too_short",
    )


def test_churn_says_where_nobody_was_active(tmp_path: Path) -> None:
    history = write_shop(tmp_path, [order("ann", "2025-01-01"), order("ann", "2026-06-20")])
    (rate,) = read_churn(history, Snapshot(date(2026, 7, 1)), settings=Settings(), days=(30,))
    assert (rate.churned.share, rate.reason, rate.won_back_count) == (None, "nobody_active", 1)


def test_churn_is_told_in_words() -> None:
    rate = ChurnRate(90, Share.of(0, 0), 0, 0, 0, 0, None, "nobody_active")
    assert churn_definition(rate) == (
        "of the customers who ordered within the 90 days before the last 90 days, "
        "those who have not ordered in these last 90 days"
    )


# January: a, b, c. February: d. a orders in January and March, b in February, c in April, d in April.
COHORTS = [
    order("a", "2026-01-05"),
    order("a", "2026-01-20"),
    order("a", "2026-03-31T23:30"),
    order("b", "2026-01-10"),
    order("b", "2026-02-01"),
    order("b", "2026-02-11"),
    order("c", "2026-01-31"),
    order("c", "2026-04-02"),
    order("d", "2026-02-10"),
    order("d", "2026-04-03"),
]


@pytest.mark.parametrize("engine", ["polars", "duckdb"])
def test_cohorts_mark_the_month_that_is_not_over(tmp_path: Path, engine: str) -> None:
    settings = Settings(features=FeatureSettings(engine=engine))  # type: ignore[arg-type]
    history = write_shop(tmp_path, COHORTS)
    table = read_cohorts(history, Snapshot(date(2026, 4, 20)), settings=settings, customer_count_min=1)
    cells = {
        row.month: [(cell.months_since, cell.ordered_count, cell.status) for cell in row.cells]
        for row in table.cohorts
    }
    assert cells == {
        "2026-01": [(1, 1, "ok"), (2, 1, "ok"), (3, 1, "unfinished")],
        "2026-02": [(1, 0, "ok"), (2, 1, "unfinished")],
    }
    assert table.cohorts[0].customer_count == 3
    assert table.cohorts[0].cells[0].share == 1 / 3
    # One month after: b of three and nobody of one. Two months after: only January's is over.
    assert [(cell.customer_count, cell.ordered_count) for cell in table.together] == [(4, 1), (3, 1)]
    # On 1 May, April is over and no month has begun.
    whole = read_cohorts(history, Snapshot(date(2026, 5, 1)), settings=settings, customer_count_min=1)
    assert [cell.status for cell in whole.cohorts[0].cells] == ["ok", "ok", "ok"]
    assert [(cell.customer_count, cell.ordered_count) for cell in whole.together] == [(4, 1), (4, 2), (3, 1)]


def test_cohorts_of_too_few_have_counts_and_no_share(tmp_path: Path) -> None:
    table = read_cohorts(
        write_shop(tmp_path, COHORTS), Snapshot(date(2026, 5, 1)), settings=Settings(), customer_count_min=3
    )
    assert [cell.status for cell in table.cohorts[0].cells] == ["ok", "ok", "ok"]
    assert [(cell.status, cell.share, cell.ordered_count) for cell in table.cohorts[1].cells] == [
        ("too_few", None, 0),
        ("too_few", None, 1),
    ]
    assert [cell.share for cell in table.together] == [0.25, 0.5, 1 / 3]


def test_cohorts_are_those_of_the_shops_own_months(tmp_path: Path) -> None:
    """23:30 UTC on 31 March is April in Seoul."""
    snapshot = Snapshot(date(2026, 5, 1), "Asia/Seoul")
    table = read_cohorts(write_shop(tmp_path, COHORTS), snapshot, settings=Settings(), customer_count_min=1)
    assert [cell.ordered_count for cell in table.cohorts[0].cells] == [1, 0, 2]


def test_a_cohort_is_marked_while_it_grows_and_while_it_may_hold_older_customers(tmp_path: Path) -> None:
    """95 % of the gaps fit into 63 days: February begins within those after 5 January, April does not."""
    late = [order("e", "2026-04-10")]
    table = read_cohorts(
        write_shop(tmp_path, [*COHORTS, *late]), Snapshot(date(2026, 4, 20)), settings=Settings()
    )
    marks = [(row.month, row.is_whole, row.may_be_older) for row in table.cohorts]
    assert marks == [("2026-01", True, True), ("2026-02", True, True), ("2026-04", False, False)]


def test_only_the_newest_months_are_shown(tmp_path: Path) -> None:
    table = read_cohorts(
        write_shop(tmp_path, COHORTS), Snapshot(date(2026, 5, 1)), settings=Settings(), months_max=3
    )
    assert [row.month for row in table.cohorts] == ["2026-02"]


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [order("ann", "2026-03-05")],
        [order("ann", "2026-03-05", -3.0)],
        [order("ann", "2026-09-01")],
    ],
)
def test_odd_shops_have_tables_too(tmp_path: Path, lines: list[dict[str, object]]) -> None:
    """No order, one order, a return alone, and an order that is not known yet."""
    found = read_retention(write_shop(tmp_path, lines), Snapshot(date(2026, 4, 1)), settings=Settings())
    assert [rate.churned.share for rate in found.churn] == [None] * 4
    assert json.loads(json.dumps(asdict(found)))["as_of"] == "2026-04-01"
    known = bool(lines) and lines[0]["order_id"] == "ann-2026-03-05" and not lines[0]["is_return"]
    assert [row.customer_count for row in found.cohorts.cohorts] == ([1] if known else [])
    assert [row.new_count for row in found.repurchases] == [int(known)] * 5


def test_whole_periods_end_with_the_last_month_that_is_over() -> None:
    assert whole_periods(Snapshot(date(2026, 3, 1)), months=(1, 2)) == [
        (date(2026, 2, 1), date(2026, 3, 1)),
        (date(2026, 1, 1), date(2026, 3, 1)),
    ]


def test_months_are_added_by_the_calendar() -> None:
    assert add_months(date(2024, 1, 31), 1) == date(2024, 2, 29)
    assert add_months(date(2026, 12, 1), 1) == date(2027, 1, 1)
    assert add_months(date(2026, 1, 15), -13) == date(2024, 12, 15)


def test_wilsons_interval_is_the_published_one() -> None:
    """Newcombe 1998, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29."""
    found = [wilson_interval(*pair) for pair in ((81, 263), (15, 148), (0, 20), (1, 29))]
    assert [tuple(round(edge, 4) for edge in pair) for pair in found] == [
        (0.2553, 0.3662),
        (0.0624, 0.1605),
        (0.0, 0.1611),
        (0.0061, 0.1718),
    ]
    assert wilson_interval(20, 20) == (pytest.approx(0.8389, abs=5e-5), 1.0)


@given(st.integers(0, 400), st.integers(1, 400))
def test_a_share_lies_within_its_interval(count: int, total: int) -> None:
    found = Share.of(min(count, total), total)
    assert found.share is not None
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low <= found.share <= found.high <= 1


def test_a_share_of_more_than_all_is_refused() -> None:
    with pytest.raises(ValueError, match="3 of 2 is no share"):
        Share.of(3, 2)


CALENDAR = st.lists(st.tuples(st.integers(0, 6), st.floats(20_400, 20_590)), max_size=60)


def times_of(orders: list[tuple[int, float]]) -> pl.DataFrame:
    rows = {"customer_id": [str(who) for who, _ in orders], "ordered_days": [at for _, at in orders]}
    return pl.DataFrame(rows, schema={"customer_id": pl.String, "ordered_days": pl.Float64})


@given(CALENDAR, st.integers(1, 90))
def test_retained_and_churned_are_those_who_were_there(orders: list[tuple[int, float]], days: int) -> None:
    """End − new − won back = start − churned, whatever the orders."""
    start, churned, end, new, won_back = count_activity(
        times_of(orders), Snapshot(date(2026, 5, 20)), days=days
    )
    assert end - new - won_back == start - churned
    if start:
        assert retention_rate(start, end, new + won_back) == pytest.approx(1 - churned / start)


@given(CALENDAR, st.floats(20_400, 20_500), st.floats(0, 90))
def test_nobody_new_counts_in_a_repurchase(
    orders: list[tuple[int, float]], start: float, length: float
) -> None:
    existing, again, new = count_repurchase(times_of(orders), start, start + length)
    ever = {who for who, at in orders if at < start + length}
    assert again <= existing
    assert existing + new == len(ever)
    assert existing == len({who for who, at in orders if at < start})


@given(CALENDAR)
def test_every_customer_is_in_one_cohort(orders: list[tuple[int, float]]) -> None:
    snapshot = Snapshot(date(2026, 5, 20))
    months = Months.until(snapshot, first_days=min((at for _, at in orders), default=None))
    counts = count_cohorts(times_of(orders), months)
    table = build_cohort_table(counts, months, snapshot=snapshot, lead_in_until=0.0, customer_count_min=1)
    assert sum(row.customer_count for row in table.cohorts) == len({who for who, _ in orders})
    for row in table.cohorts:
        assert all(cell.ordered_count <= row.customer_count for cell in row.cells)
        assert not row.may_be_older


def test_an_order_counts_once_and_from_its_first_line(tmp_path: Path) -> None:
    lines = [
        line("ann", "1", "2026-01-31T23:00", 1.0),
        line("ann", "1", "2026-02-01T01:00", 1.0),
        line("ann", "2", "2026-03-01T00:00", 1.0),
    ]
    history = write_shop(tmp_path, lines)
    frames = list(iterate_order_times(history, Snapshot(MARCH), engine="polars"))
    assert pl.concat(frames)["ordered_days"].to_list() == [
        local_midnight_days(date(2026, 2, 1), "UTC") - 1 / 24
    ]
