"""Rolling origins: as many as wanted where the history allows, and never one whose outcome is not over."""

import itertools
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from features.snapshot import snapshot_step_days
from training.origins import rolling_origins


def origins_of(as_of: date, first: date, headline: int, count: int = 4) -> list[date]:
    return rolling_origins(
        as_of, first_order_date=first, headline_days=headline, origin_count=count, history_days_min=30
    )


def test_the_worked_example_of_the_module() -> None:
    assert origins_of(date(2011, 9, 10), date(2010, 12, 1), 90) == [
        date(2011, 4, 7),
        date(2011, 4, 29),
        date(2011, 5, 21),
        date(2011, 6, 12),
    ]


def test_a_long_history_has_origins_half_a_horizon_apart() -> None:
    found = origins_of(date(2026, 1, 1), date(2020, 1, 1), 90)
    assert {after - before for before, after in itertools.pairwise(found)} == {timedelta(days=44)}


def test_a_short_history_has_none() -> None:
    assert origins_of(date(2026, 3, 1), date(2026, 1, 1), 30) == []


@given(st.integers(1, 365), st.integers(0, 2000), st.integers(1, 8))
def test_every_origin_is_finished_supported_and_on_the_snapshot_grid(
    headline: int, history_days: int, count: int
) -> None:
    first = date(2020, 1, 1)
    as_of = first + timedelta(days=history_days)
    found = origins_of(as_of, first, headline, count)
    assert len(found) <= count
    assert found == sorted(found)
    for origin in found:
        assert origin + timedelta(days=headline) <= as_of
        assert (origin - first).days >= headline + 30
        assert (found[-1] - origin).days % snapshot_step_days(headline) == 0
