"""Win-back schedules against the calendar, and when a shop's customers have left for good."""

import subprocess
import sys
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from features_shop import line, write_shop
from hypothesis import example, given
from hypothesis import strategies as st

from features.fully_churned import find_fully_churned, read_fully_churned
from features.return_curve import ReturnCurve
from features.snapshot import Snapshot
from features.winback import Span, WinbackRule, WinbackSchedule, WinbackState, winback_schedule

CLICKED, BOUGHT = date(2026, 1, 15), date(2025, 11, 20)


def days_of(schedule: WinbackSchedule) -> list[str]:
    return [day.isoformat() for day in schedule.message_dates]


def test_the_worked_example_runs_from_3_to_9_months() -> None:
    """First 3 months after the last interaction, last 6 months after the first, every two months between."""
    schedule = winback_schedule(last_purchase_on=BOUGHT, last_click_on=CLICKED)
    assert days_of(schedule) == ["2026-04-15", "2026-06-15", "2026-08-15", "2026-10-15"]
    assert (schedule.clock, schedule.silent_since) == ("click", CLICKED)
    assert schedule.suppressed_from == date(2026, 10, 16)


def test_months_end_where_months_end() -> None:
    schedule = winback_schedule(last_purchase_on=BOUGHT, last_click_on=date(2025, 11, 30))
    assert days_of(schedule) == ["2026-02-28", "2026-04-30", "2026-06-30", "2026-08-30"]


def test_every_month_where_that_is_asked_for() -> None:
    schedule = winback_schedule(
        last_purchase_on=BOUGHT, last_click_on=CLICKED, rule=WinbackRule(step_months_max=1)
    )
    assert days_of(schedule) == [f"2026-{month:02d}-15" for month in range(4, 11)]


def test_without_clicks_six_months_after_the_order_count() -> None:
    """20 May to 20 August are 92 days: too far apart for one step, so there are two of 46."""
    schedule = winback_schedule(last_purchase_on=BOUGHT)
    assert (schedule.clock, days_of(schedule)) == ("purchase", ["2026-05-20", "2026-07-05", "2026-08-20"])


@pytest.mark.parametrize(
    ("clicked", "clock", "first", "last"),
    [
        # The order is the newer interaction: three months after it.
        (date(2025, 11, 1), "click", "2026-02-20", "2026-08-20"),
        # Still clicking, but six months without an order: those come first, and the end waits for the click.
        (date(2026, 4, 30), "purchase", "2026-05-20", "2027-01-30"),
        # Both on one day.
        (date(2026, 2, 20), "click", "2026-05-20", "2026-11-20"),
    ],
)
def test_the_earlier_clock_begins_and_the_last_interaction_ends(
    clicked: date, clock: str, first: str, last: str
) -> None:
    schedule = winback_schedule(last_purchase_on=BOUGHT, last_click_on=clicked)
    assert (schedule.clock, days_of(schedule)[0], days_of(schedule)[-1]) == (clock, first, last)


def test_the_end_is_the_shops_own() -> None:
    """150 days after 15 January is 14 June: 60 days after the first message, one step."""
    schedule = winback_schedule(last_purchase_on=BOUGHT, last_click_on=CLICKED, fully_churned=Span(days=150))
    assert days_of(schedule) == ["2026-04-15", "2026-06-14"]
    longer = winback_schedule(last_purchase_on=BOUGHT, last_click_on=CLICKED, fully_churned=Span(days=200))
    assert days_of(longer) == ["2026-04-15", "2026-06-09", "2026-08-03"]


@pytest.mark.parametrize("days", [10, 90, 105])
def test_where_the_end_comes_too_soon_there_is_one_message(days: int) -> None:
    schedule = winback_schedule(last_purchase_on=BOUGHT, last_click_on=CLICKED, fully_churned=Span(days=days))
    assert schedule.message_dates == (CLICKED + timedelta(days=days),)


def test_rules_of_ones_own() -> None:
    rule = WinbackRule(after_click=Span(days=30), after_purchase=Span(days=45))
    schedule = winback_schedule(last_purchase_on=BOUGHT, rule=rule, fully_churned=Span(days=165))
    assert days_of(schedule) == ["2026-01-04", "2026-03-05", "2026-05-04"]


@pytest.mark.parametrize("wrong", [{"months": 0}, {"months": -1, "days": 40}, {"days": -1}])
def test_spans_of_nothing_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="no span"):
        Span(**wrong)


def test_steps_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="must be 1 or more"):
        WinbackRule(step_months_max=0)


@pytest.mark.parametrize(
    ("day", "state"),
    [
        ("2026-04-14", WinbackState("waiting", 0, date(2026, 4, 15))),
        ("2026-04-15", WinbackState("running", 1, date(2026, 6, 15))),
        ("2026-09-01", WinbackState("running", 3, date(2026, 10, 15))),
        ("2026-10-15", WinbackState("running", 4, None)),
        ("2026-10-16", WinbackState("suppressed", 4, None)),
        ("2030-01-01", WinbackState("suppressed", 4, None)),
    ],
)
def test_where_a_customer_stands(day: str, state: WinbackState) -> None:
    schedule = winback_schedule(last_purchase_on=BOUGHT, last_click_on=CLICKED)
    assert schedule.state_on(date.fromisoformat(day)) == state


