"""Holes in the data: found where chance does not explain them, and never taken for churn."""

from datetime import date
from pathlib import Path

import numpy as np
from features_shop import line, write_shop

from features.examples import ExampleBuilder
from features.holes import find_holes
from features.settings import Settings
from features.snapshot import Snapshot

HOLE = range(60, 100)


def test_a_hole_is_found_with_its_ends_and_ordinary_gaps_are_not() -> None:
    generator = np.random.default_rng(1)
    days = np.array([day for day in range(200) if day not in HOLE]) + generator.uniform(0, 0.9, 160)
    (hole,) = find_holes(days)
    assert (hole.last_before, hole.first_after, hole.day_count) == (59.0, 100.0, 41.0)
    assert find_holes(np.cumsum(generator.exponential(5.0, 100))) == []
    assert find_holes(np.array([1.0, 2.0, 90.0])) == []


def test_outcomes_that_lie_in_a_hole_are_not_known(tmp_path: Path) -> None:
    """Six customers order every third day, but the middle of the year is missing."""
    start = date(2026, 1, 1).toordinal()
    rows = [
        line(f"c{customer}", f"o{customer}-{day}", date.fromordinal(start + day).isoformat(), 10.0)
        for day in range(0, 200)
        for customer in range(6)
        if day % 3 == customer % 3 and day not in HOLE
    ]
    builder = ExampleBuilder(write_shop(tmp_path, rows), Settings())
    origin = Snapshot(date.fromordinal(start + 200))

    def churned(day: int, horizon_days: int, known_until: Snapshot = origin) -> list[float]:
        found = builder.outcomes(Snapshot(date.fromordinal(start + day)), [horizon_days], known_until)
        return found[f"churned_{horizon_days}"].to_list()

    assert churned(30, 30) == [0.0] * 6
    assert churned(120, 30) == [0.0] * 6
    assert np.isnan(churned(55, 30)).all()
    assert np.isnan(churned(95, 14)).all()
    # Before the shop opened again nobody could know that orders were missing: then it is silence.
    assert churned(61, 14, Snapshot(date.fromordinal(start + 90))) == [1.0] * 6
    examples = builder.examples(origin, headline_days=30)
    assert (examples.labels["churned_30"].dropna() == 0.0).all()
