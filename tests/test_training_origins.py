"""Rolling origins: as many as wanted where the history allows, and never one whose outcome is not over."""

import itertools
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from features.snapshot import snapshot_step_days
from training.origins import rolling_origins

HISTORY_DAYS_MIN, SNAPSHOTS_MIN = 30, 2


def origins_of(
    as_of: date, first: date, headline: int, count: int = 4, spacing_days: int | None = None
) -> list[date]:
    return rolling_origins(
        as_of,
        first_order_date=first,
        headline_days=headline,
        origin_count=count,
        history_days_min=HISTORY_DAYS_MIN,
        snapshots_min=SNAPSHOTS_MIN,
        spacing_days=spacing_days,
    )


def test_the_worked_example_of_the_module() -> None:
    assert origins_of(date(2011, 9, 10), date(2010, 12, 1), 90) == [
        date(2011, 5, 13),
        date(2011, 5, 23),
        date(2011, 6, 2),
        date(2011, 6, 12),
    ]


def test_a_long_history_has_origins_half_a_horizon_apart() -> None:
    found = origins_of(date(2026, 1, 1), date(2020, 1, 1), 90)
    assert {after - before for before, after in itertools.pairwise(found)} == {timedelta(days=44)}


def test_a_distance_that_was_asked_for_is_kept_where_the_history_allows() -> None:
    as_of, first = date(2026, 1, 1), date(2025, 1, 1)
    newest = as_of - timedelta(days=14)
    asked = [newest - timedelta(days=14 * number) for number in (3, 2, 1, 0)]
    assert origins_of(as_of, first, 14, spacing_days=14) == asked
    assert origins_of(as_of, first, 14, spacing_days=365) == origins_of(as_of, first, 14)


def test_a_short_history_has_none() -> None:
    assert origins_of(date(2026, 3, 1), date(2026, 1, 1), 30) == []


def finished_snapshots(origin: date, first: date, headline: int) -> int:
    """Count the training snapshots of an origin whose headline outcome was over, as training lays them."""
    step = snapshot_step_days(headline)
    ages = range(step, (origin - first).days - HISTORY_DAYS_MIN + 1, step)
    return sum(age >= headline for age in ages)


@given(st.integers(1, 365), st.integers(0, 2000), st.integers(1, 8))
def test_every_origin_is_finished_and_has_learnt_its_headline(
    headline: int, history_days: int, count: int
) -> None:
    first = date(2020, 1, 1)
    as_of = first + timedelta(days=history_days)
    found = origins_of(as_of, first, headline, count)
    assert len(found) <= count
    assert found == sorted(set(found))
    for origin in found:
        assert origin + timedelta(days=headline) <= as_of
        assert finished_snapshots(origin, first, headline) >= SNAPSHOTS_MIN
    gaps = {(after - before).days for before, after in itertools.pairwise(found)}
    assert len(gaps) <= 1
    assert all(gap >= min(7, snapshot_step_days(headline)) for gap in gaps)
    newest = as_of - timedelta(days=headline)
    assert (found == []) == (finished_snapshots(newest, first, headline) < SNAPSHOTS_MIN)