def test_an_order_stops_it_and_ends_a_suppression() -> None:
    schedule = winback_schedule(last_purchase_on=BOUGHT, last_click_on=CLICKED)
    # On the day of the second message: that one is not sent any more.
    second = date(2026, 6, 15)
    assert schedule.state_on(second, purchased_on=second) == WinbackState("stopped", 1, None)
    assert schedule.state_on(date(2026, 12, 1), purchased_on=date(2026, 11, 1)).status == "stopped"
    # One that is still to come, or that began the silence, stops nothing.
    assert schedule.state_on(second, purchased_on=date(2026, 7, 1)).status == "running"
    assert schedule.state_on(second, purchased_on=CLICKED).status == "running"


DAYS = st.dates(date(2015, 1, 1), date(2035, 12, 31))
SPANS = st.builds(Span, months=st.integers(0, 24), days=st.integers(1, 400))


@example(date(2015, 1, 1), None, Span(months=0, days=1), Span(months=7, days=1), 1)
@given(DAYS, st.none() | DAYS, SPANS, SPANS, st.integers(1, 4))
def test_messages_are_evenly_spread_up_to_the_end(
    purchased: date, clicked: date | None, start: Span, end: Span, step_months_max: int
) -> None:
    rule = WinbackRule(after_click=start, step_months_max=step_months_max)
    schedule = winback_schedule(
        last_purchase_on=purchased, last_click_on=clicked, fully_churned=end, rule=rule
    )
    dates = schedule.message_dates
    assert dates[-1] == end.after(max(purchased, clicked or purchased))
    steps = [(after - before).days for before, after in pairwise(dates)]
    assert all(step > 0 for step in steps)
    assert all(step <= 31 * step_months_max for step in steps)
    assert not steps or max(steps) - min(steps) <= 3
    assert schedule.state_on(dates[-1] + timedelta(days=1)).status == "suppressed"


def test_the_api_can_lay_out_schedules_without_a_frame_engine() -> None:
    heavy = "{'polars', 'numpy', 'narwhals', 'pandas', 'pyarrow', 'duckdb'}"
    code = f"import sys, features.winback; sys.exit(len({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def curve_of(ended: dict[int, int], still_open: dict[int, int]) -> ReturnCurve:
    return ReturnCurve.fit(
        *(
            np.repeat(np.array(list(days), np.int64), np.array(list(days.values()), np.int64))
            for days in (ended, still_open)
        )
    )


def test_fully_churned_is_where_a_tenth_of_the_chance_is_left() -> None:
    """Of 1,000 silences 700 end on day 10, 90 on day 40, 10 on day 80; 200 last longer than 200 days.

    Patience is 100 days. Right after an order 80 % come back within it. After 10 silent days 100 of 300 do,
    after 40 days 10 of 210: 4.8 %, less than a tenth of 80 %.
    """
    found = find_fully_churned(curve_of({10: 700, 40: 90, 80: 10}, {200: 200}))
    assert (found.span, found.source, found.patience_days) == (Span(days=40), "measured", 100)
    assert (found.chance_first, found.chance_after) == (0.8, pytest.approx(10 / 210))
    # 200 silences were watched for 140 days: at 8 %, 16 returns were to be expected.
    assert found.watched_count == 200


@pytest.mark.parametrize(
    ("ended", "still_open", "grounds"),
    [
        ({}, {}, "history_too_short"),
        ({5: 20}, {9: 9}, "history_too_short"),
        ({}, {100: 50}, "nobody_comes_back"),
        ({day: 10 for day in range(1, 200)}, {200: 40}, "still_coming_back"),
        # After 10 days one in a hundred is left to come back: of 36 watched that long, 0.4 would.
        ({10: 4}, {200: 36}, "too_few_silences"),
    ],
)
def test_without_evidence_nine_months_are_the_default(
    ended: dict[int, int], still_open: dict[int, int], grounds: str
) -> None:
    found = find_fully_churned(curve_of(ended, still_open))
    assert (found.span, found.source, found.grounds) == (Span(months=9), "default", grounds)


def test_a_shops_point_is_read_off_its_orders(tmp_path: Path) -> None:
    """100 customers come back after 20 days and 50 of them leave then; the others come every 20 days."""
    lines = [
        line(f"c{who}", f"c{who}-{day}", f"{date(2025, 1, 1) + timedelta(days=day)}T12:00", 1.0)
        for who in range(100)
        for day in range(0, 40 if who < 50 else 400, 20)
    ]
    found = read_fully_churned(write_shop(tmp_path, lines), Snapshot(date(2026, 2, 5)))
    assert (found.span, found.source, found.chance_after) == (Span(days=20), "measured", 0.0)
    empty = read_fully_churned(write_shop(tmp_path / "none", []), Snapshot(date(2026, 2, 5)))
    assert empty.grounds == "history_too_short"
