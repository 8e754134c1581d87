"""Ratios of rates against tables worked by hand, and their intervals against resampled customers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.cuts import best_cut, possible_cuts
from models.rate_ratios import RateRatio, holm, rate_ratio


def rows_of(*strata: tuple[int, int, int, int]) -> dict[str, np.ndarray]:
    """Return rows from counts (events in the group, group, events in the rest, rest), one a stratum."""
    group, events, numbers = [], [], []
    for number, (a, n1, c, n0) in enumerate(strata):
        group += [True] * n1 + [False] * n0
        events += [1.0] * a + [0.0] * (n1 - a) + [1.0] * c + [0.0] * (n0 - c)
        numbers += [number] * (n1 + n0)
    count = len(group)
    return {
        "in_group": np.array(group, dtype=bool),
        "events": np.array(events),
        "strata": np.array(numbers, dtype=np.int64),
        "clusters": np.arange(count),
    }


def test_one_stratum_is_the_plain_ratio_with_the_textbook_error() -> None:
    found = rate_ratio(**rows_of((60, 200, 45, 300)))
    assert found is not None
    assert found.ratio == pytest.approx((60 / 200) / (45 / 300))
    # Katz et al. 1978: 1/60 - 1/200 + 1/45 - 1/300.
    assert found.log_error == pytest.approx(np.sqrt(1 / 60 - 1 / 200 + 1 / 45 - 1 / 300), rel=0.002)
    assert found.low < 2 < found.high
    assert found.inverse.ratio == pytest.approx(0.5)
    assert found.inverse.low == pytest.approx(1 / found.high)


def test_strata_take_away_what_they_explain() -> None:
    """The group lies where it happens often: plain far above 1, within strata exactly 1."""
    table = rows_of((80, 100, 16, 20), (2, 20, 10, 100))
    within = rate_ratio(**table)
    plain = rate_ratio(**{**table, "strata": table["strata"] * 0})
    assert within is not None
    assert plain is not None
    assert within.ratio == pytest.approx(1)
    assert plain.ratio == pytest.approx((82 / 120) / (26 / 120))
    assert within.p_value == pytest.approx(1)
    assert plain.p_value < 1e-6


def test_the_interval_is_that_of_resampled_customers() -> None:
    """Rows of one customer are alike: the interval is twice the naive one, and the bootstrap's."""
    generator = np.random.default_rng(4)
    customers, seen = 400, 10
    risky = generator.random(customers) < 0.4
    own_chance = generator.beta(1, 2, customers) * np.where(risky, 1.0, 0.6)
    clusters = np.repeat(np.arange(customers), seen)
    group = risky[clusters]
    strata = np.tile(np.arange(seen) % 2, customers)
    events = (generator.random(len(clusters)) < own_chance[clusters]).astype(float)
    found = rate_ratio(group, events, strata=strata, clusters=clusters)
    naive = rate_ratio(group, events, strata=strata, clusters=np.arange(len(clusters)))
    assert found is not None
    assert naive is not None
    logs = []
    for _ in range(400):
        rows = (generator.integers(0, customers, customers)[:, None] * seen + np.arange(seen)).ravel()
        drawn = rate_ratio(group[rows], events[rows], strata=strata[rows], clusters=np.arange(len(rows)))
        assert drawn is not None
        logs.append(np.log(drawn.ratio))
    assert found.log_error == pytest.approx(np.std(logs), rel=0.12)
    assert found.log_error > 1.5 * naive.log_error


@pytest.mark.parametrize("table", [(0, 10, 5, 10), (5, 10, 0, 10), (0, 0, 5, 10), (5, 10, 0, 0)])
def test_a_side_without_events_has_no_ratio(table: tuple[int, int, int, int]) -> None:
    assert rate_ratio(**rows_of(table)) is None


def test_without_any_doubt_only_1_is_by_chance() -> None:
    assert RateRatio(1.0, 0.0).p_value == 1
    assert RateRatio(2.0, 0.0).p_value == 0
    assert RateRatio(np.exp(1.959963984540054), 1.0).p_value == pytest.approx(0.05)


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_lies_between_bonferroni_and_no_guard(p_values: list[float]) -> None:
    stands = holm(p_values)
    for value, stand in zip(p_values, stands, strict=True):
        assert stand or value > 0.05 / len(p_values)
        assert value <= 0.05 or not stand


def test_a_cut_lies_where_the_rate_changes() -> None:
    values = np.repeat(np.arange(10.0), 50)
    events = (np.arange(500) % 10 < np.where(values > 6, 8, 2)).astype(float)
    strength, cut = best_cut(values, events, strata=np.zeros(500, dtype=np.int64))
    assert cut == 6
    assert strength > 100
    assert best_cut(values, events, strata=values.astype(np.int64))[0] == pytest.approx(
        0
    )  # it is the stratum


@pytest.mark.parametrize(
    ("values", "cuts"),
    [([], []), ([3.0] * 9, []), ([0.0] * 95 + [1.0] * 5, []), ([0.0] * 80 + [1.0] * 20, [0.0])],
)
def test_no_cut_leaves_less_than_a_tenth(values: list[float], cuts: list[float]) -> None:
    assert possible_cuts(np.array(values)).tolist() == cuts


def test_a_feature_that_nobody_has_is_not_cut() -> None:
    missing = np.full(20, np.nan)
    assert best_cut(missing, np.ones(20), strata=np.zeros(20, dtype=np.int64)) == (0.0, 0.0)
